"""When does a language model learn to copy from its context, and what has changed by then?

`interp analyse language_model RUN` does the same. What the figure shows: interp/analyses/language_model.py.
"""

from interp.ground.stopping import told_when_stopped

# What loads takes seconds: Ctrl-C meanwhile ends in a sentence too.
with told_when_stopped("language_model"):
    from interp.analyses.frame import main
    from interp.analyses.language_model import __doc__ as description
    from interp.analyses.language_model import compute, draw, is_of_answers, summarize

    if __name__ == "__main__":
        main("language_model", description, compute, draw, summarize, is_of_answers=is_of_answers)
