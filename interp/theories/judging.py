"""An arms table, judged: the door that the command and notebooks use, and the folder of tables that it writes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from interp.ground import html_card
from interp.ground.plain_text import number_of
from interp.ground.provenance import versions
from interp.tables.folder import write_tables
from interp.theories.arms_table import check_arms, read_arms
from interp.theories.doses import dose_curves
from interp.theories.effects import effects_and_reasons


@dataclass(frozen=True, eq=False)
class Judged:
    """What an arms table says.

    Attributes:
        effects: a row an effect, as `interp.theories.effects.effects` has it.
        doses: a row a dose curve, as `interp.theories.doses.doses` has it.
        reasons: why effects are undecided or not evaluable, and why pairs were left out
            (`interp.theories.effects.effects_and_reasons`).
        arms: the table, checked.
    """

    effects: pd.DataFrame
    doses: pd.DataFrame
    reasons: pd.DataFrame
    arms: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"Judged({number_of(len(self.effects), 'effect')} of {number_of(len(self.arms), 'row')} of arms)"
        )

    def __str__(self) -> str:
        return "\n".join([repr(self), *("  ".join(row) for row in self._rows())])

    def _repr_html_(self) -> str:
        columns = ("arm", "compared with", "event", "pairs", "ratio of times", "verdict")
        return html_card.shown_anyway("Effects", lambda: [html_card.grid(columns, self._rows())])

    def _rows(self) -> list[tuple[str, ...]]:
        return [_effect_said(row) for row in self.effects.to_dict("records")]


def _effect_said(row: Mapping[Any, Any]) -> tuple[str, ...]:
    number = html_card.number
    sized = [
        f"{row[name]}{_dose(row[dose])}" for name, dose in (("arm", "dose"), ("reference", "reference_dose"))
    ]
    ratio = f"{number(row['ratio'])} ({number(row['low'])} to {number(row['high'])})"
    return (*sized, f"{row['event']} {row['threshold']:g}", str(row["n_pairs"]), ratio, row["verdict"])


def _dose(dose: float | None) -> str:
    return "" if dose is None or pd.isna(dose) else f" {dose:g}"


def judge(arms: pd.DataFrame | Path | str) -> Judged:
    """Effects and dose curves of an arms table, ours or anyone's.

    Args:
        arms: the table, or a CSV file of it; docs/judging.md has its columns.

    Raises:
        ValueError: if it is no arms table, or contradicts itself.
    """
    table = check_arms(arms) if isinstance(arms, pd.DataFrame) else read_arms(arms)
    found, reasons = effects_and_reasons(table)
    return Judged(effects=found, doses=dose_curves(table), reasons=reasons, arms=table)


def write_judged(folder: Path, judged: Judged, source: str) -> None:
    """Write effects.csv, dose.csv and summary.json; the last holds every effect with its reasons too.

    Args:
        source: the name of the file that was judged.
    """
    arms = judged.arms
    verdicts = judged.effects["verdict"].value_counts()
    about = {
        "arms_table": source,
        "n_rows": len(arms),
        "n_invalid_rows": int((~arms["valid"]).sum()),
        "n_pairs": {kind: arms.loc[arms["kind"] == kind, "pair"].nunique() for kind in ("jitter", "seed")},
        "n_effects": len(judged.effects),
        "n_dose_curves": len(judged.doses),
        "verdicts": {str(verdict): int(n) for verdict, n in verdicts.sort_index().items()},
        "effects": _records(judged.effects),
        "reasons": _records(judged.reasons),
        "versions": versions(),
    }
    write_tables(Path(folder), {"effects": judged.effects, "dose": judged.doses}, about, file="summary.json")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON holds them: what there is not is null, infinity is "inf", which null could not say."""
    return [
        {
            name: "inf" if isinstance(value, float) and value == math.inf else value
            for name, value in row.items()
        }
        for row in table.to_dict("records")
    ]
