"""Clock or pizza, and does it change along training?

`interp analyse clock_pizza RUN` does the same. What the figure shows: interp/analyses/clock_pizza.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("clock_pizza"):
    from interp.analyses.clock_pizza import __doc__ as description
    from interp.analyses.clock_pizza import compute, draw, summarize
    from interp.analyses.frame import main

    if __name__ == "__main__":
        main("clock_pizza", description, compute, draw, summarize)
