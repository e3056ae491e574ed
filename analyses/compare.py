"""How do runs differ? Their curves over each other, by step and by the share of the way to the grokking step.

`interp analyse compare SWEEP` does the same. What the figure shows: interp/analyses/compare.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("compare"):
    from interp.analyses.compare import __doc__ as description
    from interp.analyses.compare import compute, draw, subject, summarize
    from interp.analyses.frame import main

    if __name__ == "__main__":
        main("compare", description, compute, draw, summarize, subject=subject)
