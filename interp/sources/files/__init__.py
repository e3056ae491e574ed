"""Reading files of strangers: which tensors they hold, and of which step."""
