"""Which representations of its group does the network compose through, when do they come, and in which order?

`interp analyse groups RUN` does the same. What the figure shows: interp/analyses/groups.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("groups"):
    from interp.analyses.frame import main
    from interp.analyses.groups import __doc__ as description
    from interp.analyses.groups import compute, draw, summarize

    if __name__ == "__main__":
        main("groups", description, compute, draw, summarize)
