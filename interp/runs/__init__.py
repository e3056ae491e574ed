"""Runs on disk: the only folder that knows the layout."""
