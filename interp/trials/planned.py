"""The arms of the battery: what each theory wants to see trained, with control, sham and rival.

Groups are in the order in which they decide: those first that most theories share, then those of primary rows, the
cheaper before the dearer. A theory names arms by their names alone; here they become values for one run.
"""

from collections.abc import Callable, Iterable

from interp.runs.run import Run
from interp.training.arms import Arm
from interp.training.rules import ReplayNorms
from interp.trials.facts import Facts
from interp.trials.feature_arms import frequency_arms, lottery_arms, neuron_arms
from interp.trials.planned_arm import Planned, after
from interp.trials.training_arms import (
    arithmetic_arms,
    entropy_arms,
    noise_arms,
    norm_arms,
    norm_rate_arms,
    perpendicular_arms,
    random_label_arms,
    read_out_arms,
    shrunk_arms,
    slow_gradient_arms,
    small_eps_arms,
    squared_error_arms,
    turning_arms,
)


def planned_arms(
    run: Run, facts: Facts, *, seed: int = 0, names: Iterable[str] | None = None
) -> list[Planned]:
    """Every arm that makes sense on this run.

    Args:
        seed: of what shams draw at random.
        names: only groups with an arm of these names, and of those all: what is compared stands together.

    Raises:
        ValueError: if a sham cannot be made as large as what it stands for.
    """
    wanted = None if names is None else {*names}
    found: dict[str, Planned] = {}
    for of_group, make in GROUPS.items():
        if wanted is None or wanted & {*of_group}:
            for plan in make(run, facts, seed):
                # Groups that leave at one point share its control.
                found.setdefault(plan.key, plan)
    return list(found.values())


def _controls(run: Run, facts: Facts, seed: int) -> list[Planned]:
    """The control, whose path most others follow, and the sham of following it."""
    return [
        Planned(arm=Arm(name="control"), until=None),
        after("control", Arm(name="replay", rules=(ReplayNorms(),))),
    ]


# By the names of the arms that each makes, those of primary rows first.
GROUPS: dict[tuple[str, ...], Callable[[Run, Facts, int], list[Planned]]] = {
    ("control", "replay"): _controls,
    ("others-back", "keys-back", "keys-ahead"): frequency_arms,
    ("norm-at-margin", "norm"): norm_arms,
    ("norm-turning", "turning"): turning_arms,
    ("perpendicular", "perpendicular-norm"): perpendicular_arms,
    ("keep-subnetwork", "keep-random-neurons", "keep-key-neurons"): neuron_arms,
    ("readout-first", "readout-first-reset", "readout-first-radial"): read_out_arms,
    (
        "slow-gradient",
        "slow-gradient-rate",
        "slow-gradient-shuffled",
        "slow-gradient-subtracted",
    ): slow_gradient_arms,
    ("entropy-penalty", "random-penalty"): entropy_arms,
    ("noise", "antithetic-noise"): noise_arms,
    ("norm-rate",): norm_rate_arms,
    ("control-eps", "norm-at-margin-eps"): small_eps_arms,
    ("control-squared", "norm-squared", "norm-at-margin-squared"): squared_error_arms,
    ("frequency-raised", "frequency-raised-sham"): lottery_arms,
    ("random-labels",): random_label_arms,
    ("shrink", "shrink-decay", "exchange"): shrunk_arms,
    (
        "no-decay-float32",
        "no-decay-float64",
        "no-decay-stablemax",
        "float64",
        "zero-sum-float32",
    ): arithmetic_arms,
}
