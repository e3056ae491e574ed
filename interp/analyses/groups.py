"""Which representations of its group does the network compose through, when do they come, and in which order?

(a) Train and test loss. (b) Share of each representation in the embedding of the left operand and in the unembedding.
(c) Excluded loss of the train pairs without the key representations, and restricted loss of all pairs with nothing
else; bands, where so many are left: sets of as many others; dotted: the key ones of each checkpoint alone. (d) Cosine
of the logits with the character of each representation; dotted: the sum of squares, which they explain together. (e)
Excluded loss without each representation alone. (f) Coset concentration of the neurons. (g) Share of the neurons along
rho(a), rho(b) and rho(ab), the key representations together. (h) Sum of squared weights. Key representations in colour,
others grey; vertical bands are the brackets in which each phase begins (`interp.tables.phases`, from the losses of the
key set).

The key set is the union of the representations that stand out of the logits (more than 0.5 %, and than their null, what
random names of the elements give) at any checkpoint with test accuracy 0.95 or more. A run without any is shown with
the two that explain most at its end: they are no key representations and date no phase. Losses are at the level of the
neurons, as in the paper, or of the logits where there are none. Addition of residues is composition in a cyclic group,
its frequencies "k=1", "k=2", ... are representations.

References: Chughtai et al. 2023, section 5; Stander et al. 2023, section 6.1 (cosets).
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp.figures import (
    concentration_curves,
    hidden_curves,
    loss_curves,
    phase_bands,
    phase_legend,
    progress_curves,
    representation_colours,
    share_curves,
    similarity_curves,
    single_loss_curves,
    style,
    total_norm_curve,
)
from interp.ground.thresholds import LOGIT_FRACTION
from interp.tables.curves import at_end
from interp.tables.folder import Tables
from interp.tables.key_representations import (
    embedding_shares,
    followed_representations,
    representation_emergence,
    representation_sparsity,
    run_key_representations,
)
from interp.tables.outcome import bracket, dated, outcome
from interp.tables.phases import phases
from interp.tables.transitions import Transition
from interp.tables.wording import set_name

MOST = 8  # colours that are told apart


def compute(run, device: str) -> Tables:
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import representation_losses

    probes = [
        "losses", "character_similarity", "representation_spectrum", "coset_concentration", "weight_norms",
    ]  # fmt: skip
    tables = measure(run, probes, device=device)
    names, chosen_by = followed_representations(tables)
    are_key = len(run_key_representations(tables)) > 0
    if names:
        probe = partial(representation_losses, representations=names)
        tables |= measure(run, {"representation_losses": probe}, device=device)
    else:
        tables["representation_losses"] = tables["character_similarity"]
    chosen = {"representation": names, "is_key": are_key, "chosen_by": chosen_by}
    return {**tables, "key_representations": pd.DataFrame(chosen)}


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(4, 2, height=8.6, sharex=True)
    key, losses, spectrum = followed(tables), one_level(tables), tables["representation_spectrum"]
    colours = representation_colours(key[:MOST])
    loss_curves(tables, axes[0, 0])
    parts = {"left_embedding": "-", "unembedding": "--"}
    share_curves(spectrum, axes[0, 1], parts=parts, colours=colours)
    progress_curves(losses, axes[1, 0], key=set_name(has_key(tables), len(key)))
    title = None if has_key(tables) else "none is key; the strongest:"
    similarity_curves(tables["character_similarity"], axes[1, 1], colours=colours, title=title)
    single_loss_curves(losses, axes[2, 0], colours=colours, title=title)
    concentration_curves(tables["coset_concentration"], axes[2, 1])
    hidden_curves(spectrum, axes[3, 0], names=key, are_key=has_key(tables))
    total_norm_curve(tables["weight_norms"], axes[3, 1])
    steps = np.unique(tables["weight_norms"]["step"])
    found = dated(_phases(tables), steps)
    for ax in axes.flat:
        if ax.axison:
            phase_bands(found, ax, alpha=0.3, lw=0.0, edge=True)
    style.label_panels(axes.flat)
    style.step_axes(axes, steps, scale="linear")
    phase_legend(figure, found)
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    answers = at_end(tables["losses"])
    answers = answers.set_index("split") if len(answers) else pd.DataFrame(columns=["accuracy", "loss"])
    are_key = has_key(tables)
    order = _order(tables) if are_key else []
    similarity = tables["character_similarity"]
    return {
        "generalised": outcome(tables).generalised,
        "answer": _answer(tables, order),
        "accuracy_all": answers["accuracy"].get("all"),
        "loss_all": answers["loss"].get("all"),
        "test_accuracy": answers["accuracy"].get("test"),
        "test_loss": answers["loss"].get("test"),
        "key_representations": _of_each(tables) if are_key else [],
        "followed_representations": _of_each(tables),
        "followed_representations_chosen_by": _chosen_by(tables),
        "key_threshold": LOGIT_FRACTION,
        "order_of_emergence": order,
        **{name: bracket(begins) for name, begins in _phases(tables).items()},
        "key_set": _of_key_set(tables) if are_key else None,
        "followed_set": _of_key_set(tables),
        "logit_fraction_explained": at_end(similarity)["fraction_explained"].sum()
        if len(similarity)
        else None,
        "hidden_share_of_key_representations": _hidden_shares(tables) if are_key else None,
        "coset_concentration": _cosets(tables),
    }


def _answer(tables: Tables, order: list[str]) -> str:
    said = outcome(tables).said
    if has_key(tables):
        named = ", then ".join(order) if order else "none whose share of the embeddings grew"
        return f"{said} Its key representations, in the order in which they came: {named}."
    if not len(tables["character_similarity"]):
        return f"{said} Its answers are no product in a group known here."
    return (
        f"{said} It has no key representations. Those that are followed were chosen by {_chosen_by(tables)}, and say "
        "nothing about an algorithm."
    )


def _chosen_by(tables: Tables) -> str | None:
    chosen = tables["key_representations"]
    return chosen["chosen_by"].iloc[0] if len(chosen) else None


def has_key(tables: Tables) -> bool:
    return bool(tables["key_representations"]["is_key"].any())


def followed(tables: Tables) -> list[str]:
    return tables["key_representations"]["representation"].tolist()


def one_level(tables: Tables) -> pd.DataFrame:
    """`representation_losses` at the level of the neurons, or of the logits where there are none."""
    table = tables["representation_losses"]
    if not len(table):
        return table
    level = "hidden" if (table["level"] == "hidden").any() else "logits"
    return table[table["level"] == level]


def _phases(tables: Tables) -> dict[str, Transition]:
    """The phases; without key representations those of the losses alone."""
    spectrum = tables["representation_spectrum"]
    answers = {"history": tables["history"], "losses": tables["losses"]}
    if not (len(tables["history"]) or len(tables["losses"])):
        return {}
    if not has_key(tables):
        return phases(answers)
    return phases(
        {
            **answers,
            "progress_measures": one_level(tables),
            "weight_norms": tables["weight_norms"],
            "fourier_sparsity": representation_sparsity(spectrum) if len(spectrum) else spectrum,
        }
    )


def _emergence(tables: Tables) -> dict[str, Transition]:
    spectrum = tables["representation_spectrum"]
    has_embeddings = len(spectrum) > 0 and (spectrum["part"] == "left_embedding").any()
    if not has_embeddings:
        return dict.fromkeys(followed(tables), Transition("share of the embeddings", None, None, None))
    return representation_emergence(spectrum, followed(tables))


def _order(tables: Tables) -> list[str]:
    """Key representations by the step at which they emerged; those that never did are left out."""
    steps = {name: rise.step for name, rise in _emergence(tables).items() if rise.step is not None}
    return sorted(steps, key=steps.__getitem__)


def _of_each(tables: Tables) -> list[dict[str, Any]]:
    """Each followed representation at the last checkpoint."""
    if not followed(tables):
        return []
    logits = at_end(tables["character_similarity"]).set_index("representation")
    single = at_end(one_level(tables))
    single = single[single["selection"] == "single"]
    # Of a run without key representations a step would date nothing.
    emergence = _emergence(tables) if has_key(tables) else {}
    return [
        {
            "name": name,
            "dimension": int(logits.loc[name, "dimension"]),
            "share": logits.loc[name, "fraction_explained"],
            "null": logits.loc[name, "null"],
            "similarity": logits.loc[name, "similarity"],
            "embedding_share": _embedding_share(tables, name),
            "restricted_loss": _loss(single, "restricted_loss", "all", name),
            "excluded_loss": _loss(single, "excluded_loss", "train", name),
            "emergence": bracket(emergence[name]) if emergence else None,
        }
        for name in followed(tables)
    ]


def _embedding_share(tables: Tables, name: str) -> float | None:
    spectrum = at_end(tables["representation_spectrum"])
    shares = embedding_shares(spectrum) if len(spectrum) else pd.DataFrame()
    return shares[name].iloc[-1] if len(shares) else None


def _loss(rows: pd.DataFrame, measure: str, split: str, name: str = "", column: str = "loss") -> float | None:
    found = rows[
        (rows["measure"] == measure) & (rows["split"] == split) & (rows["representation"].fillna("") == name)
    ]
    return found[column].iloc[0] if len(found) else None


def _of_key_set(tables: Tables) -> dict[str, Any] | None:
    """Losses of the followed set and of the random sets at the last checkpoint."""
    last = at_end(one_level(tables))
    if not len(last):
        return None
    key, random = (last[last["selection"] == selection] for selection in ("key", "random"))
    band = {"lowest": "loss_min", "mean": "loss", "highest": "loss_max"}
    measures = (("restricted_loss", "all"), ("excluded_loss", "train"))
    return {
        "level": last["level"].iloc[0],
        "restricted_loss": _loss(key, "restricted_loss", "all"),
        "excluded_loss": _loss(key, "excluded_loss", "train"),
        "restricted_accuracy": _loss(key, "restricted_loss", "all", column="accuracy"),
        "restricted_accuracy_by_split": {
            split: _loss(key, "restricted_loss", split, column="accuracy") for split in ("train", "test")
        },
        "random_sets": {
            measure: {name: _loss(random, measure, split, column=column) for name, column in band.items()}
            for measure, split in measures
        },
        "random_sets_accuracy": {
            name: _loss(random, "restricted_loss", "all", column=column)
            for name, column in (
                ("lowest", "accuracy_min"),
                ("mean", "accuracy"),
                ("highest", "accuracy_max"),
            )
        },
    }


def _hidden_shares(tables: Tables) -> dict[str, float]:
    spectrum = at_end(tables["representation_spectrum"])
    key = spectrum[spectrum["representation"].isin(followed(tables))] if len(spectrum) else spectrum
    parts = ("hidden_left", "hidden_right", "hidden_product")
    return {part: key[key["part"] == part]["share"].sum() for part in parts if len(key)}


def _cosets(tables: Tables) -> dict[str, Any] | None:
    """Coset concentration over neurons and sides at the last checkpoint; None where it does not apply."""
    last = at_end(tables["coset_concentration"])
    if not len(last):
        return None
    live = last.dropna(subset=["concentration"])
    return {
        "median": live["concentration"].median(),
        "share_below_1": float((live["concentration"] < 1).mean()),
        "share_below_0.01": float((live["concentration"] < 0.01).mean()),
        "n_constant": len(last) - len(live),
        "subgroup_orders": {
            str(order): int(n) for order, n in live["subgroup_order"].value_counts().sort_index().items()
        },
    }
