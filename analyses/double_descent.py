"""Does the test error descend a second time: over model size, over train rows, over steps? And is that grokking?

`interp analyse double_descent SWEEP` does the same. What the figure shows: interp/analyses/double_descent.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("double_descent"):
    from interp.analyses.double_descent import __doc__ as description
    from interp.analyses.double_descent import compute, draw, subject, summarize
    from interp.analyses.frame import main

    if __name__ == "__main__":
        main("double_descent", description, compute, draw, summarize, subject=subject)
