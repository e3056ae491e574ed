"""How do runs differ? Their curves over each other, by step and by the share of the way to the grokking step.

Up to eight runs: a curve a run. More: the median of each setting of what differs, with the quartiles of its runs as a
band; a row a setting of all fields but the one with the most values, which the colours tell. Where curves fall on each
other against step / grokking step, runs differ by their pace alone. Runs that have not grokked have no such axis and
are counted in compared.csv; a place that fewer than half of a group reach is not drawn.
"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from interp.analyses.many_runs import SWEEP, table_of
from interp.figures import overlaid_curves, style
from interp.figures.colours import ROUND
from interp.figures.phase_diagrams import shades
from interp.tables import overlays, shares
from interp.tables.folder import Tables
from interp.tables.wording import setting_text

subject = SWEEP

MOST_RUNS, MOST_ROWS = 8, 10
# The row of panels, where there is only one.
ALONE = "all"
QUANTITIES = ("test_accuracy", "train_accuracy", "test_loss", "train_loss")


def compute(gathered, device: str) -> Tables:
    runs = gathered.runs
    if "grokking_step" not in runs:
        raise ValueError(f"compare needs runs with evaluations, and {gathered.name} has none with a history.")
    fields = sorted(gathered.fields, key=lambda name: -runs[name].nunique())
    groups = _groups(runs, fields)
    named = {row["group"]: row["runs"] for row in groups}
    events = runs.dropna(subset=["grokking_step"]).set_index("run")["grokking_step"].astype(float).to_dict()
    curves, norms = gathered.histories(), _norms(gathered)
    parts: dict[str, list[pd.DataFrame]] = {"by_step": [], "by_grokking": []}
    for table, names in ((curves, QUANTITIES), (norms, ("total_norm",))):
        if not len(table):
            continue
        relative = overlays.relative_places(table, events)
        for quantity in names:
            parts["by_step"].append(overlays.overlay(table, quantity, named, overlays.step_places(table)))
            parts["by_grokking"].append(overlays.overlay(table, quantity, named, relative, events))
    about = [
        {"group": row["group"], "row": row["row"], "n": len(row["runs"])}
        | {"n_grokked": sum(run in events for run in row["runs"])}
        for row in groups
    ]
    joined = {name: pd.concat(tables, ignore_index=True) for name, tables in parts.items()}
    return {"compared": pd.DataFrame(about), **joined}


def _groups(runs: pd.DataFrame, fields: list[str]) -> list[dict[str, Any]]:
    """The groups in the order of their colours: name, row of panels, runs."""
    if len(runs) <= MOST_RUNS:
        return [{"group": name, "row": ALONE, "runs": [name]} for name in runs["run"]]
    found = []
    for row, part in shares.groups(runs, fields[1:]):
        for values, rows in shares.groups(part, fields[:1]):
            found.append(
                {
                    "group": setting_text(row | values) if row else setting_text(values),
                    "row": setting_text(row) if row else ALONE,
                    "runs": rows["run"].tolist(),
                }
            )
    return found


def _norms(gathered) -> pd.DataFrame:
    """The norm of all weights along each run, where it was measured or few runs are to be."""
    table = table_of(gathered, "weight_norms")
    if table is None:
        return pd.DataFrame()
    return table.loc[table["matrix"] == "total", ["run", "step", "l2"]].rename(columns={"l2": "total_norm"})


def draw(tables: Tables) -> Figure:
    groups, by_step, by_grokking = tables["compared"], tables["by_step"], tables["by_grokking"]
    rows = list(groups.groupby("row", sort=False))[:MOST_ROWS]
    columns = [
        ("test_accuracy", by_step, False),
        ("test_loss", by_step, False),
        ("test_accuracy", by_grokking, True),
    ]
    if (by_step["quantity"] == "total_norm").any():
        columns.append(("total_norm", by_grokking, True))
    height = (1.9 if len(rows) == 1 else 1.75) * style.rows_of(len(columns))
    figure, bands = style.new_bands([height] * len(rows))
    for band, (row, part) in zip(bands, rows, strict=True):
        axes = style.panels(band, len(columns))
        names = part["group"].tolist()
        # More than three differ in grey only as shades of an order.
        few = len(names) <= 3 and row == ALONE
        colours = dict(zip(names, ROUND if few else shades(len(names)), strict=False))
        for ax, (quantity, table, relative) in zip(axes, columns, strict=True):
            own = table[(table["quantity"] == quantity) & table["group"].isin(names)]
            overlaid_curves(own, ax, quantity=quantity, colours=colours, relative=relative)
        handles, labels = axes[0].get_legend_handles_labels()
        short = [label.removeprefix(f"{row}, ") for label in labels]
        style.figure_legend(
            band, handles, short, ncols=min(len(short), 4 if max(map(len, short)) > 20 else 8),
            title=None if row == ALONE else row, title_fontsize=style.SMALL,
        )  # fmt: skip
    left_out = groups["row"].nunique() - len(rows)
    style.note_below(figure, [f"{left_out} more settings are in the tables."] if left_out > 0 else [])
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    groups = tables["compared"]
    n, n_grokked = int(groups["n"].sum()), int(groups["n_grokked"].sum())
    return {
        "said": [f"{n} runs in {len(groups)} groups; {n_grokked} generalised for good by their end."],
        "compared": groups.to_dict("records"),
    }
