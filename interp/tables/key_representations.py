"""One key set of representations for a whole run, chosen from its tables."""

from collections.abc import Mapping

import pandas as pd

from interp.ground.thresholds import GENERALISED, LOGIT_FRACTION

# Representations that are followed in a run that never generalises; as many as S5 of Chughtai et al. has.
N_STRONGEST = 2


def run_key_representations(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """One key set for a whole run: every representation that matters at some checkpoint which generalises.

    The union, as `run_key_frequencies`, the one that explains most of the logits first. Empty if the run never
    generalises: then there is nothing to track, and any choice would be selection.

    Args:
        tables: `character_similarity` and `losses` of the run, as `measure` returns them. Without a known split the
            accuracy on all rows stands for that on test rows.

    References: the threshold of 0.5 % of the logits is on the square; the published code of Chughtai et al. 2023 takes
    a cosine above 0.005 at the end, which is far looser.
    """
    answers = tables["losses"]
    part = "test" if (answers["split"] == "test").any() else "all"
    steps = answers[(answers["split"] == part) & (answers["accuracy"] > GENERALISED)]["step"]
    similarity = tables["character_similarity"]
    is_key = similarity["step"].isin(steps) & (similarity["fraction_explained"] > LOGIT_FRACTION)
    return _by_strength(similarity[is_key])


def followed_representations(tables: Mapping[str, pd.DataFrame]) -> tuple[list[str], str]:
    """Representations to follow along a run, and by what they were chosen.

    `run_key_representations`, and in a run that never generalises the N_STRONGEST that explain most of its last logits:
    something to draw, which says nothing about an algorithm.

    Args:
        tables: as `run_key_representations`.
    """
    if names := run_key_representations(tables):
        return names, f"all checkpoints with test accuracy above {GENERALISED}"
    similarity = tables["character_similarity"]
    at_end = similarity[similarity["step"] == similarity["step"].max()]
    return _by_strength(at_end)[:N_STRONGEST], "strength at the last checkpoint, since none generalises"


def _by_strength(similarity: pd.DataFrame) -> list[str]:
    most = similarity.groupby("representation", sort=False)["fraction_explained"].max()
    return most.sort_values(ascending=False, kind="stable").index.tolist()
