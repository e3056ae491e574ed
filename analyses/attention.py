"""Where do the heads look, and by which frequency?

`interp analyse attention RUN` does the same. What the figure shows: interp/analyses/attention.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("attention"):
    from interp.analyses.attention import __doc__ as description
    from interp.analyses.attention import compute, draw, summarize
    from interp.analyses.frame import main

    if __name__ == "__main__":
        main("attention", description, compute, draw, summarize)
