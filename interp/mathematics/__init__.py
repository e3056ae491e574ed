"""Exact mathematics without networks: Fourier analysis, formulas of algorithms, groups."""
