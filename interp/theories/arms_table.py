"""The arms table: one row an arm, dose, pair, event and threshold. Reading it, and saying what is wrong with it.

Whatever trained the arms, this table is all that judging sees, so a table that does not mean what it seems to mean is
refused here with one sentence: a missing reference or a bracket that contradicts itself would otherwise turn into an
effect.

References: Kalbfleisch and Prentice 2002, "The statistical analysis of failure time data" (brackets and censoring).
"""

import csv
import math
from pathlib import Path

import pandas as pd

from interp.ground.plain_text import shown
from interp.theories.arms_fields import kinds, names, numbers, place, texts_of, times, truths
from interp.theories.branch_points import aligned_steps

COLUMNS = [
    *("arm", "dose", "pair", "kind", "reference", "reference_dose", "branch_step", "event", "threshold"),
    *("before", "step", "budget", "valid", "why_not"),
]
# Which branch a row is of.
BRANCH = ["arm", "dose", "pair", "kind", "branch_step"]
# What the rows of one effect share with those of its reference, beside the pair.
SETTING = ["branch_step", "event", "threshold"]


def read_arms(path: Path | str) -> pd.DataFrame:
    """The arms table of a CSV file, checked.

    Returns:
        As `check_arms`, with the lines of the file as index.

    Raises:
        ValueError: if there is no such file, it is no CSV, or as `check_arms`.
    """
    path = Path(path)
    if not path.is_file():
        what = "a folder is" if path.is_dir() else "nothing is"
        raise ValueError(
            f"Judging needs a CSV file of arms, and {what} at {path}. Name the arms table itself."
        )
    try:
        rows = _rows(path.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"Judging needs a CSV file of arms, and {path} is none: {error}. Save the table as "
            "comma-separated UTF-8 text."
        ) from None
    if not rows:
        raise ValueError(f"Judging needs an arms table, and {path} is empty. {_WANTED}")
    (_, header), *body = rows
    for line, fields in body:
        if len(fields) != len(header):
            raise ValueError(
                f"An arms table needs {len(header)} fields in every line, as in its first, got {len(fields)} in line "
                f"{line}. Quote texts that hold a comma, and leave empty fields empty."
            )
    index = pd.Index([line for line, _ in body], name="line")
    return check_arms(pd.DataFrame([fields for _, fields in body], columns=header, index=index, dtype=object))


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """Line number and fields of each line that is not blank."""
    if "\0" in text:
        raise csv.Error("it holds zero bytes")
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    return [(reader.line_num, [field.strip() for field in fields]) for fields in reader if any(fields)]


_WANTED = f"It needs the columns {', '.join(COLUMNS)}, and one row an arm, dose, pair, event and threshold."


