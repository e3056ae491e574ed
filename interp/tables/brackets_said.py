"""A transition in words: between which checkpoints it came, by which threshold, what was passed over."""

from typing import TYPE_CHECKING

from interp.ground.plain_text import several

if TYPE_CHECKING:
    from interp.tables.transitions import Transition

# The accuracies that a run is judged by.
ACCURACIES = {
    "test_accuracy": "test accuracy",
    "all_accuracy": "accuracy on all rows",
    "test_predictable_accuracy": "test accuracy on what is predictable",
    "all_predictable_accuracy": "accuracy on what is predictable in all rows",
}


def transition_said(found: "Transition", unit: str = "step", lost: tuple[int, int] | None = None) -> str:
    """A transition with its bracket and threshold, and the short relapses that were passed over.

    Args:
        unit: what a step counts.
        lost: from when to when it held, where it was lost again.

    >>> from interp.tables.transitions import Transition
    >>> transition_said(Transition("test_accuracy", 0.95, 5740, 5750))
    'between steps 5740 and 5750 (test accuracy 0.95 from then on)'
    >>> transition_said(Transition("", None, None, None))
    'not known'
    """
    threshold = "" if found.threshold is None else f" {found.threshold:g}"
    reached = f"{quantity_said(found)}{threshold}"
    if found.step is None and lost:
        return f"from {unit} {lost[0]} to {lost[1]}, and has lost it ({reached})"
    if found.step is None and found.before is None:
        return f"not known ({reached})" if reached else "not known"
    if found.step is None:
        return f"not by {unit} {found.before} ({reached})"
    if found.before is None:
        return f"from the first {unit} on ({reached}){relapses_said(found)}"
    return f"between {several(unit)} {found.before} and {found.step} ({reached} from then on){relapses_said(found)}"


def quantity_said(found: "Transition") -> str:
    """What rose or fell, in words.

    >>> from interp.tables.transitions import Transition
    >>> quantity_said(Transition("all_accuracy", 0.95, 120, 130)), quantity_said(Transition("gini", None, 1, 2))
    ('accuracy on all rows', 'gini')
    """
    return ACCURACIES.get(found.quantity, found.quantity.replace("_", " "))


def bracket_text(found: "Transition") -> str:
    """The bracket alone, for a legend or a caption.

    >>> from interp.tables.transitions import Transition
    >>> bracket_text(Transition("accuracy", 0.95, 120, 130)), bracket_text(Transition("accuracy", 0.95, 130, None))
    ('120 to 130', 'not by 130')
    """
    if found.step is None:
        return "not known" if found.before is None else f"not by {found.before}"
    return f"by {found.step}" if found.before is None else f"{found.before} to {found.step}"


def relapses_said(found: "Transition") -> str:
    """The short relapses that were passed over, to be put behind a step; empty where there are none.

    >>> from interp.tables.transitions import Transition
    >>> relapses_said(Transition("train_accuracy", 0.95, 50, 60, ((1610, 1610), (1900, 1920))))
    ', 2 short relapses passed over (steps 1610, 1900 to 1920)'
    """
    if not found.relapses:
        return ""
    named = [f"{first}" if first == last else f"{first} to {last}" for first, last in found.relapses]
    shown = ", ".join(named if len(named) <= 4 else [*named[:3], f"... {named[-1]}"])
    counted = "1 short relapse" if len(named) == 1 else f"{len(named)} short relapses"
    return f", {counted} passed over (step{'' if shown.isdigit() else 's'} {shown})"
