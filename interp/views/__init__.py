"""What is looked at: a figure by its name, an animation, and the page on which a run can be scrubbed."""
