"""Worlds with planted truth: small simulators that give arms tables, seeded.

Every world has the same arms, at the same branch steps, with the same references; a world is what each arm does to D,
the steps from the branch to the event. With noise sd in every effect,

    ln D(arm, pair) = ln D(control) + ln factor(arm) + noise(arm, pair) * sd / sqrt 2   (+ the seed's own, kind "seed")

looked at every `EVERY` steps, and censored at a budget of 4 D(control) of the pair. Thresholds come one after the
other: test loss 1 at .9 D, accuracies .9, .95, .99 at .95 D, D and 1.1 D.

Each world is `NAME_world(n_pairs, sd, seed, kind="seed") -> arms table`. Some traps have a second table, of what was
measured along the arms or along the parent: `NAME_levels(arms)`, `hindsight_observed()`.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from interp.theories.arms_table import COLUMNS

EVERY = 10
MEMORIZATION, MAIN, LATER, AFTER = 500, 2500, 4500, 12_000
# D(control) from each branch step; the parent has grokked before the last.
CONTROL_D = {0: 6000.0, MEMORIZATION: 5500.0, MAIN: 3000.0, LATER: 1500.0, AFTER: 1.0}
EVENTS = {
    ("test_loss", 1.0): 0.9,
    ("test_accuracy", 0.9): 0.95,
    ("test_accuracy", 0.95): 1.0,
    ("test_accuracy", 0.99): 1.1,
}
NONE = math.nan
# An arm with its dose.
Arm = tuple[str, float]
Arms = Mapping[int, Mapping[Arm, str]]

# Arms of each branch step, each with its reference ("" for a control).
_MAIN: dict[Arm, str] = {
    ("control", NONE): "",
    ("control-eps", NONE): "",
    ("control-squared", NONE): "",
    ("others-back", NONE): "control",
    ("keys-back", NONE): "others-back",
    ("keys-ahead", NONE): "control",
    ("replay", NONE): "control",
    **{(name, dose): "control" for name in ("norm", "norm-at-margin", "norm-rate") for dose in (0.85, 1.15)},
    **{("norm-at-margin-eps", dose): "control-eps" for dose in (0.85, 1.15)},
    ("norm-squared", 1.15): "control-squared",
    ("norm-at-margin-squared", 1.15): "control-squared",
    ("perpendicular", NONE): "control",
    ("perpendicular-norm", NONE): "control",
    **{(f"no-decay-{name}", NONE): "control" for name in ("float32", "float64", "stablemax")},
    **{(name, NONE): "control" for name in ("zero-sum-float32", "float64")},
    **{(f"slow-gradient{name}", NONE): "control" for name in ("", "-shuffled", "-rate", "-subtracted")},
    **{(f"keep-{name}", NONE): "control" for name in ("subnetwork", "key-neurons", "random-neurons")},
    **{(name, dose): "control" for name in ("noise", "antithetic-noise") for dose in (0.5, 1.0, 2.0)},
    ("entropy-penalty", NONE): "control",
    ("random-penalty", NONE): "control",
}
ARMS: dict[int, dict[Arm, str]] = {
    0: {
        ("control", NONE): "",
        ("frequency-raised", NONE): "control",
        ("frequency-raised-sham", NONE): "control",
        ("random-labels", NONE): "",
    },
    MEMORIZATION: {
        ("control", NONE): "",
        **{(f"readout-first{name}", NONE): "control" for name in ("", "-reset", "-radial")},
    },
    MAIN: _MAIN,
    # The second branch point, for what grows with age.
    LATER: {arm: over for arm, over in _MAIN.items() if arm[0] in ("control", "others-back", "keys-back")},
    AFTER: {
        ("control", NONE): "",
        **{(name, dose): "control" for name in ("shrink", "shrink-decay") for dose in (0.5, 1.5)},
        ("exchange", NONE): "control",
    },
}

# Apart, since arms more among the others would change what is drawn for these.
WITH_TURNING = ARMS | {
    MAIN: _MAIN
    | {("norm-turning", dose): "control" for dose in (0.85, 1.15)}
    | {("turning", dose): "control" for dose in (0.5, 2.0)}
}

# What a world does: D(arm) / D(control), by arm and dose, by arm at all doses, or by branch step, arm and dose.
Factors = Mapping[str | tuple[str, float] | tuple[int, str, float], float]


def simulated(
    factors: Factors,
    n_pairs: int,
    sd: float,
    seed: int,
    kind: str = "seed",
    arms: Arms = ARMS,
) -> pd.DataFrame:
    """The arms table of a world in which each arm has its factor, or else 1."""
    generator = np.random.default_rng(seed)
    rows = []
    for pair in range(n_pairs):
        own = generator.normal(0, sd) if kind == "seed" else 0.0
        for branch_step, there in arms.items():
            drawn = {arm: generator.normal(0, sd / math.sqrt(2)) for arm in there}
            natural = {
                arm: CONTROL_D[branch_step] * _factor(factors, branch_step, *arm) * math.exp(own + noise)
                for arm, noise in drawn.items()
            }
            budget = max(EVERY * math.ceil(4 * natural["control", NONE] / EVERY), 5 * EVERY)
            for (arm, dose), over in there.items():
                for (event, threshold), share in EVENTS.items():
                    step = EVERY * math.ceil(natural[arm, dose] * share / EVERY)
                    is_censored = step > budget or arm == "random-labels"
                    bracket = (budget, NONE) if is_censored else (step - EVERY, step)
                    place = (f"{kind} {pair}", kind, over, NONE, branch_step)
                    rows.append((arm, dose, *place, event, threshold, *bracket, budget, True, ""))
    return pd.DataFrame(rows, columns=COLUMNS)


def _factor(factors: Factors, branch_step: int, arm: str, dose: float) -> float:
    return factors.get((branch_step, arm, dose), factors.get((arm, dose), factors.get(arm, 1.0)))


# --- worlds in which one theory is true

_PERPENDICULAR = {"perpendicular": 0.7, "perpendicular-norm": 0.7}


def null_world(n_pairs: int, sd: float, seed: int, kind: str = "seed", arms: Arms = ARMS) -> pd.DataFrame:
    """No arm does anything."""
    return simulated({}, n_pairs, sd, seed, kind, arms)


def norm_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """The norm itself delays, whatever the scale of the logits and the loss: 1.15 x doubles D, .85 x halves it."""
    names = (
        "norm",
        "norm-at-margin",
        "norm-rate",
        "norm-squared",
        "norm-at-margin-squared",
        "norm-at-margin-eps",
    )
    factors = {(name, dose): factor for name in names for dose, factor in ((0.85, 0.5), (1.15, 2.0))}
    return simulated(factors | _PERPENDICULAR, n_pairs, sd, seed, kind)


def logit_scale_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """The norm delays through the scale of the logits: nothing is left of it at the control's margin.

    Under squared error the scale does not matter, and the norm keeps what it has of its own.
    """
    factors = {("norm", 0.85): 0.5, ("norm", 1.15): 2.0, "norm-squared": 1.5, "norm-at-margin-squared": 1.45}
    return simulated(factors | _PERPENDICULAR, n_pairs, sd, seed, kind)


def turning_world(
    n_pairs: int, sd: float, seed: int, kind: str = "seed", *, norm_as_such: bool = False
) -> pd.DataFrame:
    """The way is one angle, and a larger norm turns more slowly: at one speed of turning it does nothing.

    Args:
        norm_as_such: the opposite: the norm delays at any speed of turning, and that speed does nothing.
    """
    names = ("norm", "norm-at-margin", *(["norm-turning"] if norm_as_such else []))
    factors = {(name, dose): factor for name in names for dose, factor in ((0.85, 0.8), (1.15, 1.5))}
    speeds = {} if norm_as_such else {("turning", 0.5): 2.0, ("turning", 2.0): 0.5}
    return simulated(factors | speeds | _PERPENDICULAR, n_pairs, sd, seed, kind, WITH_TURNING)


def turning_levels(arms: pd.DataFrame) -> pd.DataFrame:
    """The angle at the event, the same in every arm but for a few percent by pair."""
    rows = _at_one_event(arms[arms["branch_step"] == MAIN])
    by_pair = {pair: 1 + 0.03 * i for i, pair in enumerate(dict.fromkeys(rows["pair"]))}
    wobble = 1 + 0.02 * np.sin(np.arange(len(rows)))
    return _levels(rows, "angle_at_event", rows["pair"].map(by_pair) * wobble)


def steady_levels(arms: pd.DataFrame) -> pd.DataFrame:
    """The angle at the event where every arm turns as fast: as far as it took steps."""
    rows = _at_one_event(arms[arms["branch_step"] == MAIN])
    return _levels(rows, "angle_at_event", 3e-4 * rows["step"])


def circuit_progress_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """Progress is stored in the key frequencies: without it the wait starts again, the more so the later.

    D(keys-back) - D(control) is 1800 from the main branch step and 2400 from the later one.
    """
    factors = {
        "keys-back": 1.6,
        (LATER, "keys-back", NONE): 2.6,
        "keys-ahead": 0.6,
        "keep-subnetwork": 0.7,
        "keep-key-neurons": 0.7,
    }
    return simulated(factors, n_pairs, sd, seed, kind)


def frequency_lottery_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """Which frequency wins is decided by its size at the start (`frequency_lottery_levels`); when, is not."""
    return simulated({}, n_pairs, sd, seed, kind)


def frequency_lottery_levels(arms: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Whether the raised frequency is in the final key set: with 90 %, and 5 % for the sham."""
    generator = np.random.default_rng(seed)
    rows = _at_one_event(arms, ["frequency-raised", "frequency-raised-sham"])
    chance = np.where(rows["arm"] == "frequency-raised", 0.9, 0.05)
    return _levels(rows, "in_final_keys", (generator.random(len(rows)) < chance).astype(float))


