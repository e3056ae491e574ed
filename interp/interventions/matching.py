"""Edits made equal: in what they do to the loss at once, in their norm, in both.

An arm of training and its sham must differ in nothing but the cause. What an edit does to the test loss before the
first step, and how far it moves the weights, are the two things that would explain a difference by themselves.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.interventions.any_edit import Composed, Scaled
from interp.interventions.bench import Bench, Edit, edit_norms
from interp.interventions.directions import RandomDirection
from interp.interventions.frequencies import GraftFrequencies
from interp.interventions.shams import other_frequencies
from interp.networks.config import Weights

LossOfWeights = Callable[[Weights], float | Float[Tensor, ""]]

# Shares of an edit at which the loss is looked at, before bisection: a factor sqrt(2) apart, from a thousandth to 64.
_SHARES = tuple(2.0 ** (e / 2) for e in range(-20, 13))
# Tilts on either side, 5 degrees apart.
_TILTS = tuple(math.radians(5 * i) for i in range(19))
# float32 weights hold no finer steps.
_MOST_HALVINGS = 60
# Others that outweigh the edit are set back by a share that leaves room for a random direction of some size.
_MOST_OF_NORM = 0.9


def change_of(edit: Edit, weights: Weights, bench: Bench, loss: LossOfWeights) -> float:
    """What the edit adds to a loss at once."""
    with torch.no_grad():
        return float(loss(edit.edit(weights, bench))) - float(loss(weights))


def matched_change(
    edit: Edit,
    weights: Weights,
    bench: Bench,
    loss: LossOfWeights,
    *,
    target: float,
    tolerance: float = 1e-3,
) -> Scaled:
    """The share of an edit whose immediate change of a loss is a target: the smallest one, found by bisection.

    Args:
        loss: of weights, as `loss_of_test_rows(bench)`.
        tolerance: as a share of the target.

    Raises:
        ValueError: if no share of the edit, up to 64 times the whole, makes that change.
    """
    base = _value(loss, weights)

    def miss(share: float) -> float:
        return _value(loss, Scaled(of=edit, factor=share).edit(weights, bench)) - base - target

    share = 0.0 if target == 0 else _root(miss, (0.0, *_SHARES), tolerance * abs(target))
    if share is None:
        raise ValueError(
            f"Matching the immediate change needs a share of the edit that changes the loss by {target:.4g}, got none "
            f"up to {_SHARES[-1]:g} times the whole, which changes it by {miss(_SHARES[-1]) + target:.4g}. This edit "
            "cannot do that to the loss: take another draw, or another edit."
        )
    return Scaled(of=edit, factor=share)


def topped_up(
    edit: Edit,
    weights: Weights,
    bench: Bench,
    norms: Mapping[str, float],
    *,
    seed: int,
    tilt: float = 0.0,
    spared: Iterable[int] = (),
) -> Composed:
    """The edit and then a random direction, together of these norms, tensor by tensor.

    Args:
        norms: what the whole must add to each tensor, as `edit_norms` says it of another edit.
        tilt, spared: of the `RandomDirection`.

    Raises:
        ValueError: if the edit alone is larger already.
    """
    edited = edit.edit(weights, bench)
    unit = RandomDirection(
        norms=tuple((name, 1.0) for name in norms), seed=seed, tilt=tilt, spared=tuple(spared)
    )
    beyond = unit.edit(edited, bench)
    lengths = []
    for name, norm in norms.items():
        moved = edited[name].double() - weights[name].double()
        length = _length(moved, beyond[name].double() - edited[name].double(), norm)
        if length is None:
            raise ValueError(
                f"Topping up needs an edit of at most norm {norm:.4g} in {name}, got {float(moved.norm()):.4g}. "
                "There is nothing to add: scale the edit down first."
            )
        lengths.append((name, length))
    return Composed(edits=(edit, RandomDirection(
        norms=tuple(lengths), seed=seed, tilt=tilt, spared=tuple(spared)
    )))  # fmt: skip


def others_back(
    edit: GraftFrequencies,
    weights: Weights,
    bench: Bench,
    loss: LossOfWeights,
    *,
    seed: int,
    spared: Iterable[int] = (),
    tolerance: float = 1e-3,
) -> Composed:
    """The sham of key frequencies set back: as many others, topped up to the same norm and change of the loss.

    Three parts. (1) As many random frequencies that are no key, from the same donor, in the same places; where they
    have moved farther than the key ones in some tensor, a share of that, at most nine tenths of the norm. (2) A random
    direction in the same rows and columns, without the key frequencies, so that these stay exactly as they are. Its
    length in each tensor follows from the norm: it solves |others + length * direction| = |edit|, whatever the
    direction. (3) The direction leans towards the gradient of the test loss, or against it; of the angles at
    which the immediate change of the loss is that of the edit, the one nearest to none (5 degrees are told apart) is
    found by bisection. It stands in the value as `tilt`: the larger it is, the less random the direction.

    Args:
        edit: the key frequencies set back (or ahead).
        loss: of weights, as `loss_of_test_rows(bench)`.
        seed: of the draw of frequencies and of the direction.
        spared: key frequencies that the edit does not name.
        tolerance: of the change, as a share of it. Norms agree to float rounding.

    Raises:
        ValueError: if too few frequencies remain, or no direction makes that change.
    """
    keys = tuple(sorted({*edit.frequencies, *spared}))
    norms, target = edit_norms(edit, weights, bench), change_of(edit, weights, bench, loss)
    others = _within(other_frequencies(edit, bench, seed, keys), weights, bench, norms)
    base = _value(loss, weights)

    def sham(angle: float) -> Composed:
        return topped_up(others, weights, bench, norms, seed=seed, tilt=angle, spared=keys)

    def miss(angle: float) -> float:
        return _value(loss, sham(angle).edit(weights, bench)) - base - target

    tilt = _nearest_root(miss, tolerance * abs(target))
    if tilt is None:
        ends = [miss(sign * _TILTS[-1]) + target for sign in (-1, 1)]
        raise ValueError(
            f"The sham of frequencies set back needs a change of the loss of {target:.4g} at the norm of the edit, got "
            f"{ends[0]:.4g} to {ends[1]:.4g} over all tilts of its random direction. Take another seed or donor."
        )
    return sham(tilt)


def _within(edit: GraftFrequencies, weights: Weights, bench: Bench, norms: Mapping[str, float]) -> Edit:
    """The edit, or the share of it that leaves room within these norms in every tensor."""
    own = edit_norms(edit, weights, bench)
    share = min([_MOST_OF_NORM * norms[name] / size for name, size in own.items() if size], default=1.0)
    return edit if share >= 1 else Scaled(of=edit, factor=share)


def _length(moved: Tensor, step: Tensor, norm: float) -> float | None:
    """The length l >= 0 of a step of norm 1 after which |moved + l step| is the norm; None if it is less already.

    The step is taken as it was added to the weights, in their precision.
    """
    size = float(step.norm())
    if not size:
        return 0.0
    along = float((moved * step).sum()) / size
    room = norm**2 - float(moved.square().sum()) + along**2
    # A part in a million, squared: float32 weights hold their edits no better.
    if norm**2 < float(moved.square().sum()) * (1 - 1e-12):
        return None
    return max(0.0, math.sqrt(max(room, 0.0)) - along)


def _value(loss: LossOfWeights, weights: Weights) -> float:
    with torch.no_grad():
        return float(loss(weights))


def _root(f: Callable[[float], float], grid: Sequence[float], precision: float) -> float | None:
    """Where f is 0 to a precision, between the first neighbours on the grid where its sign changes; or None."""
    low, f_low = grid[0], f(grid[0])
    for high in grid[1:]:
        if abs(f_low) <= precision:
            return low
        f_high = f(high)
        if math.isfinite(f_high) and (f_low < 0) != (f_high < 0):
            return _bisected(f, low, high, f_low < 0, precision)
        low, f_low = high, f_high
    return low if abs(f_low) <= precision else None


def _nearest_root(f: Callable[[float], float], precision: float) -> float | None:
    """The tilt nearest to none, on either side, at which f is 0 to a precision; None if there is none."""
    at_none = f(0.0)
    if abs(at_none) <= precision:
        return 0.0
    last = {1: at_none, -1: at_none}
    for low, high in itertools.pairwise(_TILTS):
        for sign in last:
            value = f(sign * high)
            if (last[sign] < 0) != (value < 0):
                return _bisected(f, sign * low, sign * high, last[sign] < 0, precision)
            last[sign] = value
    return None


def _bisected(
    f: Callable[[float], float], low: float, high: float, rises: bool, precision: float
) -> float | None:
    for _ in range(_MOST_HALVINGS):
        middle = (low + high) / 2
        value = f(middle)
        if abs(value) <= precision:
            return middle
        low, high = (middle, high) if (value < 0) == rises else (low, middle)
    return None
