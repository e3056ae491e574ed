"""How fast the patterns of a task are learned: the sigmoids of Davies et al. 2023, fitted to what was measured.

Their picture: each pattern is picked up along a sigmoid of its own, and which of them answers decides the test error.
Three can be told apart in a run with wrong labels, by the rows that only they answer: the rule on rows with right
labels, single rows by heart on wrong labels, and whatever carries over to new rows.

Their sigmoid is one in steps, gamma / (1 + exp(-alpha (t - b))), of a toy model that is fitted to no run, and of one
pattern: a row is answered if any of its patterns answers it, so that an accuracy is one sigmoid only where one pattern
acts alone, as it is taken to here. Along real runs, which spend as long on the tenth step as on the ten thousandth,
those who went on from it fit one in a power of ln(step). Both are fitted here, the power 1; `residual` says which of
them a curve is.

References: Davies, Langosco and Krueger 2023, "Unifying grokking and double descent", and their notebook
(xanderdavies/unifying-grok-dd, toy_grok_dd.ipynb); jqhoogland/pattern-learning, fit.py (fits after a logarithm).
"""

from typing import Any

import numpy as np
import pandas as pd

# By the split of the probe `losses`.
PATTERNS = {"train": "right labels", "corrupted": "wrong labels", "test": "new rows"}
# Of a curve with four numbers a fit of three says nothing.
LEAST_POINTS = 6
# What a sigmoid is one in.
STEPS, LOGARITHM = "step", "ln step"


def patterns(losses: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of each pattern along the steps, mean over runs.

    Args:
        losses: of the probe, runs that are alike, with wrong labels.

    Columns: pattern, step, accuracy.
    """
    of = losses[losses["split"].isin(PATTERNS)]
    table = of.groupby(["split", "step"], observed=True, sort=True)["accuracy"].mean().reset_index()
    return pd.DataFrame(
        {
            "pattern": table["split"].astype(str).map(PATTERNS),
            "step": table["step"],
            "accuracy": table["accuracy"],
        }
    )


def speeds(table: pd.DataFrame) -> pd.DataFrame:
    """The sigmoids of each pattern: accuracy = floor + (gamma - floor) / (1 + exp(-alpha (t - b))).

    Here t is the step or its logarithm. The floor is the accuracy at step 0, where nothing has been learned. Read
    `residual` first: what is learned, lost and learned again is no sigmoid in either, and what is none in steps has no
    speed in them.

    Args:
        table: of `patterns`.

    Columns: pattern, time ("step" or "ln step", what the sigmoid is one in), gamma (where it ends), alpha (per step, or
    per e-fold of steps), half_step (the step of b), residual (root mean square); missing where there are fewer than six
    checkpoints or the fit does not settle.
    """
    found = [
        {"pattern": name, "time": time, **_fitted(part, time)}
        for name, part in table.groupby("pattern", sort=False)
        for time in (LOGARITHM, STEPS)
    ]
    return pd.DataFrame(
        found, columns=["pattern", "time", "floor", "gamma", "alpha", "half_step", "residual"]
    )


def sigmoid(
    step: Any, floor: float, gamma: float, alpha: float, half_step: float, time: str = LOGARITHM
) -> np.ndarray:
    """The curve that `speeds` fits."""
    step = np.asarray(step, dtype=float)
    since = step - half_step if time == STEPS else np.log(np.maximum(step, 1e-9)) - np.log(half_step)
    return floor + (gamma - floor) / (1 + np.exp(-np.clip(alpha * since, -50, 50)))


def _fitted(part: pd.DataFrame, time: str) -> dict[str, float]:
    # Takes longer to load than all else here.
    from scipy.optimize import curve_fit

    part = part.sort_values("step")
    later = part[part["step"] > 0]
    steps, y = later["step"].to_numpy(dtype=float), later["accuracy"].to_numpy(dtype=float)
    floor = float(part["accuracy"].iloc[0])
    unknown = dict.fromkeys(("gamma", "alpha", "half_step", "residual"), float("nan"))
    if len(y) < LEAST_POINTS or np.ptp(y) == 0:
        return {"floor": floor, **unknown}
    middle = steps[int(np.argmin(np.abs(y - (floor + y[-1]) / 2)))]
    # Speeds in units of one over the middle: of a curve that is as steep in either, 2 per e-fold is 2 / middle a step.
    unit = middle if time == STEPS else 1.0

    def curve(steps: np.ndarray, gamma: float, alpha: float, log_half: float) -> np.ndarray:
        return sigmoid(steps, floor, gamma, alpha / unit, float(np.exp(log_half)), time)

    log = np.log(steps)
    bounds = ([0.0, 0.05, log[0] - 3], [1.0, 50.0, log[-1] + 3])
    start = (float(np.clip(y[-1], 0.01, 0.99)), 2.0, float(np.log(middle)))
    try:
        (gamma, alpha, log_half), _ = curve_fit(curve, steps, y, p0=start, bounds=bounds, maxfev=2000)
    except RuntimeError:
        return {"floor": floor, **unknown}
    return {
        "floor": floor,
        "gamma": float(gamma),
        "alpha": float(alpha) / unit,
        "half_step": float(np.exp(log_half)),
        "residual": float(np.sqrt(np.square(curve(steps, gamma, alpha, log_half) - y).mean())),
    }
