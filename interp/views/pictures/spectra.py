"""Pictures of Fourier features: spectra, sparsity, what cosines explain of the logits, neurons by frequency."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from interp.figures import (
    component_map,
    emergence_bands,
    feature_curves,
    neuron_histogram,
    sparsity_curves,
    spectrum_map,
)
from interp.ground.plain_text import listed
from interp.ground.thresholds import LOGIT_FRACTION, NEURON_FRACTION
from interp.tables.folder import Tables
from interp.tables.key_frequencies import emergence, followed_frequencies, run_key_frequencies
from interp.views.pictures.captions import at_end, grokking_said, null_said, number
from interp.views.pictures.panels import along, panel
from interp.views.pictures.picture import Picture

# Of fewer than seven residues nulls are infinite.
NO_NULL = "so few residues have no random names to compare with"


def _key(tables: Tables) -> tuple[pd.DataFrame, bool]:
    """The frequencies that are followed, the strongest first, and whether they are key."""
    if keys := run_key_frequencies(tables):
        return emergence(tables["logit_spectrum"], keys), True
    return pd.DataFrame({"frequency": followed_frequencies(tables)[0]}), False


def key_said(tables: Tables) -> str:
    """Which frequencies are followed, and by what they were chosen."""
    frequencies, chosen_by = followed_frequencies(tables)
    if not frequencies:
        return "No frequencies are followed: Fourier probes do not apply."
    if run_key_frequencies(tables):
        return (
            f"Key frequencies: {listed(frequencies)}, each above {LOGIT_FRACTION:.1%} of the logits and above its null "
            "at a checkpoint that generalises."
        )
    return f"No frequency is key; those followed, {listed(frequencies)}, were chosen by {chosen_by}."


def _at(*probes: str):
    """Probes at one checkpoint, with what the key set is read off."""

    def compute(run, device: str, step: int) -> Tables:
        from interp.measurement.measure import measure

        of_run = measure(run, ["logit_spectrum", "losses"], device=device)
        return {**of_run, **measure(run, list(probes), steps=[step], device=device)}

    return compute


def _spectrum_said(tables: Tables) -> str:
    last = at_end(tables["embedding_spectrum"])
    top = last.nlargest(min(5, len(last)), "fraction")
    shares = listed(f"k = {row.frequency} ({row.fraction:.1%})" for row in top.itertuples())
    null = float(last["null"].iloc[0])
    reached = (
        f"random names of the residues at most {number(null)} (line on the colour bar: the most at any checkpoint)"
        if np.isfinite(null)
        else NO_NULL
    )
    return (
        f"Share of the power of the embedding W_E in each frequency k, along training. At step {last['step'].iloc[0]} "
        f"the largest are {shares}; an even spread gives {1 / len(last):.1%}, {reached}."
    )


def _dotted_said(nulls: pd.Series) -> str:
    there = np.isfinite(nulls).any()
    return "Dotted: the null, after random names of the residues." if there else f"No null: {NO_NULL}."


def _draw_features(tables: Tables, ax: Axes) -> None:
    key, are_key = _key(tables)
    if are_key:
        emergence_bands(key, ax)
    feature_curves(tables["fourier_sparsity"], tables["logit_spectrum"], key, ax, are_key=are_key)


def _features_said(tables: Tables) -> str:
    key, are_key = _key(tables)
    last = at_end(tables["logit_spectrum"])
    share = last[last["frequency"].isin(key["frequency"])]["fraction_explained"].sum()
    bands = " Grey bands: the brackets between checkpoints in which each of them came to stand out."
    return (
        "Gini coefficients (dashed) of the Fourier components of the embedding W_E and the neuron-to-logit map W_L, "
        f"and the share of the variance of the logits that cos(2 pi k (a + b - c) / p) explains: {share:.1%} together "
        f"at step {last['step'].iloc[0]}. {_dotted_said(last['null'])} {key_said(tables)}"
        f"{bands if are_key else ''}"
    )


def _sparsity_said(tables: Tables) -> str:
    last = at_end(tables["fourier_sparsity"])
    values = listed(
        f"{row.matrix} {row.gini:.2f}{null_said(row.gini_null)}" for row in last.itertuples(index=False)
    )
    return (
        "Gini coefficient of the norms of the Fourier components of the embedding W_E and the neuron-to-logit map W_L, "
        f"0 where all are alike and near 1 where few hold all; at step {last['step'].iloc[0]}: "
        f"{values}. {_dotted_said(last['gini_null'])} {grokking_said(tables)}"
    )


def _draw_components(tables: Tables, ax: Axes) -> None:
    component_map(tables["logit_components"], _key(tables)[0], ax)
    ax.set_aspect("equal")


def _components_said(tables: Tables) -> str:
    table, (key, are_key) = tables["logit_components"], _key(tables)
    is_zero = (table["frequency_first"] == 0) | (table["frequency_second"] == 0)
    is_diagonal = (table["frequency_first"] == table["frequency_second"]) & ~is_zero
    on_key = is_diagonal & table["frequency_first"].isin(key["frequency"])
    named = "the key frequencies" if are_key else "the frequencies that are followed"
    return (
        "2-D Fourier spectrum of the logits over the inputs (a, b): share of their power in each pair of frequencies, "
        "log colours from an even spread up. A function of a + b lies on the diagonal, which holds "
        f"{table[is_diagonal]['fraction'].sum():.1%}, {table[on_key]['fraction'].sum():.1%} at {named} (ticks). "
        f"{key_said(tables)}"
    )


def _neurons_said(tables: Tables) -> str:
    table, (key, _) = tables["neuron_frequencies"], _key(tables)
    live = table[table["frequency"] > 0]
    counts = listed(f"{(live['frequency'] == k).sum()} at k = {k}" for k in key["frequency"])
    null = float(table["null"].iloc[0])
    dashed = (
        f"Dashed: the null, {number(null)}, the most that any neuron has after random names of the residues."
        if np.isfinite(null)
        else f"No null: {NO_NULL}."
    )
    n_explained = (live["fraction_explained"] >= NEURON_FRACTION).sum()
    return (
        "Neurons of the MLP by the share of their variance over all inputs that their best frequency explains, "
        f"coloured by frequency: {counts}, of {len(live)} live ones of {len(table)}; {n_explained} reach "
        f"{NEURON_FRACTION:g} (dotted). {dashed} {key_said(tables)}"
    )


PICTURES = {
    "spectrum_map": Picture(
        shows="share of the embedding's power in each frequency, along training",
        compute=along("embedding_spectrum"),
        draw=panel(lambda tables, ax: spectrum_map(tables["embedding_spectrum"], ax)),
        caption=_spectrum_said,
        needs=("embedding_spectrum",),
    ),
    "feature_curves": Picture(
        shows="Gini coefficients, and what each key frequency explains of the logits, along training",
        compute=along("fourier_sparsity", "logit_spectrum", "losses"),
        draw=panel(_draw_features, steps_of="logit_spectrum", scale="log", has_grokking=False),
        caption=_features_said,
        needs=("logit_spectrum",),
    ),
    "sparsity_curves": Picture(
        shows="Gini coefficient of the Fourier components of W_E and W_L, along training",
        compute=along("fourier_sparsity"),
        draw=panel(
            lambda tables, ax: sparsity_curves(tables["fourier_sparsity"], ax), steps_of="fourier_sparsity"
        ),
        caption=_sparsity_said,
        needs=("fourier_sparsity",),
    ),
    "component_map": Picture(
        shows="2-D Fourier spectrum of the logits over (a, b), at one checkpoint",
        compute=_at("logit_components"),
        draw=panel(_draw_components, height=3.4, is_square=True),
        caption=_components_said,
        needs=("logit_components",),
        is_of_step=True,
    ),
    "neuron_histogram": Picture(
        shows="how much of each neuron its frequency explains, at one checkpoint",
        compute=_at("neuron_frequencies"),
        draw=panel(lambda tables, ax: neuron_histogram(tables["neuron_frequencies"], _key(tables)[0], ax)),
        caption=_neurons_said,
        needs=("neuron_frequencies",),
        is_of_step=True,
    ),
}
