"""Which steps of a run are saved, and which of them with the optimizer's state.

A schedule is an explicit list: what a run saves can be read off its config. The texts of the command line are
shorthands for such lists:

    every:1000        0, 1000, 2000, ... to the end
    log:60            60 steps spaced evenly on a log axis, from 1 (duplicates removed), and 0
    5000-8000:100     a dense window, both ends included
    1400              one step

Where nobody says which, they are those of `fitted_schedule`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, repeat, takewhile

import numpy as np

from interp.ground.plain_text import has_long_numbers, shown

# At a millisecond a step, four months.
LARGEST_STEP = 10**10
MOST_SAVED = 10**6


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Saved steps, ascending; those in `optimizer_steps` also hold the optimizer's state."""

    steps: tuple[int, ...]
    optimizer_steps: tuple[int, ...]

    def __post_init__(self):
        if not self.steps:
            raise ValueError("A schedule needs at least one saved step, got none.")
        if list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 0:
            raise ValueError(
                f"A schedule needs distinct ascending steps of at least 0, got {_shortened(self.steps)}. "
                "Use make_schedule(), which sorts them."
            )
        extra = set(self.optimizer_steps) - set(self.steps)
        if extra:
            raise ValueError(
                f"A schedule needs its optimizer_steps among its saved steps, got {_shortened(sorted(extra))} beside "
                "them. Use make_schedule(), which saves them too."
            )


def _shortened(steps: Iterable[int]) -> str:
    first = [str(step) for step in steps]
    return ", ".join(first[:8]) + (f", ... ({len(first)} in all)" if len(first) > 8 else "")


def make_schedule(n_steps: int, save: Iterable[str | int], save_optimizer: Iterable[str | int]) -> Schedule:
    """The schedule that these texts (see the module's docstring) describe for a run of n_steps.

    Steps with optimizer state are saved in any case, and so is the last step.

    Raises:
        ValueError: if a text is not of a known form, names a step outside 0 .. n_steps or a window that ends before
            it starts; if n_steps is below 1.

    >>> make_schedule(1000, ["every:500", "10-30:10"], [500]).steps
    (0, 10, 20, 30, 500, 1000)
    """
    if not 1 <= n_steps <= LARGEST_STEP:
        bound = "least 1" if n_steps < 1 else f"most {LARGEST_STEP:,}"
        raise ValueError(f"A run needs n_steps of at {bound}, got {shown(n_steps)}.")
    optimizer_steps = {s for text in save_optimizer for s in _expand(str(text), n_steps)}
    steps = {s for text in save for s in _expand(str(text), n_steps)} | optimizer_steps | {n_steps}
    return Schedule(steps=tuple(sorted(steps)), optimizer_steps=tuple(sorted(optimizer_steps)))


# Of a fitted schedule: the widest gap as a share of its step, and the narrowest in steps.
WIDEST, NARROWEST = 0.05, 5
# Checkpoints from one with the optimizer's state to the next: the step doubles meanwhile.
BETWEEN_OPTIMIZER_STEPS = 15


def fitted_schedule(n_steps: int) -> Schedule:
    """A schedule that brackets whatever happens within 5 % of its step (within 5 steps, before step 100).

    When a network memorizes and when it groks is not known before, and lies a hundredfold apart for other moduli,
    widths and weight decays: steps chosen for one run miss the switch of another. Evenly on a log axis it is 118
    checkpoints for 10,000 steps and 47 more for every tenfold. About one in each doubling of the step has the
    optimizer's state.

    Raises:
        ValueError: if n_steps is below 1.

    >>> fitted_schedule(10).steps
    (0, 5, 10)
    """
    if n_steps < 1:
        raise ValueError(f"A run needs n_steps of at least 1, got {n_steps}.")
    endless = accumulate(repeat(0), lambda step, _: max(step + NARROWEST, int(step * (1 + WIDEST))))
    steps = (*takewhile(lambda step: step < n_steps, endless), n_steps)
    optimizer_steps = steps[BETWEEN_OPTIMIZER_STEPS:-1:BETWEEN_OPTIMIZER_STEPS]
    return Schedule(steps=steps, optimizer_steps=optimizer_steps)


def longer_schedule(
    schedule: Schedule,
    after: int,
    n_steps: int,
    save: Iterable[str | int] | None,
    save_optimizer: Iterable[str | int] = (),
) -> Schedule:
    """The schedule, with more steps up to a later end: those that lie after a step that is past.

    Args:
        after: the step that training has reached.
        save, save_optimizer: texts as `make_schedule` takes them; with neither, the steps of `fitted_schedule`.

    Raises:
        ValueError: as `make_schedule`, or if a text names steps that are past alone.
    """
    texts = [*(save or ()), *save_optimizer]
    for text in texts:
        if max(_expand(str(text), n_steps)) <= after:
            raise ValueError(
                f"A run that has reached step {after} needs steps after it to save, got {str(text)!r}. What is past "
                "was not kept."
            )
    new = make_schedule(n_steps, save or (), save_optimizer) if texts else fitted_schedule(n_steps)

    def joined(old: Iterable[int], more: Iterable[int]) -> tuple[int, ...]:
        return tuple(sorted({*old, *(step for step in more if step > after)}))

    return Schedule(
        steps=joined(schedule.steps, new.steps),
        optimizer_steps=joined(schedule.optimizer_steps, new.optimizer_steps),
    )


def _expand(text: str, n_steps: int) -> list[int]:
    if has_long_numbers(text):
        raise ValueError(f"A schedule needs steps of at most 100 digits, got {shown(text)}.")
    if match := re.fullmatch(r"every:([1-9]\d*)", text):
        return _few(text, range(0, n_steps + 1, int(match[1])))
    if match := re.fullmatch(r"log:([1-9]\d*)", text):
        n = len(_few(text, range(int(match[1]))))
        return [0, *np.unique(np.geomspace(1, n_steps, n).round().astype(int)).tolist()]
    if match := re.fullmatch(r"(\d+)-(\d+):([1-9]\d*)", text):
        start, stop, every = map(int, match.groups())
        if start > stop:
            raise ValueError(
                f"A window of a schedule needs START <= STOP, got {text!r}. Use {stop}-{start}:{every}."
            )
        steps = [*_few(text, range(start, stop, every)), stop]
    elif re.fullmatch(r"\d+", text):
        steps = [int(text)]
    else:
        raise ValueError(
            f"A schedule is made of every:N, log:N, START-STOP:EVERY and single steps, got {text!r}."
        )
    if steps[-1] > n_steps or steps[0] > n_steps:
        raise ValueError(f"Schedule {text!r} names steps beyond the run's last step {n_steps}.")
    return steps


def _few(text: str, steps: range) -> list[int]:
    """The steps of a text, if a disk can hold as many checkpoints."""
    # Not by len(), which fails beyond 64 bits.
    if (steps.stop - steps.start) // steps.step > MOST_SAVED:
        raise ValueError(f"A schedule needs at most {MOST_SAVED:,} saved steps, and {text!r} names more.")
    return list(steps)