# --- traps


def clamp_as_sham_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """The act of clamping speeds up by .77 at any size, 1.0 x included; the norm does nothing, and neither does replay.

    Who takes the clamp at 1.0 x for a sham sees nothing wrong; who compares clamps with the control sees a norm effect.
    """
    clamps = {("clamp", dose): "control" for dose in (0.85, 1.0, 1.15)}
    return simulated({"clamp": 0.77}, n_pairs, sd, seed, kind, ARMS | {MAIN: _MAIN | clamps})


def endogenous_axis_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """No arm does anything; `endogenous_axis_levels` has a quantity that follows D by construction."""
    return simulated({}, n_pairs, sd, seed, kind)


def endogenous_axis_levels(arms: pd.DataFrame) -> pd.DataFrame:
    """The norm at the event, which decays with time and causes nothing: late events have small norms."""
    rows = _at_one_event(arms[arms["branch_step"] == MAIN])
    return _levels(rows, "norm_at_event", 60 * np.exp(-rows["step"] / 10_000))


def eps_frozen_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """Arms with a held norm stand still because their gradients lie below eps; the manipulation check says so.

    With eps 1e-25 the same arms do nothing to D.
    """
    arms = simulated({}, n_pairs, sd, seed, kind)
    is_frozen = arms["arm"].isin(["norm", "norm-at-margin", "norm-rate", "no-decay-float32"])
    frozen = {"before": arms["budget"], "step": NONE, "valid": False}
    for name, value in frozen.items():
        arms[name] = arms[name].mask(is_frozen, value)
    arms["why_not"] = arms["why_not"].mask(is_frozen, "95 % of the entries have sqrt(v) below eps")
    return arms.astype({"valid": bool})


