"""The mathematics that probes stand on: finite groups and their real irreducible representations."""
