"""Do few neurons come to decide what many had memorized, when, and is that when the network generalises?

`interp analyse parity RUN` does the same. What the figure shows: interp/analyses/parity.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("parity"):
    from interp.analyses.frame import main
    from interp.analyses.parity import __doc__ as description
    from interp.analyses.parity import compute, draw, summarize

    if __name__ == "__main__":
        main("parity", description, compute, draw, summarize)
