"""The figures of a page, each from the account of a run."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from interp.figures import (
    arm_lines,
    branch_curves,
    effect_intervals,
    effect_legend,
    loss_curves,
    order_brackets,
    phase_bands,
    phase_legend,
    progress_curves,
    style,
    total_norm_curve,
    values_by_arm,
    verdict_grid,
    verdict_legend,
)
from interp.report.account import Account
from interp.tables.key_frequencies import followed_name
from interp.theories.arms_table import BRANCH, named
from interp.theories.statistic import EVENT, THRESHOLD, DoseTrend, Equal, Statistic, arms_of
from interp.theories.verdict import Verdict

CHECKPOINTS, NOT_MEASURED = "checkpoints", "not measured"
MOST_ARMS = 6
# Inches: a row of a figure that lists things.
ROW = 0.19

Arm = tuple[str, float | None]


def main_pictures(account: Account) -> dict[str, Figure]:
    """The figures that a page shows whole, by name, laid out once for all the files that they go into."""
    drawn = {"timeline": timeline(account), "scoreboard": scoreboard(account)}
    if len(account.effects):
        drawn["arms"] = arms(account)
    if (figure := turning(account)) is not None:
        drawn["turning"] = figure
    for figure in drawn.values():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return drawn


def timeline(account: Account) -> Figure:
    """Losses, progress measures and norm of the parent, and when each thing began."""
    # In a column their names take two lines.
    below = 0.75 + (1.5 if style.is_column() else 1.0) * ROW * max(len(account.moves), 3)
    figure, (upper, lower) = style.new_bands([style.height_of(3, 2.9), below])
    losses, progress, norm = style.panels(upper, 3)
    order = lower.subplots()
    measures, norms = (
        account.observed.get(name, pd.DataFrame()) for name in ("progress_measures", "weight_norms")
    )
    loss_curves(account.observed, losses)
    has_spectrum = len(account.observed.get("logit_spectrum", ())) > 0
    key = followed_name(account.observed) if has_spectrum else "key set"
    progress_curves(measures, progress, key=key, fontsize=style.SMALL, ncols=2)
    if len(norms):
        total_norm_curve(norms, norm)
    else:
        style.note_instead(norm)
    order_brackets(account.moves, order)
    steps = _steps(account)
    for ax in (losses, progress, norm, order):
        if ax.axison:
            phase_bands(account.phases, ax, alpha=0.3, lw=0.0, edge=True)
            # Names of what began leave little of a column.
            n_ticks = 2 if ax is order and style.is_column() else 4
            style.step_axis(ax, steps, "linear", n_ticks=n_ticks)
    style.label_panels([losses, progress, norm, order])
    phase_legend(upper, account.phases)
    return figure


def _steps(account: Account) -> list[int]:
    tables = [t for t in account.observed.values() if "step" in t and len(t)]
    return sorted({int(s) for t in tables for s in (t["step"].min(), t["step"].max())}) if tables else [0, 1]


def arms(account: Account) -> Figure:
    """Every effect on the main event as an interval."""
    return effects_figure(account.effects)


def effects_figure(effects: pd.DataFrame) -> Figure:
    """Effects as intervals, a row an effect."""
    table = effects.assign(label=[plain(label) for label in effects.get("label", [])])
    figure, axes = style.new_figure(height=1.1 + ROW * max(len(table), 3))
    effect_intervals(table, axes[0, 0])
    grow(figure)
    if len(table):
        effect_legend(figure, table)
    return figure


def grow(figure: Figure) -> None:
    """A list whose names take several lines is higher: a row has room for one and a half."""
    lines = [label.get_text().count("\n") for label in figure.axes[0].get_yticklabels()]
    figure.set_figheight(figure.get_figheight() * (1 + 0.3 * max(lines, default=0)))


def turning(account: Account) -> Figure | None:
    """Steps to the main event beside the angle that the weights turned through on the way, arm by arm.

    None where fewer than three arms of the main branch step recorded both.
    """
    table = turned(account)
    return turning_figure(table) if table["label"].nunique() >= 3 else None


def turning_figure(table: pd.DataFrame) -> Figure:
    """Steps to the main event beside the angle on the way, the quickest arm on top.

    Args:
        table: of `turned`.
    """
    names = list(table.groupby("label", sort=False)["steps"].median().sort_values(kind="stable").index)
    n_rows = style.rows_of(2)
    figure, grid = style.new_figure(n_rows, 2 // n_rows, height=n_rows * (0.8 + ROW * len(names)))
    steps, angle = grid.flat
    axis = f"steps from the branch to {EVENT.replace('_', ' ')} {THRESHOLD:g}"
    values_by_arm(table, steps, quantity="steps", arms=names, axis=axis, scale="log")
    axis = "angle that the weights turned through (rad)"
    values_by_arm(table, angle, quantity="angle", arms=names, axis=axis)
    if n_rows == 1:
        angle.set_yticks(range(len(names)), [""] * len(names))
        angle.set_ylabel("")
    return figure


def turned(account: Account) -> pd.DataFrame:
    """A row an arm and pair of the main branch step that came to the main event with its checks passed.

    Columns:
        label, steps, angle: since the branch; radians.
    """
    if not len(account.levels) or not len(account.arms):
        return pd.DataFrame(columns=["label", "steps", "angle"])
    arms, levels = account.arms, account.levels
    came = arms[(arms["event"] == EVENT) & (arms["threshold"] == THRESHOLD) & arms["valid"].astype(bool)]
    came = came[came["branch_step"] == account.main_step].dropna(subset=["step"])
    angle = levels[(levels["quantity"] == "angle_at_event") & levels["value"].notna()]
    both = came.merge(angle[[*BRANCH, "value"]], on=BRANCH)
    labels = [plain(named(arm, dose)) for arm, dose in zip(both["arm"], both["dose"], strict=True)]
    return pd.DataFrame({"label": labels, "steps": both["step"], "angle": both["value"]})


def scoreboard(account: Account) -> Figure:
    """Theories against arms and observations, a sign a prediction."""
    return grid_figure(grid(account.rows))


def grid_figure(table: pd.DataFrame) -> Figure:
    """Verdicts, a row a theory.

    Args:
        table: of `grid`.
    """
    theories, columns = list(dict.fromkeys(table["theory"])), columns_of(table)
    width = max(style.current().width, 1.6 + ROW * len(columns))
    figure, axes = style.new_figure(height=1.9 + ROW * max(len(theories), 3), width=width)
    # The layout keeps too little room for the names, which stand aslant above their columns.
    figure.set_layout_engine("constrained", h_pad=0.12)
    verdict_grid(table, axes[0, 0], theories=theories, columns=columns)
    verdict_legend(figure, table)
    return figure


def grid(rows: tuple[Verdict, ...]) -> pd.DataFrame:
    """A row a prediction and thing that it was tried on: the arm that a prediction is about, or the checkpoints.

    Columns:
        theory, column, verdict.
    """
    cells = [(row.prediction.theory, _column(row), row.verdict) for row in rows]
    return pd.DataFrame(cells, columns=["theory", "column", "verdict"])


def columns_of(table: pd.DataFrame) -> list[str]:
    """The columns of a grid: checkpoints first, arms in their order, what nothing measures last."""
    ends = {CHECKPOINTS: -1, NOT_MEASURED: 1}
    return sorted(dict.fromkeys(table["column"]), key=lambda name: ends.get(name, 0))


def _column(row: Verdict) -> str:
    kind = row.prediction.statistic.kind
    if kind == "absent":
        return NOT_MEASURED
    names = arms_of(row.prediction.statistic)
    if kind == "spread" or len(names) > 3:
        return "several arms"
    return names[0] if names else CHECKPOINTS


@dataclass(frozen=True, eq=False)
class Curves:
    """What is drawn of a prediction's arms: the curves with their labels, the two quantities, a line an arm."""

    table: pd.DataFrame
    quantities: tuple[str, str]
    lines: dict[str, dict[str, Any]]


