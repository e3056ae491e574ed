"""Pictures of what was tried on a run: its arms and their effects, verdicts, and what began when."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from interp.figures import arm_lines, bracket_text, branch_curves, order_brackets, style
from interp.ground.plain_text import listed
from interp.tables.folder import Tables
from interp.tables.transitions import Transition
from interp.views.pictures.captions import number
from interp.views.pictures.picture import Picture

# Beside their control.
N_CURVES = 4


def _told(make: Callable[[Any], Tables], why_not: str) -> Callable[..., Tables]:
    """`compute` of a picture of the account of a run: the tables that are drawn alone, verdicts take longer."""

    def compute(run, device: str) -> Tables:
        from interp.analyses.explain import compute
        from interp.report.account import account

        tables = make(account(compute(run, device), {"run": run.name, "path": str(run.path)}))
        lacking = [(name, why_not) for name, table in tables.items() if not len(table)]
        return {**tables, "does_not_apply": pd.DataFrame(lacking, columns=["table", "reason"])}

    return compute


def _trial_files(path: Path) -> list[Path]:
    """The files of the trial that the account of a run of this name rests on."""
    from interp.analyses.explain import trial_folder

    folder = trial_folder(path.name, None)
    return [] if folder is None else sorted(file for file in folder.rglob("*") if file.is_file())


def _effects(told: Any) -> Tables:
    return {"effects": told.effects}


def _draw_effects(tables: Tables) -> Figure:
    from interp.report.pictures import effects_figure

    return effects_figure(tables["effects"].fillna({"why": ""}))


def _effects_said(tables: Tables) -> str:
    table = tables["effects"]
    event, threshold = table["event"].iloc[0].replace("_", " "), table["threshold"].iloc[0]
    known = table[table["verdict"] != "not evaluable"]
    named = [f"{len(rows)} {verdict}" for verdict, rows in table.groupby("verdict", sort=False)]
    far = known.assign(far=(known["ratio"].clip(1e-9, 1e9)).map(lambda r: max(r, 1 / r))).nlargest(1, "far")
    most = "".join(f" The largest: {row.label}, ratio {number(row.ratio)}." for row in far.itertuples())
    return (
        f"Steps from the branch to {event} {threshold:g}, over those of the reference: ratio with its interval, a row "
        f"an effect; shaded: ratios that count as equal. {len(table)} effects: {listed(named)}.{most} Open bars: the "
        "event did not come within the budget in some pairs."
    )


def _branches(told: Any) -> Tables:
    """The curves of the arms whose effects are largest, from the main branch step, with their control."""
    from interp.report.pictures import arm_curves, trial_lines

    known = told.effects[told.effects["n_pairs"] > 0] if len(told.effects) else told.effects
    if not len(known):
        return {"branches": pd.DataFrame()}
    far = known["ratio"].clip(1e-9, 1e9).map(lambda ratio: max(ratio, 1 / ratio))
    mine = known.assign(far=far).sort_values("far", ascending=False)
    # Of several branch steps or kinds alone a table of effects says which.
    if "branch_step" in mine:
        mine = mine[mine["branch_step"] == told.main_step]
    if not len(mine):
        return {"branches": pd.DataFrame()}
    doses = [None if pd.isna(dose) else dose for dose in mine["dose"]]
    wanted = list(dict.fromkeys(zip(mine["arm"], doses, strict=True)))[:N_CURVES]
    table = arm_curves(
        told, [*wanted, ("control", None)], mine["kind"].iloc[0] if "kind" in mine else "jitter"
    )
    if table is None:
        return {"branches": pd.DataFrame()}
    return {"branches": table, "arms": pd.DataFrame({"label": list(trial_lines(told))})}


def _draw_branches(tables: Tables) -> Figure:
    from interp.report.pictures import plain
    from interp.theories.statistic import EVENT, THRESHOLD

    table = tables["branches"].assign(label=tables["branches"]["label"].map(plain))
    lines = arm_lines(tables["arms"]["label"].map(plain))
    figure, axes = style.new_figure(1, 2, height=2.4)
    branch_curves(table, axes[0, 0], quantity=EVENT, lines=lines, threshold=THRESHOLD)
    branch_curves(table, axes[0, 1], quantity="norm", lines=lines)
    if axes[0, 1].get_legend() is not None:
        axes[0, 1].get_legend().remove()
    style.label_panels(axes.flat)
    return figure


def _branches_said(tables: Tables) -> str:
    table = tables["branches"]
    n_pairs = table.groupby("label", sort=False)["pair"].nunique()
    arms = listed(f"{label} ({n} pairs)" for label, n in n_pairs.items())
    return (
        "Test accuracy (a) and the l2 norm of all weights (b) of the arms with the largest effects and of their "
        f"control, against the steps since their branch from step {table['branch_step'].iloc[0]}: {arms}. Thin: a pair "
        "each; thick: their median. The line across is the threshold of the event."
    )


def _moves(told: Any) -> Tables:
    # A step of its own is a checkpoint's.
    return {"moves": told.moves.rename(columns={"before": "after", "step": "by"})}


def _draw_moves(tables: Tables) -> Figure:
    from interp.report.pictures import ROW, grow

    table = tables["moves"].rename(columns={"after": "before", "by": "step"})
    figure, axes = style.new_figure(height=0.75 + ROW * max(len(table), 3))
    order_brackets(table, axes[0, 0])
    grow(figure)
    ends = table[["before", "step"]].max().max()
    n_ticks = 2 if style.is_column() else 5
    style.step_axis(axes[0, 0], [0, ends if ends > 0 else 1], "linear", n_ticks=n_ticks)
    return figure


def _moves_said(tables: Tables) -> str:
    begun = listed(
        f"{row.what} [{bracket_text(Transition('', None, _step(row.after), _step(row.by)))}]"
        for row in tables["moves"].itertuples()
    )
    return (
        "What began when: the bracket from the last checkpoint (or evaluation) without it to the first with it, in "
        f"training steps, the earliest on top: {begun}."
    )


def _step(value: float) -> int | None:
    return None if pd.isna(value) else int(value)


def _turned(told: Any) -> Tables:
    from interp.report.pictures import turned

    return {"turned": turned(told)}


def _draw_turned(tables: Tables) -> Figure:
    from interp.report.pictures import turning_figure

    return turning_figure(tables["turned"])


def _turned_said(tables: Tables) -> str:
    table = tables["turned"].groupby("label", sort=False)[["steps", "angle"]].median()
    angles = f"{table['angle'].min():.2f} to {table['angle'].max():.2f} rad"
    steps = f"{table['steps'].min():.0f} to {table['steps'].max():.0f}"
    return (
        "Steps from the branch to the event (log scale), beside the angle in radians that the weights turned through "
        f"on the way; a ring a pair, a bar at the median, the quickest arm on top. Medians of {len(table)} arms: "
        f"{steps} steps, {angles}."
    )


def _verdicts(told: Any) -> Tables:
    from interp.report.pictures import grid

    return {"verdicts": grid(told.rows)}


def _draw_verdicts(tables: Tables) -> Figure:
    from interp.report.pictures import grid_figure

    return grid_figure(tables["verdicts"])


def _verdicts_said(tables: Tables) -> str:
    table = tables["verdicts"]
    counts = listed(f"{len(rows)} {verdict}" for verdict, rows in table.groupby("verdict", sort=False))
    return (
        f"Verdicts on {len(table)} predictions of {table['theory'].nunique()} theories: a row a theory, a column the "
        f"arm that a prediction is about, or the checkpoints; several share a cell. {counts}."
    )


_NO_ARM = "no arm was trained from this run. interp predict and interp battery do that"

PICTURES = {
    "effect_intervals": Picture(
        shows="effect of each arm on the time to grokking, with its interval",
        compute=_told(_effects, _NO_ARM),
        draw=_draw_effects,
        caption=_effects_said,
        needs=("effects",),
        reads=_trial_files,
    ),
    "branch_curves": Picture(
        shows="test accuracy and norm of the arms with the largest effects, since their branch",
        compute=_told(_branches, _NO_ARM),
        draw=_draw_branches,
        caption=_branches_said,
        needs=("branches",),
        reads=_trial_files,
    ),
    "values_by_arm": Picture(
        shows="steps to grokking and the angle that the weights turned through, arm by arm",
        compute=_told(_turned, _NO_ARM),
        draw=_draw_turned,
        caption=_turned_said,
        needs=("turned",),
        reads=_trial_files,
    ),
    "order_brackets": Picture(
        shows="what began when, and in which order",
        compute=_told(_moves, "no table says when anything began"),
        draw=_draw_moves,
        caption=_moves_said,
        needs=("moves",),
        reads=_trial_files,
    ),
    "verdict_grid": Picture(
        shows="verdicts on the predictions of every theory",
        compute=_told(_verdicts, "no theory predicts anything of it"),
        draw=_draw_verdicts,
        caption=_verdicts_said,
        needs=("verdicts",),
        reads=_trial_files,
    ),
}
