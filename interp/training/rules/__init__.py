"""Rules that act at each step of a branch, as values that go into JSON: one topic a file."""
