"""What every analysis needs beside its own tables."""

import pandas as pd

from interp.measurement.measure import measure
from interp.runs.run import Run


def with_answers(run: Run, tables: dict[str, pd.DataFrame], device: str) -> dict[str, pd.DataFrame]:
    """The tables with those that every analysis needs: how the run answers along training, and what does not apply."""
    if "losses" not in tables:
        tables = {**tables, **measure(run, ["losses"], device=device)}
    return {"history": run.history(), **with_reasons(tables)}


def with_reasons(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables, with one of what does not apply to the run, and why."""
    reasons = {name: table.attrs.get("not_applicable") for name, table in tables.items()}
    told = [(name, reason) for name, reason in reasons.items() if reason and not len(tables[name])]
    before = tables.get("does_not_apply", pd.DataFrame())
    does_not = pd.concat([before, pd.DataFrame(told, columns=["table", "reason"])]).drop_duplicates()
    return {**tables, "does_not_apply": does_not}
