"""What trainers write beside the weights."""
