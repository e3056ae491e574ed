"""What was tried on a run, for the page: arms as curves, predictions as they were locked, and what came of each.

From an account alone (`interp.report.account`); only `told_trial` measures what an account needs of the run itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from interp.figures.branches import median_curve
from interp.figures.scoreboard import VERDICTS
from interp.ground.plain_text import number_of
from interp.report.account import Account, account
from interp.report.page import check_rows
from interp.report.pictures import arms_with_doses, columns_of, grid, label_of, trial_lines
from interp.report.sentences import answer, number, plain, rival_said, spanned, within
from interp.tables.wording import QUANTITIES
from interp.theories import ALL
from interp.theories.arms_table import named
from interp.theories.statistic import EVENT, THRESHOLD, Region, described
from interp.theories.verdict import Verdict
from interp.views.page_lines import page_line

if TYPE_CHECKING:
    from interp.runs.run import Run

# Points of a curve: of a branch of one pair.
MOST_POINTS = 120
LOG = ("test_loss", "train_loss")
# Darker than in a figure: small white words on it have to be read.
SHADES = {"contradicted": "#A04F00"}
COMMANDS = ("interp predict RUN", "interp battery RUN --budget 2h", "interp report RUN")
TABLES = ("arms", "checks", "levels", "effects")


def tried(told: Account) -> dict[str, Any]:
    """What the page says of the trial of a run; without one, of what its checkpoints say of each prediction.

    Curves have at most 120 points a branch: evenly thinned, first and last kept, and the two on either side of the
    event (test accuracy reaches 0.95).
    """
    cells = grid(told.rows)
    return {
        "lock": _lock(told),
        "answer": [{"text": s.text, "status": s.status, "verdict": s.verdict} for s in answer(told)],
        "commands": [told.command(command) for command in COMMANDS],
        "verdicts": {name: [SHADES.get(name, shade), *rest] for name, (shade, *rest) in VERDICTS.items()},
        "theories": _theories(told.rows),
        "columns": columns_of(cells),
        "predictions": [
            _prediction(i, row, column, told)
            for i, (row, column) in enumerate(zip(told.rows, cells["column"], strict=True))
        ],
        "checks": _checks(told.checks),
        "effects": _effects(told),
        "quantities": [
            {"name": name, "label": label, "scale": "log" if name in LOG else "linear"}
            for name, label in QUANTITIES.items()
            if any(name in table and table[name].notna().any() for table in told.curves.values())
        ],
        "threshold": THRESHOLD,
        "arms": _arms(told),
        "thinned": any(len(part) > MOST_POINTS for part in _branches(told.curves)),
    }


def told_trial(run: "Run", source: str, trial: Path | None = None, device: str = "cpu") -> dict[str, Any]:
    """What the page says of a run's trial, with the tables that its numbers lead to under "tables".

    Args:
        source: what the run is called on the command line.
        trial: the folder; None for that of the run by its name, if there is one.

    Raises:
        ValueError: if the folder holds no trial, an edited lock, or one of another run.
    """
    from interp.analyses import explain

    told = account(explain.compute(run, device, trial), {"run": run.name, "path": source})
    return {**tried(told), "tables": trial_tables(told)}


def trial_tables(told: Account) -> dict[str, pd.DataFrame]:
    """The tables that the numbers of the trial lead to, by name; those that have rows."""
    found = {name: getattr(told, name) for name in TABLES}
    # Times of day as text, which JSON holds.
    return {
        f"trial_{name}": table.reset_index(drop=True).astype(
            dict.fromkeys(table.select_dtypes("datetimetz"), str)
        )
        for name, table in found.items()
        if len(table)
    }


def _lock(told: Account) -> dict[str, Any] | None:
    if told.lock is None:
        return None
    lock = told.lock
    counted = f"{number_of(len(lock.predictions), 'prediction')}, {len(lock.primary)} of them primary"
    return {"hash": lock.hash, "time": lock.time, "said": counted}


def _theories(rows: Sequence[Verdict]) -> list[dict[str, str]]:
    known = {theory.name: theory for theory in ALL}
    found = []
    for name in dict.fromkeys(row.prediction.theory for row in rows):
        about = known.get(name)
        found.append(
            {
                "name": name,
                "title": plain(name).capitalize(),
                "statement": about.statement if about else "",
                "source": about.source if about else "",
            }
        )
    return found


def _prediction(i: int, row: Verdict, column: str, told: Account) -> dict[str, Any]:
    of = row.prediction
    arms = [label_of(*arm) for arm in arms_with_doses(of.statistic, told.arms)] if of.arms else []
    return {
        "id": f"{of.theory}.{of.name}" + (f".{i}" if _is_repeated(row, told) else ""),
        "theory": of.theory,
        "name": plain(of.name),
        "column": column,
        "primary": of.primary,
        "status": row.status,
        "arms": arms,
        # As it was before anything was trained.
        "statement": of.statement,
        "source": of.source,
        "measured_as": described(of.statistic),
        "required": _region(of.required),
        "requires": within(of.required),
        "forbidden": _region(of.forbidden),
        "forbids": within(of.forbidden),
        "rival": of.rival,
        "rival_region": _region(of.rival_region),
        "rival_said": rival_said(of),
        "guards": [
            f"{guard.says} ({described(guard.statistic)}: {within(guard.region)})" for guard in of.guards
        ],
        "assumes": of.assumptions,
        "stress_test": of.stress_test,
        # What came of it.
        "verdict": row.verdict,
        "why": row.why,
        "said": spanned(row),
        "value": row.value,
        "low": row.low,
        "high": row.high,
        "elsewhere": [other.said for other in row.elsewhere],
        "does_not_show": of.does_not_show,
        "would_change": told.command(row.would_change),
    }


def _is_repeated(row: Verdict, told: Account) -> bool:
    """Whether a prediction is judged more than once: of this run, and of the recipe."""
    name = (row.prediction.theory, row.prediction.name)
    return sum((other.prediction.theory, other.prediction.name) == name for other in told.rows) > 1


def _region(region: Region | None) -> list[float | None] | None:
    return None if region is None else [region.low, region.high]


def _checks(checks: pd.DataFrame) -> list[dict[str, Any]]:
    if not len(checks):
        return []
    return check_rows(checks).reset_index(names="row").to_dict("records")


def _effects(told: Account) -> list[dict[str, Any]]:
    found = []
    for i, row in enumerate(told.effects.to_dict("records")):
        said = f"{number(row['ratio'])} ({number(row['low'])} to {number(row['high'])})"
        found.append(
            {
                "arm": named(row["arm"], row["dose"]),
                "row": i,
                "label": row["label"],
                "verdict": row["verdict"],
                "said": said,
                "n_pairs": int(row["n_pairs"]),
                "n_censored": int(row["n_censored"]),
                "why": row["why"],
            }
        )
    return found


def _branches(curves: Mapping[Any, pd.DataFrame]) -> list[pd.DataFrame]:
    return [
        part for table in curves.values() for _, part in table.groupby(["pair", "branch_step"], sort=False)
    ]


def _arms(told: Account) -> list[dict[str, Any]]:
    """The arms that left curves, the control first: kind of pairs, where they branch, a curve a pair, their median."""
    lines = trial_lines(told)
    order, found = list(lines), []
    for (arm, dose, kind), table in told.curves.items():
        label = label_of(arm, dose)
        for step, part in table.groupby("branch_step", sort=True):
            pairs = [_curve(str(pair), rows) for pair, rows in part.groupby("pair", sort=True)]
            found.append(
                {
                    "label": label,
                    "arm": arm,
                    "kind": kind,
                    "branch_step": int(step),
                    "pairs": pairs,
                    "median": _medians(part),
                    "line": page_line(lines[label]),
                }
            )
    return sorted(found, key=lambda one: (order.index(one["label"]), one["kind"], one["branch_step"]))


def _medians(part: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """The median over the pairs of each quantity, as figures draw it."""
    found = {}
    for name in QUANTITIES:
        known = part.dropna(subset=[name]) if name in part else part[:0]
        if not len(known):
            continue
        pairs = [
            (rows["since"].to_numpy(float), rows[name].to_numpy(float))
            for _, rows in known.sort_values("since", kind="stable").groupby("pair")
        ]
        curve = pd.DataFrame(dict(zip(("since", name), median_curve(pairs), strict=True)))
        curve = curve.iloc[thinned(curve)]
        found[name] = {"since": curve["since"].tolist(), "y": [_short(x) for x in curve[name]]}
    return found


def _curve(pair: str, rows: pd.DataFrame) -> dict[str, Any]:
    kept = rows.sort_values("since", kind="stable")
    kept = kept.iloc[thinned(kept)]
    values = {name: [_short(x) for x in kept[name]] for name in QUANTITIES if name in kept}
    return {"pair": pair, "since": kept["since"].astype(int).tolist(), **values}


def _short(x: Any) -> float:
    return float(f"{float(x):.5g}")


def thinned(rows: pd.DataFrame, most: int = MOST_POINTS) -> list[int]:
    """Which rows of a curve are kept: evenly, with the first, the last, and those on either side of the event."""
    n = len(rows)
    if n <= most:
        return list(range(n))
    kept = set(np.linspace(0, n - 1, most - 2).round().astype(int).tolist())
    if EVENT in rows:
        has_come = rows[EVENT].to_numpy(float) >= THRESHOLD
        if has_come.any() and not has_come[0]:
            first = int(has_come.argmax())
            kept |= {first - 1, first}
    return sorted(kept)
