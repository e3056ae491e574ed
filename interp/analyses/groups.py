"""Which representations of its group does the network compose through, when do they come, and in which order?

(a) Train and test loss. (b) Share of each representation in the embedding of the left operand and in the unembedding.
(c) Excluded loss of the train pairs without the key representations, and restricted loss of all pairs with nothing
else; bands: sets of as many others; dotted: the key ones of each checkpoint alone. (d) Cosine of the logits with the
character of each representation; dotted: the sum of squares, which is what they explain together. (e) Excluded loss
without each representation alone. (f) Coset concentration of the neurons, or where cosets say nothing the share of the
neurons along rho(a), rho(b) and rho(ab). Key representations in colour, others grey; vertical bands are the brackets in
which each phase begins (`interp.tables.phases`, from the losses of the key set).

The key set is the union of the representations that explain more than 0.5 % of the logits at any checkpoint with test
accuracy above 0.99; in a run that never generalises the two that explain most at its end. Losses are at the level of
the neurons, as in the paper, or of the logits where there are none. Addition of residues is composition in a cyclic
group, its frequencies "k=1", "k=2", ... are representations.

References: Chughtai et al. 2023, section 5; Stander et al. 2023, section 5 (cosets).
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
)
from interp.ground.thresholds import GENERALISED, LOGIT_FRACTION
from interp.tables.folder import Tables
from interp.tables.key_representations import (
    embedding_shares,
    followed_representations,
    representation_emergence,
    representation_sparsity,
)
from interp.tables.phases import phases
from interp.tables.transitions import Transition

MOST = 8  # colours that are told apart


def compute(run, device: str) -> Tables:
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import representation_losses

    probes = [
        "losses", "character_similarity", "representation_spectrum", "coset_concentration", "weight_norms",
    ]  # fmt: skip
    tables = measure(run, probes, device=device)
    if reason := tables["character_similarity"].attrs.get("not_applicable"):
        raise ValueError(reason)
    names, chosen_by = followed_representations(tables)
    probe = partial(representation_losses, representations=names)
    return {
        **tables,
        **measure(run, {"representation_losses": probe}, device=device),
        "key_representations": pd.DataFrame({"representation": names, "chosen_by": chosen_by}),
        "history": run.history(),
    }


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(3, 2, height=6.6, sharex=True)
    key, losses, spectrum = _key(tables), _losses(tables), tables["representation_spectrum"]
    colours = representation_colours(key[:MOST])
    loss_curves(tables, axes[0, 0], loc="center right")
    parts = {"left_embedding": "-", "unembedding": "--"}
    share_curves(spectrum, axes[0, 1], parts=parts, colours=colours)
    progress_curves(losses, axes[1, 0])
    similarity_curves(tables["character_similarity"], axes[1, 1], colours=colours)
    single_loss_curves(losses, axes[2, 0], colours=colours)
    if len(tables["coset_concentration"]) or not len(spectrum):
        concentration_curves(tables["coset_concentration"], axes[2, 1])
    else:
        hidden_curves(spectrum, axes[2, 1], names=key)
    found = _phases(tables)
    for ax in axes.flat:
        phase_bands(found, ax, alpha=0.3, lw=0.0, edge=True)
    style.label_panels(axes.flat)
    style.step_axes(axes, np.unique(tables["losses"]["step"]), scale="linear")
    phase_legend(figure, found)
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    answers = _at_end(tables["losses"]).set_index("split")
    split = "test" if "test" in answers.index else "all"
    generalised = bool(answers.loc[split, "accuracy"] > GENERALISED)
    found, order = _phases(tables), _order(tables)
    return {
        "generalised": generalised,
        "answer": _answer(generalised, split, answers.loc[split, "accuracy"], order),
        "accuracy_all": answers.loc["all", "accuracy"],
        "loss_all": answers.loc["all", "loss"],
        "test_accuracy": answers.loc["test", "accuracy"] if split == "test" else None,
        "test_loss": answers.loc["test", "loss"] if split == "test" else None,
        "key_representations": _of_each(tables),
        "key_representations_chosen_by": tables["key_representations"]["chosen_by"].iloc[0],
        "key_threshold": LOGIT_FRACTION,
        "order_of_emergence": order,
        **{name: _bracket(begins) for name, begins in found.items()},
        "key_set": _of_key_set(tables),
        "logit_fraction_explained": _at_end(tables["character_similarity"])["fraction_explained"].sum(),
        "hidden_share_of_key_representations": _hidden_shares(tables),
        "coset_concentration": _cosets(tables),
    }


def _answer(generalised: bool, split: str, accuracy: float, order: list[str]) -> str:
    if generalised:
        named = ", then ".join(order) if order else "none whose share of the embeddings grew"
        return f"The run has generalised. Its key representations, in the order in which they came: {named}."
    return (
        f"The run has not generalised: its {split} accuracy ends at {accuracy:.3f}, not above {GENERALISED}. The "
        "representations named here explain most of its last logits, which says nothing about an algorithm."
    )


def _key(tables: Tables) -> list[str]:
    return tables["key_representations"]["representation"].tolist()


def _losses(tables: Tables) -> pd.DataFrame:
    """`representation_losses` at the level of the neurons, or of the logits where there are none."""
    table = tables["representation_losses"]
    level = "hidden" if (table["level"] == "hidden").any() else "logits"
    return table[table["level"] == level]


def _phases(tables: Tables) -> dict[str, Transition]:
    spectrum = tables["representation_spectrum"]
    return phases(
        {
            "history": tables["history"],
            "losses": tables["losses"],
            "progress_measures": _losses(tables),
            "weight_norms": tables["weight_norms"],
            "fourier_sparsity": representation_sparsity(spectrum) if len(spectrum) else spectrum,
        }
    )


def _emergence(tables: Tables) -> dict[str, Transition]:
    spectrum = tables["representation_spectrum"]
    has_embeddings = len(spectrum) > 0 and (spectrum["part"] == "left_embedding").any()
    if not has_embeddings:
        return dict.fromkeys(_key(tables), Transition("share of the embeddings", None, None, None))
    return representation_emergence(spectrum, _key(tables))


def _order(tables: Tables) -> list[str]:
    """Key representations by the step at which they emerged; those that never did are left out."""
    steps = {name: rise.step for name, rise in _emergence(tables).items() if rise.step is not None}
    return sorted(steps, key=steps.__getitem__)


def _at_end(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["step"] == table["step"].max()] if len(table) else table


def _of_each(tables: Tables) -> list[dict[str, Any]]:
    """Each key representation at the last checkpoint."""
    logits = _at_end(tables["character_similarity"]).set_index("representation")
    single = _at_end(_losses(tables))
    single = single[single["selection"] == "single"]
    emergence = _emergence(tables)
    return [
        {
            "name": name,
            "dimension": int(logits.loc[name, "dimension"]),
            "share": logits.loc[name, "fraction_explained"],
            "similarity": logits.loc[name, "similarity"],
            "embedding_share": _embedding_share(tables, name),
            "restricted_loss": _loss(single, "restricted_loss", "all", name),
            "excluded_loss": _loss(single, "excluded_loss", "train", name),
            "emergence": _bracket(emergence[name]),
        }
        for name in _key(tables)
    ]


def _embedding_share(tables: Tables, name: str) -> float | None:
    spectrum = _at_end(tables["representation_spectrum"])
    shares = embedding_shares(spectrum) if len(spectrum) else pd.DataFrame()
    return shares[name].iloc[-1] if len(shares) else None


def _loss(rows: pd.DataFrame, measure: str, split: str, name: str = "", column: str = "loss") -> float | None:
    found = rows[
        (rows["measure"] == measure) & (rows["split"] == split) & (rows["representation"].fillna("") == name)
    ]
    return found[column].iloc[0] if len(found) else None


def _of_key_set(tables: Tables) -> dict[str, Any]:
    """Losses of the key set and of the random sets at the last checkpoint."""
    last = _at_end(_losses(tables))
    key, random = (last[last["selection"] == selection] for selection in ("key", "random"))
    band = {"lowest": "loss_min", "mean": "loss", "highest": "loss_max"}
    measures = (("restricted_loss", "all"), ("excluded_loss", "train"))
    return {
        "level": last["level"].iloc[0],
        "restricted_loss": _loss(key, "restricted_loss", "all"),
        "excluded_loss": _loss(key, "excluded_loss", "train"),
        "restricted_accuracy": _loss(key, "restricted_loss", "all", column="accuracy"),
        "random_sets": {
            measure: {name: _loss(random, measure, split, column=column) for name, column in band.items()}
            for measure, split in measures
        },
    }


def _hidden_shares(tables: Tables) -> dict[str, float]:
    spectrum = _at_end(tables["representation_spectrum"])
    key = spectrum[spectrum["representation"].isin(_key(tables))] if len(spectrum) else spectrum
    parts = ("hidden_left", "hidden_right", "hidden_product")
    return {part: key[key["part"] == part]["share"].sum() for part in parts if len(key)}


def _cosets(tables: Tables) -> dict[str, Any] | None:
    """Coset concentration over neurons and sides at the last checkpoint; None where it does not apply."""
    last = _at_end(tables["coset_concentration"])
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


def _bracket(found: Transition) -> dict[str, Any]:
    return {
        "before": found.before,
        "step": found.step,
        "quantity": found.quantity,
        "threshold": found.threshold,
    }