def censored_control_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """No control comes within its budget of 2000 steps, nor does any arm but norm at .85, at an eighth of the time."""
    arms = simulated({("norm", 0.85): 0.125}, n_pairs, sd, seed, kind)
    arms = arms[arms["branch_step"] == MAIN].reset_index(drop=True)
    arms["budget"] = 2000
    is_late = (arms["arm"] != "norm") | (arms["dose"] != 0.85)
    return arms.assign(before=arms["before"].mask(is_late, 2000), step=arms["step"].mask(is_late))


def evaluation_floor_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """The norm world, looked at so rarely that every event has come by the first evaluation."""
    arms = norm_world(n_pairs, sd, seed, kind)
    return arms.assign(before=0, step=100_000, budget=400_000)


def hindsight_world(n_pairs: int, sd: float, seed: int, kind: str = "seed") -> pd.DataFrame:
    """No arm does anything; `hindsight_observed` has a measure that foretells with the keys of the end alone."""
    return simulated({}, n_pairs, sd, seed, kind)


def hindsight_observed() -> pd.DataFrame:
    """Restricted loss of a parent that groks between 5000 and 6000, with the keys of the end and with its own.

    Columns:
        step, test_loss, test_accuracy.
        restricted_loss_of_end: with the key set of the end; falls from 1000 on.
        restricted_loss_leak_free: with the key set of that checkpoint alone; falls with the test loss.
    """
    step = np.arange(0, 8001, 100)
    jump = 1 / (1 + np.exp(-(step - 5500) / 150))
    return pd.DataFrame(
        {
            "step": step,
            "test_loss": 5 * (1 - jump) + 1e-3,
            "test_accuracy": 0.1 + 0.9 * jump,
            "restricted_loss_of_end": 5 * np.exp(-np.clip(step - 1000, 0, None) / 1000),
            "restricted_loss_leak_free": 5 * (1 - jump) + 1e-3,
        }
    )


def _at_one_event(arms: pd.DataFrame, names: list[str] | None = None) -> pd.DataFrame:
    """A row an arm and pair, of the event that the worlds' effects are told at."""
    is_it = (arms["event"] == "test_accuracy") & (arms["threshold"] == 0.95)
    return arms[is_it & (arms["arm"].isin(names) if names else True)].reset_index(drop=True)


def _levels(rows: pd.DataFrame, quantity: str, value) -> pd.DataFrame:
    """A table of values that are no times, of rows of an arms table."""
    place = rows[["arm", "dose", "pair", "kind", "reference", "reference_dose", "branch_step"]]
    return place.assign(quantity=quantity, value=value, valid=True, why_not="")
