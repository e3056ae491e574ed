"""Which saved steps are meant: all, every:N, log:N, near:S, A-B."""

from collections.abc import Iterable

import numpy as np

from interp.ground.plain_text import has_long_numbers, shown
from interp.runs.run import Run
from interp.runs.tensor_files import RunError

# Distances between wanted and saved steps that are looked at.
_MOST = 10**8


def select_steps(run: Run, steps: Iterable[int | np.integer] | str | None = None) -> list[int]:
    """Saved steps of the run, ascending.

    Args:
        steps: None or "all" for all; saved steps; or a text of parts joined by commas: `every:N` (the saved step
            nearest to each multiple of N, the first and the last), `log:N` (the saved steps nearest to N steps spaced
            evenly on a log axis, the first and the last), `near:S` (the saved step nearest to S), `A-B` (all saved
            steps from A to B), `S` (a saved step).

    Raises:
        RunError: if a step was not saved; the nearest is named.
        ValueError: if a part is of no known form.
    """
    saved = np.array(run.steps, dtype=np.int64)
    if not len(saved):
        raise RunError(f"Run {run.name!r} has no checkpoints to measure yet.")
    if steps is None:
        return run.steps
    if not isinstance(steps, str):
        return sorted({_saved(run, int(step)) for step in steps})

    def nearest(targets: np.ndarray) -> list[int]:
        return saved[np.abs(saved[None, :] - targets[:, None]).argmin(1)].tolist()

    if has_long_numbers(steps):
        raise ValueError(f"Steps have at most 100 digits, got {shown(steps)}.")
    found: set[int] = set()
    for part in filter(None, (p.strip() for p in steps.split(","))):
        kind, _, number = part.partition(":")
        first, _, last = part.partition("-")
        if part == "all":
            found |= set(run.steps)
        elif kind in ("every", "log") and number.isdecimal() and int(number) > 0:
            low, high = max(saved[0], 1), max(saved[-1], 1)
            n = int(number) if kind == "log" else run.steps[-1] // int(number)
            if n * len(saved) > _MOST:
                raise ValueError(
                    f"Steps {part!r} name far more steps than are saved ({len(saved)}). Use fewer."
                )
            wanted = (
                np.arange(0, saved[-1] + 1, int(number))
                if kind == "every"
                else np.geomspace(low, high, int(number))
            )
            found |= {*nearest(wanted), run.steps[0], run.steps[-1]}
        elif kind == "near" and number.isdecimal():
            found |= set(nearest(np.array([int(number)])))
        elif first.isdecimal() and last.isdecimal():
            found |= {step for step in run.steps if int(first) <= step <= int(last)}
        elif part.isdecimal():
            found.add(_saved(run, int(part)))
        else:
            raise ValueError(
                f"Steps are all, every:N, log:N, near:S, A-B or S, joined by commas, got {part!r}."
            )
    if not found:
        raise RunError(
            f"Run {run.name!r} has no checkpoint in {steps!r}; it has steps {saved[0]} to {saved[-1]}."
        )
    return sorted(found)


def _saved(run: Run, step: int) -> int:
    if step not in run.index:
        nearest = min(run.steps, key=lambda s: abs(s - step))
        raise RunError(
            f"Run {run.name!r} has no checkpoint at step {step}; the nearest is at {nearest}. Use it, or 'near:{step}'."
        )
    return step
