"""What both wings stand on: neither torch nor tables."""
