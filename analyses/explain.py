"""Why did it switch? What the evidence on one run supports, contradicts or leaves open.

`interp report RUN` does the same. What the page shows: interp/analyses/explain.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("explain"):
    from interp.analyses.explain import __doc__ as description
    from interp.analyses.explain import compute, draw, found, pages, summarize
    from interp.analyses.frame import main

    if __name__ == "__main__":
        main("explain", description, compute, draw, summarize, pages=pages, found=found)
