"""Checkpoints brought to life."""
