"""How the runs of a sweep are shared out: runs of one architecture together, as many as are quickest here."""

from collections.abc import Sequence
from dataclasses import dataclass

from interp.runs.config import Recipe
from interp.sweeps.grid import Planned
from interp.training.stack import architecture
from interp.training.stack_size import StackSize, stack_size

# Members whose numbers of train questions differ by more are not stacked: the smaller ones carry padding.
ALIKE = 0.3
# Of a checkpoint, roughly: written, synced, entered into the index.
SECONDS_TO_SAVE = 0.008


@dataclass(frozen=True)
class Unit:
    """Runs that one worker trains together.

    Attributes:
        name: of its file of progress.
        is_stack: whether they are one tensor program; otherwise one after the other, each in a loop of its own.
        seconds: that it takes, roughly.
    """

    name: str
    runs: tuple[Planned, ...]
    is_stack: bool
    seconds: float


def units(
    runs: Sequence[Planned],
    *,
    device: str = "cpu",
    n_at_once: int = 1,
    n_here: int | None = None,
    size: int | None = None,
) -> list[Unit]:
    """Every run in a unit, the longest first, so that no core waits long for the last.

    Args:
        n_at_once: units that are worked on at a time; none is so large that fewer would be.
        n_here: of them those that share the memory of one machine; all by default.
        size: runs a stack; None: what a few timed steps of each architecture show to be quickest here.
    """
    n_here, groups = n_here or n_at_once, grouped(runs)
    largest: dict[tuple, list[Planned]] = {}
    for group in groups:
        if len(group) > len(largest.get(_costs(group[0].recipe), [])):
            largest[_costs(group[0].recipe)] = group
    timed: dict[tuple, tuple[StackSize, float]] = {}
    found: list[Unit] = []
    for group in groups:
        first = group[0].recipe
        if (key := _costs(first)) not in timed:
            recipes = [run.recipe for run in largest[key]]
            timed[key] = stack_size(recipes, device, n_at_once=n_here, size=size), n_train(recipes[0])
        about, n = timed[key]
        # More train questions take longer in proportion.
        seconds = about.seconds * n_train(first) / n
        together = min(max(about.size, 1), -(-len(group) // n_at_once))
        for start in range(0, len(group), together):
            part = tuple(group[start : start + together])
            steps = sum(run.recipe.n_steps - run.recipe.first_step for run in part)
            saving = SECONDS_TO_SAVE * sum(len(run.recipe.schedule.steps) for run in part)
            found.append(Unit(f"unit-{len(found):05}", part, about.size > 0, steps * seconds + saving))
    return sorted(found, key=lambda unit: -unit.seconds)


def _costs(recipe: Recipe) -> tuple:
    """What decides how long a step takes, apart from the number of train questions."""
    o = recipe.optimizer
    return (*architecture(recipe).values(), o.batch_size, o.loss, o.loss_dtype)


def grouped(runs: Sequence[Planned]) -> list[list[Planned]]:
    """Runs of one architecture with about as many train questions, which a stack may hold."""
    alike: dict[tuple, list[Planned]] = {}
    for run in runs:
        alike.setdefault(_costs(run.recipe), []).append(run)
    found: list[list[Planned]] = []
    for group in alike.values():
        group.sort(key=lambda run: n_train(run.recipe))
        begins = None
        for run in group:
            if begins is None or n_train(run.recipe) > (1 + ALIKE) * begins:
                begins = n_train(run.recipe)
                found.append([])
            found[-1].append(run)
    return found


def n_train(recipe: Recipe) -> float:
    """How many examples are train, roughly: of a family that does not say, all count alike."""
    if hasattr(recipe.task, "n_train"):
        return recipe.task.n_train
    return getattr(recipe.task, "n_examples", 1) * (getattr(recipe.task, "train_fraction", None) or 1.0)
