"""When and how much does arithmetic cross over from one language to another, and is it one circuit or two?

`interp analyse languages RUN` does the same. What the figure shows: interp/analyses/languages.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("languages"):
    from interp.analyses.frame import main
    from interp.analyses.languages import __doc__ as description
    from interp.analyses.languages import compute, draw, summarize

    if __name__ == "__main__":
        main("languages", description, compute, draw, summarize)
