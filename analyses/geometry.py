"""How does the loss landscape around the weights change when the network generalises?

`interp analyse geometry RUN` does the same. What the figure shows: interp/analyses/geometry.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("geometry"):
    from interp.analyses.frame import main
    from interp.analyses.geometry import __doc__ as description
    from interp.analyses.geometry import compute, draw, summarize

    if __name__ == "__main__":
        main("geometry", description, compute, draw, summarize)
