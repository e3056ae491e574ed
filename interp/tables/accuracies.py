"""The accuracies of a history or of the `losses` table, and by which of them a run is judged."""

import pandas as pd

from interp.ground.judged import PREDICTABLE, SEES_FRESH_ROWS, judged_by


def memorizes_nothing(table: pd.DataFrame) -> bool:
    """Whether a history is of a run on rows that were new at every step: its train rows were never trained on."""
    return SEES_FRESH_ROWS in table and bool(table[SEES_FRESH_ROWS].eq(True).any())


def judged_column(wide: pd.DataFrame, split: str) -> str:
    """The column of a history by which a run is judged: of what is predictable where that is known, else of all."""
    return next((name for name in judged_by(split) if is_known(wide, name)), f"{split}_accuracy")


def is_known(wide: pd.DataFrame, column: str) -> bool:
    """Whether there is this accuracy: one of what is predictable wherever there is one of all questions.

    The history of a run that an earlier version began has it from where the run was resumed, and would date what came
    before to that step.
    """
    if column not in wide or not wide[column].notna().any():
        return False
    of_all = column.replace(f"_{PREDICTABLE}", "")
    return of_all not in wide or not (wide[of_all].notna() & wide[column].isna()).any()


def by_split(table: pd.DataFrame) -> pd.DataFrame:
    """A history, from a history or from the `losses` table (rows by split).

    Train counts corrupted rows, as in a history: the mean over the table's train and corrupted rows. The accuracy on
    what is predictable, where there is one, does not.

    Raises:
        ValueError: if the table has corrupted rows and no column n.
    """
    if "split" not in table:
        return table
    has_corrupted = (table["split"] == "corrupted").any()
    if has_corrupted and "n" not in table:
        raise ValueError(
            "Train accuracy counts corrupted rows, which this table keeps apart: it needs the column n of the `losses` "
            "table to weigh them."
        )
    quantities = ["loss", "accuracy"]
    others = [name for name in (f"{PREDICTABLE}_accuracy",) if name in table]
    values = [*quantities, *others, *(["n"] if has_corrupted else [])]
    wide = table.pivot(index="step", columns="split", values=values)
    wide.columns = [f"{split}_{quantity}" for quantity, split in wide.columns]
    if has_corrupted:
        n = wide["corrupted_n"]
        for quantity in quantities:
            corrupted, rest = wide[f"corrupted_{quantity}"], wide.get(f"train_{quantity}")
            wide[f"train_{quantity}"] = (
                corrupted
                if rest is None
                else (n * corrupted + wide["train_n"] * rest) / (n + wide["train_n"])
            )
    return wide.reset_index()
