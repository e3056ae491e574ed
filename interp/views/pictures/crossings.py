"""Pictures of arithmetic that crosses over between languages, of the first language and the second."""

from typing import Any

from matplotlib.axes import Axes

from interp.figures import (
    alignment_curves,
    language_curves,
    language_spectrum_bars,
    removal_bars,
    variance_points,
)
from interp.ground.plain_text import listed
from interp.tables.crossings import (
    agreeing_numbering,
    answers_along,
    first_language,
    further_languages,
    shared_components,
)
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, grokking_said
from interp.views.pictures.panels import along, panel
from interp.views.pictures.picture import Picture


def _pair(tables: Tables) -> tuple[str, str]:
    losses = tables["language_losses"]
    return first_language(losses), further_languages(losses)[0]


def _curves(tables: Tables, ax: Axes) -> Axes:
    first, language = _pair(tables)
    return language_curves(tables["language_losses"], ax, first=first, language=language)


def _curves_said(tables: Tables) -> str:
    losses, (first, language) = tables["language_losses"], _pair(tables)
    asked = {
        f"the unseen facts of {language}": answers_along(losses, "fact", language, language),
        f"unseen sentences from {first} to {language}": answers_along(losses, "sentence", first, language),
        f"those from {language} to {first}": answers_along(losses, "sentence", language, first),
    }
    ends = listed(f"{rows['accuracy'].iloc[-1]:.3f} on {name}" for name, rows in asked.items() if len(rows))
    return (
        f"Accuracy of facts and sentences of the languages {first} and {language}, along training; at step "
        f"{losses['step'].max()}, {ends}. {grokking_said(tables)}"
    )


def _embeddings(tables: Tables) -> dict[str, Any]:
    return {"part": "embedding", "numbering": agreeing_numbering(tables["language_alignment"])}


def _alignment(tables: Tables, ax: Axes) -> Axes:
    _, language = _pair(tables)
    return alignment_curves(tables["language_alignment"], ax, language=language, **_embeddings(tables))


def _alignment_said(tables: Tables) -> str:
    first, language = _pair(tables)
    chosen, last = _embeddings(tables), at_end(tables["language_alignment"])
    last = last[(last["language"] == language) & (last["part"] == chosen["part"])]
    last = last[last["numbering"] == chosen["numbering"]]
    ends = listed(
        f"{row.measure.replace('_', ' ')} {row.value:.2f} (random names {row.null:.2f})"
        for row in last.itertuples()
    )
    return (
        f"Similarity of the embedding of {language} to that of {first}, along training; dotted: the most that 99 "
        f"random names of the numbers give. At step {last['step'].iloc[0]}: {ends}. {grokking_said(tables)}"
    )


def _spectrum(tables: Tables, ax: Axes) -> Axes:
    return language_spectrum_bars(
        tables["language_spectra"], ax, languages=_pair(tables), **_embeddings(tables)
    )


def _spectrum_said(tables: Tables) -> str:
    first, language = _pair(tables)
    return (
        f"Share of each frequency in the embeddings of {first} and {language} at the last checkpoint, step "
        f"{tables['language_spectra']['step'].max()}; dotted: the most that random names of the numbers give."
    )


def _removal_said(tables: Tables) -> str:
    first, language = _pair(tables)
    last = at_end(tables["circuit_removal"])
    last = last[last["circuit"].isin([first, language]) & last["tested"].isin([first, language])]
    removed = last[last["selection"] == "key"]
    ends = listed(
        f"{row.accuracy:.2f} of {row.tested} without {row.circuit}'s in the {row.where}"
        for row in removed.itertuples()
    )
    return (
        f"Accuracy of the facts of {first} and {language} once the directions of either one's key frequencies are "
        f"projected out; pale: of as many other frequencies. At step {last['step'].iloc[0]}: {ends}."
    )


def _variance_said(tables: Tables) -> str:
    first, language = _pair(tables)
    ranks = listed(
        f"{found['variance_rank_correlation']:.2f} over {found['n']} {component}s"
        for component, found in shared_components(tables["component_effects"], first, language).items()
    )
    return (
        f"How much each neuron and head varies over the facts of {first} and of {language}, as a share of the "
        f"largest, at step {tables['component_effects']['step'].max()}; on the dotted line it serves both alike. Rank "
        f"correlations: {ranks}."
    )


PICTURES = {
    "language_curves": Picture(
        shows="accuracy of facts and sentences of two languages, along training",
        compute=along("language_losses", "losses"),
        draw=panel(_curves, steps_of="language_losses"),
        caption=_curves_said,
        needs=("language_losses",),
    ),
    "alignment_curves": Picture(
        shows="how far one language's embedding is another's, along training",
        compute=along("language_losses", "language_alignment", "losses"),
        draw=panel(_alignment, steps_of="language_alignment"),
        caption=_alignment_said,
        needs=("language_losses", "language_alignment"),
    ),
    "language_spectrum_bars": Picture(
        shows="frequencies of two languages' embeddings",
        compute=along("language_losses", "language_alignment", "language_spectra", "losses"),
        draw=panel(_spectrum),
        caption=_spectrum_said,
        needs=("language_losses", "language_alignment", "language_spectra"),
    ),
    "removal_bars": Picture(
        shows="accuracy of two languages without the directions of either one's key frequencies",
        compute=along("language_losses", "losses", at_last=["circuit_removal"]),
        draw=panel(lambda tables, ax: removal_bars(tables["circuit_removal"], ax, languages=_pair(tables))),
        caption=_removal_said,
        needs=("language_losses", "circuit_removal"),
    ),
    "variance_points": Picture(
        shows="how much neurons and heads vary over the facts of either language",
        compute=along("language_losses", "losses", at_last=["component_effects"]),
        draw=panel(
            lambda tables, ax: variance_points(
                tables["component_effects"], ax, first=_pair(tables)[0], language=_pair(tables)[1]
            )
        ),
        caption=_variance_said,
        needs=("language_losses", "component_effects"),
    ),
}
