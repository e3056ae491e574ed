"""Which checkpoints of a run are shown: all of them, or some around what happened."""

import numpy as np

from interp.runs.run import Run
from interp.tables.outcome import outcome

# Checkpoints on a page: with more its arrays outgrow what opens at once.
MOST = 60
# Of them, as many nearest to each.
NEAR = {"memorization": 8, "grokking": 24}


def steps_shown(run: Run, most: int = MOST) -> list[int]:
    """The saved steps, or of more than `most` the first, the last, those nearest to memorization and grokking, and
    others at even places among the rest.

    Raises:
        ValueError: if the run has no checkpoint.
    """
    steps = np.array(run.steps)
    if not len(steps):
        raise ValueError(f"Run {run.name!r} has no checkpoints to explore yet.")
    if len(steps) <= most:
        return steps.tolist()
    chosen = {0, len(steps) - 1}
    history = run.history()
    ended = outcome({"history": history}) if len(history) else None
    for name, n in NEAR.items():
        found = getattr(ended, name, None)
        if found is not None and found.step is not None:
            chosen |= set(np.abs(steps - found.step).argsort(kind="stable")[: n * most // MOST].tolist())
    rest = [i for i in range(len(steps)) if i not in chosen]
    n_left = max(most - len(chosen), 0)
    chosen |= {rest[i] for i in np.linspace(0, len(rest) - 1, n_left).round().astype(int).tolist()}
    return steps[sorted(chosen)].tolist()
