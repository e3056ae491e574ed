"""In which order does the network learn the digits of its answers, and when does it carry?

`interp analyse digits RUN` does the same. What the figure shows: interp/analyses/digits.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("digits"):
    from interp.analyses.digits import __doc__ as description
    from interp.analyses.digits import compute, draw, summarize
    from interp.analyses.frame import main

    if __name__ == "__main__":
        main("digits", description, compute, draw, summarize)