def check_arms(table: pd.DataFrame) -> pd.DataFrame:
    """The arms table with its types, complete; other columns are dropped.

    Two columns more are kept if they are there: `point` names branch points where pairs leave at steps of their own
    (`aligned_steps`), `begun` says when the arm was (ISO 8601), which a lock compares with its own time.

    Columns:
        arm, pair, kind, event: text; pairs that are numbers become their text.
        reference, why_not: text, "" where there is none; a row without reference is a control.
        dose, reference_dose: numbers, NaN where there is none.
        branch_step: whole number.
        threshold: number.
        before, step: bracket of the event, steps since the branch; `step` is NaN where it never came (censored).
        budget: steps since the branch that were trained.
        valid: whether the arm did what it says.

    Raises:
        ValueError: if a column, a control or a reference is missing, a row stands twice, a pair is of both kinds, an
            arm and its reference left at different steps, a bracket contradicts itself, or a field holds what it
            cannot.
    """
    if lacking := [name for name in COLUMNS if name not in table.columns]:
        there = ", ".join(shown(str(name)) for name in list(table.columns)[:20]) or "none"
        raise ValueError(
            f"An arms table needs the columns {', '.join(lacking)}, and has {there}. Add them, with commas between "
            "columns; dose, reference, reference_dose, step and why_not may hold nothing."
        )
    if repeated := [name for name in COLUMNS if list(table.columns).count(name) > 1]:
        raise ValueError(
            f"An arms table needs each column once, got {', '.join(repeated)} twice. Drop one of them."
        )
    if not len(table):
        raise ValueError(f"An arms table needs rows, and has none below its header. {_WANTED}")
    texts = {name: texts_of(table[name]) for name in COLUMNS}
    arms = pd.DataFrame(
        {
            "arm": names(texts["arm"]),
            "dose": numbers(texts["dose"], is_optional=True),
            "pair": names(texts["pair"], may_be_numbers=True),
            "kind": kinds(texts["kind"]),
            "reference": names(texts["reference"], is_optional=True),
            "reference_dose": numbers(texts["reference_dose"], is_optional=True),
            "branch_step": numbers(texts["branch_step"]),
            "event": names(texts["event"]),
            "threshold": numbers(texts["threshold"]),
            "before": numbers(texts["before"]),
            "step": numbers(texts["step"], is_optional=True),
            "budget": numbers(texts["budget"]),
            "valid": truths(texts["valid"]),
            "why_not": texts["why_not"],
        }
    )
    _check_steps(arms)
    arms["branch_step"] = arms["branch_step"].astype("int64")
    if "point" in table.columns:
        arms["point"] = texts_of(table["point"])
        arms["branch_step"] = aligned_steps(arms, arms["point"])
    if "begun" in table.columns:
        arms["begun"] = times(texts_of(table["begun"]))
    _check_identity(arms)
    _check_references(arms)
    return arms


def named(arm: str, dose: float) -> str:
    """An arm with its dose, in words.

    >>> named("norm", 1.15), named("control", float("nan"))
    ('norm at dose 1.15', 'control')
    """
    return arm if math.isnan(dose) else f"{arm} at dose {dose:g}"


def _check_steps(arms: pd.DataFrame) -> None:
    """Refuse brackets that contradict themselves."""
    for name in ("branch_step", "before", "step", "budget"):
        _refuse(arms, arms[name] < 0, f"no negative {name}", name, "Count steps since the branch")
    _refuse(arms, arms["branch_step"] % 1 != 0, "a whole branch_step", "branch_step", "Count optimizer steps")
    untrained = arms["valid"] & (arms["budget"] == 0)
    _refuse(arms, untrained, "a budget above 0 in valid rows", "budget", "Give what was trained")
    _refuse(
        arms,
        arms["before"] > arms["step"],
        "before <= step",
        "before",
        "The event lies after before, the last evaluation without it, and up to step, the first with it",
    )
    for name in ("step", "before"):
        _refuse(
            arms,
            arms[name] > arms["budget"],
            f"{name} <= budget",
            name,
            "What was not trained was not seen: correct the budget, or leave step empty where the event never came",
        )


def _refuse(arms: pd.DataFrame, is_wrong: pd.Series, need: str, name: str, advice: str) -> None:
    if is_wrong.any():
        raise ValueError(
            f"An arms table needs {need}, got {arms.loc[is_wrong, name].iloc[0]:.10g} in "
            f"{place(arms, is_wrong)}. {advice}."
        )


def _check_identity(arms: pd.DataFrame) -> None:
    """Refuse rows that stand twice, and pairs of both kinds."""
    kinds = arms.groupby("pair")["kind"].transform("nunique")
    if (kinds > 1).any():
        raise ValueError(
            f"An arms table needs one kind for each pair, got jitter and seed for pair "
            f"{shown(arms.loc[kinds > 1, 'pair'].iloc[0])}. They answer different questions: give the pairs of each "
            "kind names of their own."
        )
    is_twice = arms.duplicated(["arm", "dose", "pair", *SETTING])
    if is_twice.any():
        row = arms.loc[is_twice].iloc[0]
        raise ValueError(
            f"An arms table needs one row an arm, dose, pair, event and threshold, got {named(row.arm, row.dose)} of "
            f"pair {shown(row.pair)} again in {place(arms, is_twice)}. Leave one of them; an arm has one reference."
        )


