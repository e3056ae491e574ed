"""Interventions as values: edits of weights and activations, what they leave untouched, and their shams."""
