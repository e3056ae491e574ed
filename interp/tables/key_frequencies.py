"""Key frequencies of a whole run, chosen from its tables: every analysis that needs a key set takes it from here."""

from collections.abc import Mapping

import pandas as pd

from interp.ground.thresholds import GENERALISED, LOGIT_FRACTION
from interp.tables.transitions import transition

# Frequencies that are followed in a run that never generalises; as many as the mainline of Nanda et al. has.
N_STRONGEST = 5


def run_key_frequencies(tables: Mapping[str, pd.DataFrame]) -> list[int]:
    """One key set for a whole run: every frequency that matters at some checkpoint which generalises, ascending.

    The union, not the set of the last checkpoint, since frequencies can die after generalisation. Empty if the run
    never generalises: then there is nothing to track, and any choice would be selection.

    Args:
        tables: `logit_spectrum` and `losses` of the run, as `measure` returns them. Without a known split the
            accuracy on all rows stands for that on test rows.

    References: the threshold of 0.5 % of the logits after Chughtai et al. 2023; Nanda et al. 2023 take the set of the
    final network by hand.
    """
    answers = tables["losses"]
    part = "test" if (answers["split"] == "test").any() else "all"
    steps = answers[(answers["split"] == part) & (answers["accuracy"] > GENERALISED)]["step"]
    spectrum = tables["logit_spectrum"]
    is_key = spectrum["step"].isin(steps) & (spectrum["fraction_explained"] > LOGIT_FRACTION)
    return sorted(int(k) for k in spectrum[is_key]["frequency"].unique())


def followed_frequencies(tables: Mapping[str, pd.DataFrame]) -> tuple[list[int], str]:
    """Frequencies to follow along a run, ascending, and by what they were chosen.

    `run_key_frequencies`, and in a run that never generalises the N_STRONGEST that explain most of its last logits:
    something to draw, which says nothing about an algorithm.

    Args:
        tables: as `run_key_frequencies`.
    """
    if frequencies := run_key_frequencies(tables):
        return frequencies, f"all checkpoints with test accuracy above {GENERALISED}"
    strongest = _at_end(tables["logit_spectrum"]).nlargest(N_STRONGEST, "fraction_explained")["frequency"]
    return sorted(int(k) for k in strongest), "strength at the last checkpoint, since none generalises"


def emergence(spectrum: pd.DataFrame) -> pd.DataFrame:
    """Key frequencies of the last checkpoint, the one that explains most first, with the bracket of their emergence.

    A frequency has emerged at the first checkpoint from which on it is key to the end.

    Args:
        spectrum: `logit_spectrum` along the run.

    Columns:
        frequency, fraction_explained: at the last checkpoint.
        before, step: last checkpoint without it (missing if it is key from the first), first with it for good.
    """
    at_end = _at_end(spectrum)
    key = at_end[at_end["fraction_explained"] > LOGIT_FRACTION].sort_values(
        "fraction_explained", ascending=False
    )
    rows = []
    for k, fraction in zip(key["frequency"], key["fraction_explained"], strict=True):
        rise = transition(spectrum[spectrum["frequency"] == k], "fraction_explained", LOGIT_FRACTION, "rise")
        rows.append(
            {"frequency": int(k), "fraction_explained": fraction, "before": rise.before, "step": rise.step}
        )
    return pd.DataFrame(rows, columns=["frequency", "fraction_explained", "before", "step"])


def by_strength(parts: pd.DataFrame) -> list[int]:
    """The frequencies of an `algorithm_by_frequency` table, the one that explains most of the last logits first."""
    return _at_end(parts).sort_values("fraction", ascending=False)["frequency"].tolist()


def _at_end(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["step"] == table["step"].max()]
