"""How do the weights grow, move and thin out along training?

`interp analyse weight_norms RUN` does the same. What the figure shows: interp/analyses/weight_norms.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("weight_norms"):
    from interp.analyses.frame import main
    from interp.analyses.weight_norms import __doc__ as description
    from interp.analyses.weight_norms import compute, draw, summarize

    if __name__ == "__main__":
        main("weight_norms", description, compute, draw, summarize)
