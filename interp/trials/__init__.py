"""Theories on trial: which arms decide, predictions before they are trained, training, and what came of it."""
