"""What does the trained network compute, and when do its Fourier features appear?

`interp analyse fourier RUN` does the same. What the figure shows: interp/analyses/fourier.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("fourier"):
    from interp.analyses.fourier import __doc__ as description
    from interp.analyses.fourier import compute, draw, summarize
    from interp.analyses.frame import main

    if __name__ == "__main__":
        main("fourier", description, compute, draw, summarize)
