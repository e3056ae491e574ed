"""Forecasts of the grokking step, beside what came."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd

NAMES = {
    "test_loss": "test loss", "gini_W_E": "Gini of $W_E$", "gini_W_L": "Gini of $W_L$",
    "mean": "mean of the others", "no_change": "no change",
}  # fmt: skip
COLOURS = {
    "test_loss": style.BLUE, "gini_W_E": style.GREEN, "gini_W_L": style.ORANGE, "mean": "0.6", "no_change": "0.35",
}  # fmt: skip


def forecast_points(tested: "pd.DataFrame", ax: Axes, *, colours: dict[Any, Any], of: str) -> Axes:
    """Forecast against what came, a point an answer with its interval where that has an end; never: on the right edge.

    Args:
        tested: of `interp.theories.backtest.backtest`, of one measure.
        colours: by the value of the column `of`.
    """
    answered = tested[tested["step"].notna()]
    came = answered[answered["event"].notna()]
    never = answered[answered["event"].isna()]
    if not len(came):
        style.note_instead(ax, "no answers")
        return ax
    low = min(came["event"].min(), answered["step"].min()) * 0.7
    high = float(np.nanmax([*came[["event", "step"]].max(), answered["budget"].max()])) * 1.3
    edge = high * 1.5
    for value, colour in colours.items():
        rows = came[came[of] == value]
        is_ended = np.isfinite(rows["high"]) & (rows["low"] > 0)
        bars = np.abs(rows[["low", "high"]].to_numpy(float) - rows[["step"]].to_numpy(float)).T
        bars = np.where(is_ended, bars, 0.0)
        ax.errorbar(
            rows["event"], rows["step"], yerr=bars, fmt="o", ms=2, mew=0, color=colour, elinewidth=0.3, alpha=0.5,
            label=str(value),
        )  # fmt: skip
        own = never[never[of] == value]
        ax.plot(np.full(len(own), edge), own["step"], "x", ms=3, mew=0.6, color=colour, alpha=0.7)
    ax.plot([low, high], [low, high], color="0.5", lw=0.6, ls=":", zorder=0)
    if len(never):
        ax.axvline(high * 1.15, color="0.8", lw=0.6)
        ax.annotate(
            "never", (edge, 0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
            ha="center", fontsize=style.SMALL, color="0.3",
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(low, edge * 1.3 if len(never) else high)
    ax.set_ylim(low, max(high, answered["step"].max()) * 1.2)
    ax.set_xlabel("grokking step")
    ax.set_ylabel("forecast (step)")
    return ax


def error_curves(tested: "pd.DataFrame", ax: Axes) -> Axes:
    """The mean absolute error in decades of each measure by how early it was asked; dashed what has to be beaten.

    Args:
        tested: of `interp.theories.backtest.backtest`, of all measures and one field.
    """
    scored = tested[tested["event"].notna() & tested["step"].notna()]
    log = np.log10(scored["event"])
    for measure, rows in scored.groupby("measure"):
        error = (log[rows.index] - np.log10(rows["step"])).abs().groupby(rows["multiple"]).mean()
        ax.plot(
            error.index, error, "o-", ms=2.5, lw=1, color=COLOURS[str(measure)], label=NAMES[str(measure)]
        )
    looks = tested[tested["event"].notna()].drop_duplicates(["run", "multiple"])
    for column in ("mean", "no_change"):
        error = (np.log10(looks["event"]) - np.log10(looks[column])).abs().groupby(looks["multiple"]).mean()
        ax.plot(error.index, error, "--", lw=1, color=COLOURS[column], label=NAMES[column])
    _multiples(ax, tested)
    ax.set_ylabel("mean error (decades)")
    ax.set_ylim(bottom=0)
    return ax


def answer_shares(tested: "pd.DataFrame", ax: Axes) -> Axes:
    """The share of looks that have an answer: of runs that grok, and dashed of runs that never do."""
    for measure, rows in tested.groupby("measure"):
        for is_never, line in ((False, "-"), (True, "--")):
            own = rows[rows["event"].isna() == is_never]
            within = own["step"] <= own["budget"] if is_never else own["step"].notna()
            share = within.groupby(own["multiple"]).mean()
            ax.plot(share.index, share, line, color=COLOURS[str(measure)], lw=1)
    _multiples(ax, tested)
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel("share with an answer")
    return ax


def _multiples(ax: Axes, tested: "pd.DataFrame") -> None:
    ax.set_xscale("log")
    values = sorted(tested["multiple"].unique())
    ax.set_xticks([v for v in values if v in (1.5, 3, 5, 10, 20, 50)])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("asked at (times the memorization step)")


def skill_bars(scores: "pd.DataFrame", ax: Axes) -> Axes:
    """Skill against the mean of each measure, a group a value that was left out; 0 is no better than the mean.

    Args:
        scores: of `interp.theories.backtest.scores`, of one field.
    """
    values = list(dict.fromkeys(scores.loc[scores["n_scored"] > 0, "value"]))
    if not values:
        style.note_instead(ax, "nothing was left out that has an answer")
        return ax
    measures = [name for name in NAMES if name in set(scores["measure"])]
    for i, measure in enumerate(measures):
        rows = scores[scores["measure"] == measure].set_index("value")
        for y, value in enumerate(values):
            if value not in rows.index or not np.isfinite(rows.loc[value, "skill_mean"]):
                continue
            at = y + 0.25 * (i - (len(measures) - 1) / 2)
            shown = max(float(rows.loc[value, "skill_mean"]), -1.0)
            ax.barh(at, shown, height=0.22, color=COLOURS[measure])
    ax.axvline(0, color="0.3", lw=0.6)
    ax.set_yticks(range(len(values)), [str(v) for v in values], fontsize=style.SMALL)
    ax.set_ylim(len(values) - 0.5, -0.5)
    ax.set_xlim(-1.02, 1.02)
    ax.set_xlabel("skill against the mean")
    ax.set_ylabel("left out")
    return ax
