"""When and how much does arithmetic cross over from one language to another, and is it one circuit or two?

(a) Accuracy of the first language's facts, of the other language's facts that were never train, and of sentences that
were never train, from each language to the other. (b) Their losses. (c, d) Similarity of the two embeddings and
unembeddings: same directions, planes, shape, frequencies; dotted the most that 99 random names of the numbers give.
(e, f) Share of each frequency in the embedding and the unembedding of both languages at the last checkpoint; dotted the
most under random names. (g) Accuracy of each language once the directions of either one's key frequencies are projected
out, and pale with as many other frequencies. (h) How much each neuron and head varies over the facts of one language
against those of the other. The vertical band is the bracket in which the unseen facts come to be answered for good.

Where the dictionary is shuffled, (c) to (f) read the numbers in the dictionary's order, in which alone the languages
can agree. With more than two languages the figure shows the second; the summary has all.

References: the probes' own pages; the task is this package's own.
"""

from typing import Any

from matplotlib.figure import Figure

from interp.figures import (
    alignment_curves,
    bracket_band,
    language_curves,
    language_spectrum_bars,
    removal_bars,
    style,
    variance_points,
)
from interp.ground.thresholds import ACCURACY
from interp.tables.crossings import (
    agreeing_numbering,
    answers_along,
    carried,
    crossing,
    first_language,
    further_languages,
    one_or_two,
    other_sources,
    reads_alike,
    removal_shares,
    shared_components,
    strata,
    units_needed,
)
from interp.tables.folder import Tables
from interp.tables.outcome import bracket, outcome

AT_END = ("circuit_removal", "unit_removal", "language_patching", "component_effects")
# Sites of `language_patching` that hold a whole answer.
PATCHED = ("heads", "neurons")


def compute(run, device: str) -> Tables:
    from interp.measurement.measure import measure

    tables = measure(
        run, ["losses", "language_losses", "language_alignment", "language_spectra"], device=device
    )
    at_end = measure(run, list(AT_END), [run.steps[-1]], device=device)
    return {**tables, **at_end}


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(4, 2, height=9.2)
    losses = tables["language_losses"]
    if not len(losses):
        for ax in axes.flat:
            style.note_instead(ax)
        return figure
    first, language = first_language(losses), further_languages(losses)[0]
    both = [first, language]
    numbering = agreeing_numbering(tables["language_alignment"])
    for ax, quantity in zip(axes[0], ("accuracy", "loss"), strict=True):
        language_curves(losses, ax, first=first, language=language, quantity=quantity)
    for column, part in enumerate(("embedding", "unembedding")):
        options: dict[str, Any] = {"part": part, "numbering": numbering}
        alignment_curves(tables["language_alignment"], axes[1, column], language=language, **options)
        language_spectrum_bars(tables["language_spectra"], axes[2, column], languages=both, **options)
    removal_bars(tables["circuit_removal"], axes[3, 0], languages=both)
    variance_points(tables["component_effects"], axes[3, 1], first=first, language=language)
    rise = crossing(losses, language)
    for ax in axes[:2].flat:
        if not ax.axison:
            continue
        style.step_axis(ax, losses["step"].unique(), scale="linear")
        if rise.step is not None and rise.before is not None:
            bracket_band(rise, ax)
    style.label_panels(axes.flat)
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    losses = tables["language_losses"]
    languages = further_languages(losses)
    if not languages:
        return {
            "generalised": outcome(tables).generalised,
            "answer": "The task is not one in several languages.",
            "further_languages": {},
        }
    first = first_language(losses)
    found = {language: _of_language(tables, first, language) for language in languages}
    return {
        "generalised": outcome(tables).generalised,
        "answer": " ".join(_said(first, language, one) for language, one in found.items()),
        "first_language": first,
        "further_languages": found,
        "accuracy_threshold": ACCURACY,
    }


