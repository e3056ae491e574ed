"""One key set for a whole run, chosen from its tables."""

from collections.abc import Mapping

import pandas as pd

from interp.ground.thresholds import GENERALISED, LOGIT_FRACTION


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
