"""Is it what it says? Findings about runs and foreign checkpoints, and repair."""
