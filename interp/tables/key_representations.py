"""Key representations of a whole run, chosen from its tables, and when each of them emerged."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from interp.ground.thresholds import ACCURACY, stands_out
from interp.tables.outcome import accuracy_name, generalising_steps
from interp.tables.transitions import Transition, transition

# Representations that are followed in a run without key ones; as many as S5 of Chughtai et al. has.
N_STRONGEST = 2


def run_key_representations(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """One key set for a whole run: every representation that stands out at some checkpoint which generalises.

    The union, as `run_key_frequencies`, the one that explains most of the logits first. Empty if the run never
    generalises: then there is nothing to track, and any choice would be selection.

    Args:
        tables: `character_similarity` and `losses` of the run, as `measure` returns them. Without a known split the
            accuracy on all rows stands for that on test rows.

    References: the threshold of 0.5 % of the logits, beside the null, is on the square; the published code of Chughtai
    et al. 2023 takes a cosine above 0.005 at the end, which is far looser.
    """
    similarity = tables["character_similarity"]
    if not len(similarity):
        return []
    is_key = stands_out(similarity["fraction_explained"], similarity["null"])
    is_key &= similarity["step"].isin(generalising_steps(tables["losses"]))
    return _by_strength(similarity[is_key])


def followed_representations(tables: Mapping[str, pd.DataFrame]) -> tuple[list[str], str]:
    """Representations to follow along a run, and by what they were chosen.

    `run_key_representations`, and in a run without any the N_STRONGEST that explain most of its last logits: something
    to draw, which says nothing about an algorithm.

    Args:
        tables: as `run_key_representations`.
    """
    if not len(tables["character_similarity"]):
        return [], "the answers are no product in a group"
    accuracy = accuracy_name(tables["losses"])
    if names := run_key_representations(tables):
        return names, f"standing out of the logits at a checkpoint with {accuracy} {ACCURACY} or more"
    similarity = tables["character_similarity"]
    at_end = similarity[similarity["step"] == similarity["step"].max()]
    reason = (
        "no representation stands out of the logits"
        if generalising_steps(tables["losses"])
        else f"no checkpoint has {accuracy} {ACCURACY}"
    )
    chosen_by = f"strength at the last checkpoint, since {reason}: not key representations"
    return _by_strength(at_end)[:N_STRONGEST], chosen_by


def _by_strength(similarity: pd.DataFrame) -> list[str]:
    most = similarity.groupby("representation", sort=False)["fraction_explained"].max()
    return most.sort_values(ascending=False, kind="stable").index.tolist()


def embedding_shares(spectrum: pd.DataFrame) -> pd.DataFrame:
    """Share of each representation in the two embeddings, their mean: a row a step, a column a representation.

    Args:
        spectrum: `representation_spectrum` along a run; of a network without known embeddings there are no rows.
    """
    rows = spectrum[spectrum["part"].isin(["left_embedding", "right_embedding"])]
    return rows.groupby(["step", "representation"], sort=False)["share"].mean().unstack("representation")


def representation_emergence(spectrum: pd.DataFrame, names: list[str]) -> dict[str, Transition]:
    """When each representation took hold of the embeddings for good: its share passes half-way from first to last.

    Not the share of the logits: a network that has memorized its pairs of a small group has a part of every
    representation in them. A representation whose share does not grow has no such step, and both ends are None.

    Args:
        spectrum: `representation_spectrum` along the run.
        names: of the representations.
    """
    shares = embedding_shares(spectrum).reset_index()
    found = {}
    for name in names:
        grows = len(shares) > 1 and shares[name].iloc[-1] > shares[name].iloc[0]
        if grows:
            middle = float(shares[name].iloc[[0, -1]].mean())
            rise = transition(shares[["step", name]], name, middle, "rise")
        else:
            rise = Transition(name, None, None, None)
        found[name] = replace(rise, quantity="share of the embeddings")
    return found


def representation_sparsity(spectrum: pd.DataFrame) -> pd.DataFrame:
    """Gini coefficient of the embeddings over all functions on the group but the constant, in the form of `phases`.

    0 for a lookup table, near 1 where few functions hold everything. As for the frequencies of W_E norms are taken, and
    every matrix element of a representation counts with the representation's mean.

    Args:
        spectrum: `representation_spectrum` along the run.

    Columns:
        step, matrix ("W_E"), gini.
    """
    rows = spectrum[(spectrum["part"] == "left_embedding") & (spectrum["representation"] != "trivial")]
    found = []
    for step, part in rows.groupby("step"):
        n_functions = part["n_functions"].to_numpy()
        norms = np.sort(np.repeat(np.sqrt(part["power"].to_numpy() / n_functions), n_functions))
        weights = 2 * np.arange(1, len(norms) + 1) - len(norms) - 1
        total = len(norms) * norms.sum()
        found.append(
            {"step": step, "matrix": "W_E", "gini": float(weights @ norms / total) if total else 0.0}
        )
    return pd.DataFrame(found, columns=["step", "matrix", "gini"])
