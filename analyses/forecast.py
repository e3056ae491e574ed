"""How well is a run's grokking step forecast from its own curves, on runs of a kind that was not seen?

`interp analyse forecast SWEEP` does the same. What the figure shows: interp/analyses/forecast.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("forecast"):
    from interp.analyses.forecast import __doc__ as description
    from interp.analyses.forecast import compute, draw, subject, summarize
    from interp.analyses.frame import main

    if __name__ == "__main__":
        main("forecast", description, compute, draw, summarize, subject=subject)