def _check_references(arms: pd.DataFrame) -> None:
    """Refuse unless every row with a reference finds it in its pair, at its branch step, event and threshold."""
    is_control = arms["reference"] == ""
    if not is_control.any():
        raise ValueError(
            "An arms table needs a control, got a reference in every row. Leave reference empty in the rows of the "
            "arm that changes nothing."
        )
    is_loose = is_control & arms["reference_dose"].notna()
    _refuse(
        arms, is_loose, "a reference wherever it has a reference_dose", "reference_dose", "Name the reference"
    )
    itself = (arms["arm"] == arms["reference"]) & (
        (arms["dose"] == arms["reference_dose"]) | (arms["dose"].isna() & arms["reference_dose"].isna())
    )
    if itself.any():
        raise ValueError(
            f"An arms table needs another arm or dose as reference, got {shown(arms.loc[itself, 'arm'].iloc[0])} "
            f"compared with itself in {place(arms, itself)}. Leave reference empty in the rows of a control."
        )
    keys = ["pair", *SETTING]
    found = arms.merge(
        arms[["arm", "dose", *keys]].rename(columns={"arm": "reference", "dose": "reference_dose"}),
        on=["reference", "reference_dose", *keys],
        how="left",
        indicator="found",
    )["found"]
    is_missing = pd.Series((found == "left_only").to_numpy(), index=arms.index) & ~is_control
    if is_missing.any():
        raise ValueError(_missing_reference(arms, arms.loc[is_missing].iloc[0], place(arms, is_missing)))
    is_unused = _is_unused(arms, is_control)
    if is_unused.any():
        row = arms.loc[is_unused].iloc[0]
        raise ValueError(
            f"An arms table needs a reference for {named(row.arm, row.dose)}, got none in {place(arms, is_unused)}, "
            "and no arm is compared with it. Name the arm that it is compared with; a control has no dose."
        )


def _is_unused(arms: pd.DataFrame, is_control: pd.Series) -> pd.Series:
    """Rows with a dose, without reference, that are no reference either."""
    used = set(zip(arms["reference"], arms["reference_dose"], strict=True))
    is_used = [key in used for key in zip(arms["arm"], arms["dose"], strict=True)]
    return is_control & arms["dose"].notna() & ~pd.Series(is_used, index=arms.index)


def _missing_reference(arms: pd.DataFrame, row: pd.Series, where: str) -> str:
    """What is there instead of the reference of a row."""
    want = named(row["reference"], row["reference_dose"])
    start = (
        f"{named(row['arm'], row['dose'])} needs its reference {want} in pair {shown(row['pair'])} ({where})"
    )
    same = arms[arms["arm"] == row["reference"]]
    if same.empty:
        return (
            f"{start}, and the table has no such arm. Add its rows, or name the arm that it is compared with."
        )
    has_dose = (
        same["dose"].isna() if math.isnan(row["reference_dose"]) else same["dose"] == row["reference_dose"]
    )
    if not has_dose.any():
        doses = ", ".join(
            "none" if math.isnan(dose) else f"{dose:g}" for dose in sorted(same["dose"].unique())
        )
        return (
            f"{start}, which has no such dose, got the doses {doses}. Write one of them into reference_dose."
        )
    mine = same[has_dose & (same["pair"] == row["pair"])]
    if mine.empty:
        return f"{start}, which has no row of this pair. Add it: arms are compared only within a pair."
    elsewhere = mine[(mine["event"] == row["event"]) & (mine["threshold"] == row["threshold"])]
    if not elsewhere.empty:
        return (
            f"{start}, which left its parent at step {elsewhere['branch_step'].iloc[0]}, not at {row['branch_step']}. "
            "Arms of one pair are compared from one branch step: add the reference that left there."
        )
    return f"{start}, which has no row of {row['event']} at {row['threshold']:g}. Add it."
