"""Small arms tables, written down by hand: a row an arm and pair."""

import math

import pandas as pd

from interp.theories.arms_table import COLUMNS

NONE = math.nan


def row(arm, pair, before, step=None, budget=10_000, **other):
    """A row; a control, unless a reference is given."""
    values = {
        "arm": arm,
        "dose": NONE,
        "pair": pair,
        "kind": "seed",
        "reference": "",
        "reference_dose": NONE,
        "branch_step": 2500,
        "event": "test_accuracy",
        "threshold": 0.95,
        "before": before,
        "step": NONE if step is None else step,
        "budget": budget,
        "valid": True,
        "why_not": "",
    }
    assert set(other) <= set(values)
    return values | other


def table(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def compared(arms, controls, **other):
    """An arm over its control; a bracket (before, step) a pair, or the budget alone where it is censored."""
    rows = []
    for pair, (mine, control) in enumerate(zip(arms, controls, strict=True)):
        for arm, bracket, reference in (("arm", mine, "control"), ("control", control, "")):
            is_censored = not isinstance(bracket, tuple)
            place = {"budget": bracket} if is_censored else {}
            before, step = (bracket, None) if is_censored else bracket
            rows.append(row(arm, pair, before, step, reference=reference, **place, **other))
    return table(*rows)