def _of_language(tables: Tables, first: str, language: str) -> dict[str, Any]:
    losses = tables["language_losses"]
    at_end = answers_along(losses, "fact", language, language).iloc[-1]
    came, others = crossing(losses, language), other_sources(losses, first, language)
    shares = removal_shares(tables["circuit_removal"])
    return {
        "crossing": bracket(came),
        "crosses_over": False if came.step is None else None if others else True,
        "other_sources": others,
        "unseen_accuracy": float(at_end["accuracy"]),
        "unseen_loss": float(at_end["loss"]),
        "strata": strata(losses, language),
        "number_accuracy": float(at_end["number_accuracy"]),
        "dictionary_accuracy": float(at_end["dictionary_accuracy"]),
        "dictionary_crossing": bracket(crossing(losses, language, "dictionary_accuracy")),
        "sentences": {
            f"{asked}-{answered}": _last_accuracy(answers_along(losses, "sentence", asked, answered))
            for asked, answered in ((first, language), (language, first))
        },
        "alignment": _alignment(tables, language),
        "circuits": {where: one_or_two(shares, where, first, language) for where in ("embedding", "neurons")},
        "removal": shares[
            shares["circuit"].isin([first, language]) & shares["tested"].isin([first, language])
        ].to_dict("records"),
        "units_needed": units_needed(tables["unit_removal"], first, language),
        "shared_components": shared_components(tables["component_effects"], first, language),
        "reads_alike": {
            f"after the {site}": reads_alike(tables["language_patching"], site, first, language)
            for site in PATCHED
        },
        "patching": {
            f"{donor} into {receiver}": {
                site: _carried(tables["language_patching"], receiver, donor, site) for site in PATCHED
            }
            for receiver, donor in (
                (language, first),
                (first, language),
                (first, first),
                (language, language),
            )
        },
    }


def _carried(table, receiver: str, donor: str, site: str) -> dict[str, float] | None:
    found = carried(table, receiver, donor, site)
    exchanged = carried(table, receiver, donor, site, "receiver")
    if found is None or exchanged is None:
        return found
    return {**found, "with_means_exchanged": exchanged["number_in_its_language"]}


def _last_accuracy(rows) -> float | None:
    return float(rows["accuracy"].iloc[-1]) if len(rows) else None


def _alignment(tables: Tables, language: str) -> list[dict[str, Any]]:
    table = tables["language_alignment"]
    if not len(table):
        return []
    last = table[(table["step"] == table["step"].max()) & (table["language"] == language)]
    last = last[last["numbering"] == agreeing_numbering(tables["language_alignment"])]
    rows = last[["part", "numbering", "measure", "value", "null", "null_mean"]].to_dict("records")
    return [{**row, "beyond_null": row["value"] > row["null"]} for row in rows]


def _said(first: str, language: str, found: dict[str, Any]) -> str:
    came = found["crossing"]
    accuracy = f"{found['unseen_accuracy']:.3f}"
    if came["step"] is not None:
        since = f"from step {came['step']} on"
        since += "" if came["before"] is None else f" ({came['before']} was below)"
        if found["crosses_over"]:
            said = f"What {first} was taught crosses over to {language}: its unseen facts"
        else:
            said = f"{language}'s unseen facts"
        said += f" stay at {ACCURACY:g} or above {since}."
        if not found["crosses_over"]:
            said += (
                f" Whether anything crossed over this does not say: {' and '.join(found['other_sources'])}."
            )
    else:
        said = (
            f"What {first} was taught has not crossed over to {language} by step {came['before']}: the accuracy of its "
            f"unseen facts is {accuracy}, below {ACCURACY:g}."
        )
        if found["dictionary_crossing"]["step"] is not None:
            said += f" {language} answers as the dictionary has it instead."
    if came["step"] is not None and "unsaid" in found["strata"]:
        said += f" Of those whose question no sentence asks {found['strata']['unsaid']:.3f} are answered in the end."
    circuits = {where: what for where, what in found["circuits"].items() if what is not None}
    if circuits:
        said += (
            " By removal: " + ", ".join(f"{what} in the {where}" for where, what in circuits.items()) + "."
        )
    elif found["removal"]:
        said += " By removal one circuit or two cannot be told."
    else:
        said += " One circuit or two cannot be told: a language without key frequencies has none."
    neurons = found["units_needed"].get("neurons")
    if neurons:
        shared, alone = len(neurons["both"]), [len(neurons[f"{name} only"]) for name in (first, language)]
        said += (
            f" Of {neurons['n_of']} neurons {first} needs {shared + alone[0]} and {language} {shared + alone[1]}, "
            f"{shared} of them the same (by chance {neurons['both_by_chance']:.0f})."
        )
    alike = [where for where, is_so in found["reads_alike"].items() if is_so]
    if alike:
        said += (
            f" What comes {' and '.join(alike)} reads both languages alike: with the languages' means exchanged a "
            "patch brings the number of one in the words of the other."
        )
    return said
