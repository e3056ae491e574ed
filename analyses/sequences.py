"""Which heads foresee the next token from what stood before, when do they form, and does ablating them undo it?

`interp analyse sequences RUN` does the same. What the figure shows: interp/analyses/sequences.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("sequences"):
    from interp.analyses.frame import main
    from interp.analyses.sequences import __doc__ as description
    from interp.analyses.sequences import compute, draw, summarize

    if __name__ == "__main__":
        main("sequences", description, compute, draw, summarize)
