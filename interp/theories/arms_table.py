"""The arms table: one row an arm, dose, pair, event and threshold. Reading it, and saying what is wrong with it.

Whatever trained the arms, this table is all that judging sees, so a table that does not mean what it seems to mean is
refused here with one sentence: a missing reference or a bracket that contradicts itself would otherwise turn into an
effect.

References: Kalbfleisch and Prentice 2002, "The statistical analysis of failure time data" (brackets and censoring).
"""

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd

from interp.ground.plain_text import shown
from interp.theories.branch_points import aligned_steps

COLUMNS = [
    *("arm", "dose", "pair", "kind", "reference", "reference_dose", "branch_step", "event", "threshold"),
    *("before", "step", "budget", "valid", "why_not"),
]
KINDS = ("jitter", "seed")
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
    texts = {name: _texts(table[name]) for name in COLUMNS}
    arms = pd.DataFrame(
        {
            "arm": _names(texts["arm"]),
            "dose": _numbers(texts["dose"], is_optional=True),
            "pair": _names(texts["pair"], may_be_numbers=True),
            "kind": _kinds(texts["kind"]),
            "reference": _names(texts["reference"], is_optional=True),
            "reference_dose": _numbers(texts["reference_dose"], is_optional=True),
            "branch_step": _numbers(texts["branch_step"]),
            "event": _names(texts["event"]),
            "threshold": _numbers(texts["threshold"]),
            "before": _numbers(texts["before"]),
            "step": _numbers(texts["step"], is_optional=True),
            "budget": _numbers(texts["budget"]),
            "valid": _truths(texts["valid"]),
            "why_not": texts["why_not"],
        }
    )
    _check_steps(arms)
    arms["branch_step"] = arms["branch_step"].astype("int64")
    if "point" in table.columns:
        arms["point"] = _texts(table["point"])
        arms["branch_step"] = aligned_steps(arms, arms["point"])
    if "begun" in table.columns:
        arms["begun"] = _times(_texts(table["begun"]))
    _check_identity(arms)
    _check_references(arms)
    return arms


def place(arms: pd.DataFrame, is_wrong: pd.Series) -> str:
    """Where the first wrong row stands: its line in the file, or its label in the table."""
    return f"{arms.index.name or 'row'} {arms.index[int(np.argmax(is_wrong.to_numpy()))]}"


def named(arm: str, dose: float) -> str:
    """An arm with its dose, in words.

    >>> named("norm", 1.15), named("control", float("nan"))
    ('norm at dose 1.15', 'control')
    """
    return arm if math.isnan(dose) else f"{arm} at dose {dose:g}"


def _texts(column: pd.Series) -> pd.Series:
    """Every field as text, "" where there is none; 3.0, where a column of whole numbers has gaps, is 3."""
    is_whole = pd.api.types.is_float_dtype(column) and bool((column.dropna() % 1 == 0).all())
    values = [
        "" if pd.isna(value) else str(int(value)) if is_whole else str(value).strip() for value in column
    ]
    return pd.Series(values, index=column.index, name=column.name, dtype=object)


def _numbers(texts: pd.Series, *, is_optional: bool = False) -> pd.Series:
    values = []
    for text in texts:
        try:
            values.append(float(text) if text else math.nan)
        except ValueError:
            values.append(math.inf)
    numbers = pd.Series(values, index=texts.index, name=texts.name, dtype=float)
    is_wrong = ~np.isfinite(numbers) & (texts != "")
    if is_wrong.any():
        raise ValueError(
            f"An arms table needs finite numbers in {texts.name}, got {shown(texts[is_wrong].iloc[0])} in "
            f"{place(numbers.to_frame(), is_wrong)}. Write the number"
            + (", or nothing where there is none." if is_optional else ".")
        )
    if not is_optional and (is_empty := texts == "").any():
        more = " A censored row has its last evaluation there." if texts.name == "before" else ""
        raise ValueError(
            f"An arms table needs a number in {texts.name}, got nothing in {place(numbers.to_frame(), is_empty)}."
            f"{more} Fill it in."
        )
    return numbers


def _names(texts: pd.Series, *, is_optional: bool = False, may_be_numbers: bool = False) -> pd.Series:
    if not is_optional and (is_empty := texts == "").any():
        raise ValueError(
            f"An arms table needs a name in {texts.name}, got nothing in {place(texts.to_frame(), is_empty)}. "
            "Fill it in."
        )
    if not may_be_numbers and (is_number := texts.map(_is_number)).any():
        raise ValueError(
            f"An arms table needs a name in {texts.name}, got the number {texts[is_number].iloc[0]} in "
            f"{place(texts.to_frame(), is_number)}. Check that no column is shifted; sizes belong into the dose."
        )
    return texts


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _kinds(texts: pd.Series) -> pd.Series:
    if (is_wrong := ~texts.isin(KINDS)).any():
        raise ValueError(
            f"An arms table needs jitter or seed in kind, got {shown(texts[is_wrong].iloc[0])} in "
            f"{place(texts.to_frame(), is_wrong)}. Jitter pairs repeat this run, seed pairs the recipe."
        )
    return texts


def _times(texts: pd.Series) -> pd.Series:
    times = pd.to_datetime(texts.where(texts != ""), utc=True, errors="coerce", format="ISO8601")
    if (is_wrong := times.isna() & (texts != "")).any():
        raise ValueError(
            f"An arms table needs a time in begun, got {shown(texts[is_wrong].iloc[0])} in "
            f"{place(texts.to_frame(), is_wrong)}. Write it as 2026-05-01T12:00:00+00:00, or leave the column out."
        )
    return times


def _truths(texts: pd.Series) -> pd.Series:
    lower = texts.str.lower()
    if (is_wrong := ~lower.isin(["true", "false"])).any():
        raise ValueError(
            f"An arms table needs true or false in valid, got {shown(texts[is_wrong].iloc[0])} in "
            f"{place(texts.to_frame(), is_wrong)}. Write false where a manipulation check failed, and which in why_not."
        )
    return lower == "true"


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
