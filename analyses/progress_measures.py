"""What goes on while the losses stand still? The progress measures of Nanda et al. 2023, their figure 7.

`interp analyse progress_measures RUN` does the same. What the figure shows: interp/analyses/progress_measures.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("progress_measures"):
    from interp.analyses.frame import main
    from interp.analyses.progress_measures import __doc__ as description
    from interp.analyses.progress_measures import compute, draw, summarize

    if __name__ == "__main__":
        main("progress_measures", description, compute, draw, summarize)
