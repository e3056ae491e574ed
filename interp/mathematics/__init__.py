"""Exact mathematics without networks: Fourier analysis, finite groups and their representations, two formulas."""
