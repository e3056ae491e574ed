"""Where a model begins to fit every label, and whether its test error has a second descent. Tables in, tables out.

A curve is what is known of one experiment at one setting and one share of wrong labels, over sizes (of the model, or of
the train set) or over steps; `CURVE` names it. Every row of `runs` is one run, or one draw, at one size.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

CURVE = ["experiment", "axis", "setting", "noise"]
MODEL, SAMPLE, EPOCH = "model size", "train rows", "steps"
# What a curve's setting is called where nothing else differs: a cell without text is read back as a missing one.
ONE_SETTING = "one setting"
# A bump lower than this many standard errors of the difference of two means is what one of noise makes.
STANDARD_ERRORS = 3.0
BRACKET, EXACT = ["outside", "inside"], ["exact_outside", "exact_inside"]
FOUND = ["peak_at", "peak", "valley_before", "valley_after", "height", "needed", "shows"]
# Steps are looked at in this many bins a decade: a single evaluation that is off is no descent.
BINS = 4


def curves(table: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Each curve and its rows, in the order of the table."""
    for key, rows in table.groupby(CURVE, sort=False, dropna=False):
        yield dict(zip(CURVE, key, strict=True)), rows


def by_size(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean over the runs of each size, and how far they lie apart.

    Columns: those of `CURVE`, size, n (runs), n_interpolating, then every number of `runs` by its name (mean over runs
    in which it is known), test_error_low and test_error_high (the least and the largest).
    """
    numbers = [c for c in runs.select_dtypes("number") if c not in (*CURVE, "size")]
    rows = []
    for curve, part in curves(runs):
        for size, of_size in part.groupby("size"):
            error = of_size["test_error"]
            rows.append(
                {
                    **curve,
                    "size": size,
                    "n": len(of_size),
                    "n_interpolating": int(of_size["interpolates"].sum()),
                    **of_size[numbers].mean().to_dict(),
                    "test_error_low": error.min(),
                    "test_error_high": error.max(),
                }
            )
    spread = ["test_error_low", "test_error_high"]
    return pd.DataFrame(rows, columns=[*CURVE, "size", "n", "n_interpolating", *numbers, *spread])


def thresholds(runs: pd.DataFrame) -> pd.DataFrame:
    """The interpolation threshold of each curve over sizes, with its bracket.

    A size fits if all of its runs have every train label right at their end, wrong labels included. Over model sizes
    the threshold is the first size that fits for good: it and all larger ones do. Over train rows it is the last number
    that fits with all smaller ones. It lies between `outside`, the next size that does not fit, and `inside`.

    To answer every label rightly takes less than to meet it exactly, with no squared error left: that threshold, where
    double descent has its peak, is known of runs that say `fits_exactly`.

    Columns: those of `CURVE`, outside, inside, and the same of the exact fit, exact_outside, exact_inside; missing
    where no size of the grid is on that side, or nothing says it.
    """
    rows = []
    for curve, part in curves(runs):
        found = dict(zip(BRACKET, _bracket(part, "interpolates", curve["axis"]), strict=True))
        exact = _bracket(part, "fits_exactly", curve["axis"])
        rows.append({**curve, **found, **dict(zip(EXACT, exact, strict=True))})
    return pd.DataFrame(rows, columns=[*CURVE, *BRACKET, *EXACT])


def _bracket(runs: pd.DataFrame, quantity: str, axis: str) -> tuple[float, float]:
    """Of the runs of one curve: the next size that does not fit, and the last that does."""
    if quantity not in runs or runs[quantity].isna().any():
        return np.nan, np.nan
    fits = runs[quantity].astype(bool).groupby(runs["size"]).all()
    # From the side that is easy to fit: large models, few rows.
    fits = fits[::-1] if axis == MODEL else fits
    n_inside = int(fits.cumprod().sum())
    sizes = fits.index.to_numpy(dtype=float)
    outside = sizes[n_inside] if n_inside < len(sizes) else np.nan
    return outside, sizes[n_inside - 1] if n_inside else np.nan


def descents(runs: pd.DataFrame, quantity: str = "test_error") -> pd.DataFrame:
    """Whether the mean of each curve over sizes rises and falls a second time, and how far, beside what noise does.

    Columns: those of `CURVE`, then as `second_descent`.
    """
    rows = []
    for curve, part in curves(runs):
        draws = part.assign(draw=part.groupby("size").cumcount()).pivot(
            index="size", columns="draw", values=quantity
        )
        rows.append({**curve, **second_descent(draws)})
    return pd.DataFrame(rows, columns=[*CURVE, *FOUND])


def second_descent(draws: pd.DataFrame) -> dict[str, Any]:
    """The highest bump of a curve: how far it rises above its least value before, and falls to the least one after.

    The height is the smaller of the two. Chosen as the highest, it is above zero for noise too: `needed` is three
    standard errors of the difference of two means, of the spread between draws that all points of the curve share.

    Args:
        draws: a row a place on the axis, ascending; a column a draw.

    Returns:
        peak_at, peak, valley_before, valley_after (values of the mean curve), height, needed (NaN where there is one
        draw), shows (whether the height is larger; None where that cannot be told, of one draw a place or of two
        places).
    """
    mean = draws.mean(axis=1)
    y, at = mean.to_numpy(), mean.index.to_numpy(dtype=float)
    needed = _needed(draws)
    nothing = {**dict.fromkeys(FOUND[:4], np.nan), "height": 0.0, "needed": needed}
    if len(y) < 3:
        return {**nothing, "shows": None}
    before = np.minimum.accumulate(y)[:-2]
    after = np.minimum.accumulate(y[::-1])[::-1][2:]
    heights = y[1:-1] - np.maximum(before, after)
    i = int(np.argmax(heights))
    height = float(heights[i])
    # A curve of one draw without a bump may have one in the mean.
    shows = None if np.isnan(needed) else height > needed
    if height <= 0:
        return {**nothing, "shows": shows}
    return {
        "peak_at": float(at[i + 1]),
        "peak": float(y[i + 1]),
        "valley_before": float(before[i]),
        "valley_after": float(after[i]),
        "height": height,
        "needed": needed,
        "shows": shows,
    }


def _needed(draws: pd.DataFrame) -> float:
    n = draws.count(axis=1)
    several = n > 1
    if not several.any():
        return float("nan")
    variance = float((draws[several].var(axis=1, ddof=1) * (n[several] - 1)).sum() / (n[several] - 1).sum())
    return STANDARD_ERRORS * float(np.sqrt(2 * variance / n.min()))


def binned(histories: pd.DataFrame) -> pd.DataFrame:
    """Train and test error of each run in bins of its steps, evenly in their logarithm.

    Columns: run, step (the last of the bin), train_error, test_error (means over the bin's evaluations).
    """
    table = histories.dropna(subset=["test_accuracy"])
    table = table[table["step"] > 0]
    table = table.assign(
        bin=np.floor(BINS * np.log10(table["step"].to_numpy(dtype=float))),
        train_error=1 - table["train_accuracy"],
        test_error=1 - table["test_accuracy"],
    )
    found = table.groupby(["run", "bin"], sort=False, observed=True).agg(
        step=("step", "max"), train_error=("train_error", "mean"), test_error=("test_error", "mean")
    )
    # Runs that end at one step share its place; those of other lengths have their own bins.
    return found.reset_index().drop(columns="bin")


def epoch_descents(along: pd.DataFrame) -> pd.DataFrame:
    """As `descents`, over the steps of each size.

    Args:
        along: columns of `CURVE`, size, run, step, test_error.

    Columns: those of `CURVE` (axis is "steps"), size, then as `second_descent`.
    """
    rows = []
    for curve, part in curves(along):
        for size, of_size in part.groupby("size"):
            draws = of_size.pivot_table(index="step", columns="run", values="test_error", observed=True)
            rows.append({**curve, "axis": EPOCH, "size": size, **second_descent(draws.dropna())})
    return pd.DataFrame(rows, columns=[*CURVE, "size", *FOUND])


def shown_sizes(along: pd.DataFrame, thresholds: pd.DataFrame) -> list[float]:
    """Of the sizes of one curve: one below the threshold, the one nearest to it, the largest."""
    sizes = sorted(float(size) for size in along["size"].unique())
    inside = thresholds["inside"].dropna()
    threshold = float(inside.iloc[0]) if len(inside) else sizes[len(sizes) // 2]
    at = min(sizes, key=lambda size: abs(np.log(size / threshold)))
    below = [size for size in sizes if size < at]
    return sorted({*([below[len(below) // 2]] if below else []), at, sizes[-1]})
