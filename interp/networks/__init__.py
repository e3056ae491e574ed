"""What a network is and computes: configs, forward passes, hooked modules."""
