"""Formats of networks, one a file."""