def curves_of(row: Verdict, account: Account) -> Curves | None:
    """The curves of a prediction's arms, with the control beside: test accuracy, and norm or margin.

    None where none of them was trained.
    """
    wanted = arms_with_doses(row.prediction.statistic, account.arms)
    if not wanted:
        return None
    table = arm_curves(
        account, list(dict.fromkeys([*wanted, ("control", None)]))[:MOST_ARMS], _kind(row, account)
    )
    if table is None:
        return None
    has_margin = "margin" in table and bool(table["margin"].notna().any())
    beside = "margin" if _is_of_margin(row) and has_margin else "norm"
    lines = trial_lines(account)
    return Curves(table, (EVENT, beside), {label: lines[label] for label in dict.fromkeys(table["label"])})


def trial_lines(account: Account) -> dict[str, dict[str, Any]]:
    """Colour, dashes and label of each arm of a trial, the same wherever it is drawn."""
    return arm_lines(label_of(arm, dose) for arm, dose, _ in account.curves)


def label_of(arm: str, dose: float | None) -> str:
    """What an arm at a dose is called."""
    return named(arm, float("nan") if dose is None else dose)


def branches(found: Curves, note: str = "") -> Figure:
    """Two panels of curves since the branch, with a note below.

    Placed by hand: there are many of them, and to find their places takes longer than to draw them.
    """
    lines = {plain(label): line | {"label": plain(label)} for label, line in found.lines.items()}
    table = found.table.assign(label=[plain(label) for label in found.table["label"]])
    # A line of the note is 0.12 inches, and holds about 110 letters.
    above, below = 0.12 + 0.1 * -(-len(lines) // 2), 0.55 + 0.12 * -(-len(note) // 110)
    height = 1.5 + above + below
    figure, axes = style.new_figure(1, 2, height=height)
    figure.set_layout_engine("none")
    for i, ax in enumerate(axes[0]):
        ax.set_position((0.08 + 0.5 * i, below / height, 0.4, 1.5 / height))
    branch_curves(table, axes[0, 0], quantity=found.quantities[0], lines=lines, threshold=THRESHOLD)
    branch_curves(table, axes[0, 1], quantity=found.quantities[1], lines=lines)
    if axes[0, 1].get_legend() is not None:
        axes[0, 1].get_legend().remove()
    style.note_below(figure, [plain(note)])
    return figure


def arms_with_doses(statistic: Statistic, arms: pd.DataFrame) -> list[Arm]:
    """The arms of a statistic with the doses at which it takes them, those that it is about first."""
    if isinstance(statistic, Equal):
        return [arm for a, d, b, e in statistic.comparisons for arm in ((a, d), (b, e))]
    if isinstance(statistic, DoseTrend):
        names = [statistic.arm, *([statistic.over] if statistic.over else [])]
        return [(name, dose) for name in names for dose in _doses(arms, name)]
    fields = ("matched", "moved", "arm", "over")
    named_fields = [
        (getattr(statistic, f), getattr(statistic, _dose_of(f), None))
        for f in fields
        if getattr(statistic, f, None)
    ]
    return list(dict.fromkeys(named_fields))


def _dose_of(field: str) -> str:
    return "dose" if field == "arm" else f"{field}_dose"


def _doses(arms: pd.DataFrame, name: str) -> list[float]:
    return sorted(set(arms.loc[arms["arm"] == name, "dose"].dropna())) if len(arms) else []


def _kind(row: Verdict, account: Account) -> str:
    there = {kind for _, _, kind in account.curves}
    return "seed" if row.status == "this recipe" or there == {"seed"} else "jitter"


def _is_of_margin(row: Verdict) -> bool:
    return any("margin" in name for name in arms_of(row.prediction.statistic))


def arm_curves(account: Account, wanted: list[Arm], kind: str) -> pd.DataFrame | None:
    """The curves of these arms from one branch step, with labels; None unless one besides the control is there."""
    steps = account.lock.branch_steps if account.lock else ()
    parts: list[pd.DataFrame] = []
    at: int | None = None
    for arm, dose in wanted:
        mine = account.curves.get((arm, dose, kind))
        if mine is None:
            continue
        there = set(mine["branch_step"])
        if at is None:
            at = next((int(step) for step in steps if step in there), int(min(there)))
        if at in there:
            parts.append(mine[mine["branch_step"] == at].assign(label=label_of(arm, dose)))
    # The control alone shows nothing, unless the prediction is about it.
    if not parts or ({part["arm"].iloc[0] for part in parts} == {"control"} and wanted[0][0] != "control"):
        return None
    return pd.concat(parts, ignore_index=True)


def plain(label: str) -> str:
    """A label as matplotlib prints it letter by letter."""
    # A dollar begins mathematics.
    return label.replace("$", r"\$")
