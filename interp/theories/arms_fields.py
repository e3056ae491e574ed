"""The fields of an arms table by what they hold, each refused with its place where it holds something else."""

import math

import numpy as np
import pandas as pd

from interp.ground.plain_text import shown

KINDS = ("jitter", "seed")


def place(arms: pd.DataFrame, is_wrong: pd.Series) -> str:
    """Where the first wrong row stands: its line in the file, or its label in the table."""
    return f"{arms.index.name or 'row'} {arms.index[int(np.argmax(is_wrong.to_numpy()))]}"


def texts_of(column: pd.Series) -> pd.Series:
    """Every field as text, "" where there is none; 3.0, where a column of whole numbers has gaps, is 3."""
    is_whole = pd.api.types.is_float_dtype(column) and bool((column.dropna() % 1 == 0).all())
    values = [
        "" if pd.isna(value) else str(int(value)) if is_whole else str(value).strip() for value in column
    ]
    return pd.Series(values, index=column.index, name=column.name, dtype=object)


def numbers(texts: pd.Series, *, is_optional: bool = False) -> pd.Series:
    """Finite numbers; NaN where there may be none."""
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


def names(texts: pd.Series, *, is_optional: bool = False, may_be_numbers: bool = False) -> pd.Series:
    """Names; "" where there may be none."""
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


def kinds(texts: pd.Series) -> pd.Series:
    """What each pair is: a disturbed copy of one run, or a seed."""
    if (is_wrong := ~texts.isin(KINDS)).any():
        raise ValueError(
            f"An arms table needs jitter or seed in kind, got {shown(texts[is_wrong].iloc[0])} in "
            f"{place(texts.to_frame(), is_wrong)}. Jitter pairs repeat this run, seed pairs the recipe."
        )
    return texts


def times(texts: pd.Series) -> pd.Series:
    """Times, UTC; NaT where none is given."""
    found = pd.to_datetime(texts.where(texts != ""), utc=True, errors="coerce", format="ISO8601")
    if (is_wrong := found.isna() & (texts != "")).any():
        raise ValueError(
            f"An arms table needs a time in begun, got {shown(texts[is_wrong].iloc[0])} in "
            f"{place(texts.to_frame(), is_wrong)}. Write it as 2026-05-01T12:00:00+00:00, or leave the column out."
        )
    return found


def truths(texts: pd.Series) -> pd.Series:
    """Whether each is true."""
    lower = texts.str.lower()
    if (is_wrong := ~lower.isin(["true", "false"])).any():
        raise ValueError(
            f"An arms table needs true or false in valid, got {shown(texts[is_wrong].iloc[0])} in "
            f"{place(texts.to_frame(), is_wrong)}. Write false where a manipulation check failed, and which in why_not."
        )
    return lower == "true"
