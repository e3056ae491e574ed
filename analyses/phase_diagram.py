"""Which runs generalise, and how long does it take them? Phases, delays and their power laws over what was swept.

`interp analyse phase_diagram SWEEP` does the same. What the figure shows: interp/analyses/phase_diagram.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("phase_diagram"):
    from interp.analyses.frame import main
    from interp.analyses.phase_diagram import __doc__ as description
    from interp.analyses.phase_diagram import compute, draw, subject, summarize

    if __name__ == "__main__":
        main("phase_diagram", description, compute, draw, summarize, subject=subject)
