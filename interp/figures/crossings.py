"""Arithmetic that crosses over from one language to another: answers, embeddings and circuits of both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd

MEASURES = {
    "cosine": (style.BLUE, "-", "same directions (cosine)"),
    "planes": (style.PURPLE, "--", "same planes"),
    "procrustes": (style.VERMILION, "-", "same shape (Procrustes)"),
    "cka": (style.GREEN, "-.", "same shape (CKA)"),
    "spectrum_overlap": (style.ORANGE, "-", "same frequencies"),
}


def language_curves(
    losses: "pd.DataFrame", ax: Axes, *, first: str, language: str, quantity: str = "accuracy", **legend: Any
) -> Axes:
    """Answers in the first language, to unseen facts of another one, and to unseen sentences both ways.

    Args:
        losses: of `language_losses`.
        quantity: "accuracy" or "loss"; of facts "dictionary_accuracy" too, dotted where it is another.
        legend: options of the legend.
    """
    # Loads pandas, which a figure does without until it has a table.
    from interp.tables.crossings import answers_along

    if not len(losses):
        style.note_instead(ax)
        return ax
    curves = (
        ("fact", first, first, True, style.BLUE, "-", f"facts of {first}"),
        ("sentence", first, language, False, style.GREEN, "--", f"sentences {first} to {language}, unseen"),
        ("sentence", language, first, False, style.ORANGE, "-.", f"sentences {language} to {first}, unseen"),
        ("fact", language, language, False, style.VERMILION, "-", f"facts of {language}, unseen"),
    )
    for kind, asked, answered, is_seen, colour, line, label in curves:
        rows = answers_along(losses, kind, asked, answered, is_seen=is_seen)
        if len(rows):
            ax.plot(rows["step"], rows[quantity], color=colour, ls=line, label=label)
    rows = answers_along(losses, "fact", language, language)
    if quantity == "accuracy" and (rows["dictionary_accuracy"] != rows["accuracy"]).any():
        ax.plot(
            rows["step"], rows["dictionary_accuracy"], color=style.VERMILION, ls=":",
            label=f"the same, as {first} and the dictionary say",
        )  # fmt: skip
    if quantity == "loss":
        ax.set_yscale("log")
        ax.set_ylabel("loss (nats)")
    else:
        ax.set_ylim(-0.02, 1.02)
        ax.set_ylabel("accuracy")
    style.legend_above(ax, n_columns=2, **legend)
    return ax


def alignment_curves(
    alignment: "pd.DataFrame", ax: Axes, *, language: str, part: str, numbering: str = "own", **legend: Any
) -> Axes:
    """Similarity of a language's embedding (or unembedding) to the first one's; thin: the most of random names.

    Args:
        alignment: of `language_alignment`.
        part: "embedding" or "unembedding".
        numbering: "own" or "dictionary".
        legend: options of the legend.
    """
    rows = alignment
    if len(rows):
        rows = rows[
            (rows["language"] == language) & (rows["part"] == part) & (rows["numbering"] == numbering)
        ]
    if not len(rows):
        style.note_instead(ax)
        return ax
    for measure, (colour, line, label) in MEASURES.items():
        curve = rows[rows["measure"] == measure]
        if len(curve):
            ax.plot(curve["step"], curve["value"], color=colour, ls=line, label=label)
            ax.plot(curve["step"], curve["null"], color=colour, ls=":", lw=0.7)
    ax.set_ylim(min(-0.02, rows["value"].min()), 1.02)
    ax.set_ylabel(f"similarity of\n{part}s")
    style.legend_above(ax, n_columns=2, **legend)
    return ax


def language_spectrum_bars(
    spectra: "pd.DataFrame",
    ax: Axes,
    *,
    languages: Sequence[str],
    part: str,
    numbering: str = "own",
    **legend: Any,
) -> Axes:
    """Share of each frequency in the embeddings (or unembeddings) of two languages at the last checkpoint.

    Args:
        spectra: of `language_spectra`.
        part: "embedding" or "unembedding".
        legend: options of the legend.
    """
    if not len(spectra):
        style.note_instead(ax)
        return ax
    last = spectra[(spectra["step"] == spectra["step"].max()) & (spectra["part"] == part)]
    width = 0.8 / len(languages)
    for i, (language, colour) in enumerate(zip(languages, style.PALETTE, strict=False)):
        rows = last[last["language"] == language]
        chosen = rows[rows["numbering"] == numbering]
        rows = chosen if len(chosen) else rows
        at = rows["frequency"] + (i - (len(languages) - 1) / 2) * width
        ax.bar(at, rows["fraction"], width=width, color=colour, label=language)
        ax.axhline(rows["null"].iloc[0], color=colour, ls=":", lw=0.7)
    ax.set_xlabel("frequency k")
    ax.set_ylabel(f"share of the\n{part}")
    style.legend_above(ax, n_columns=len(languages), **legend)
    return ax


def removal_bars(removal: "pd.DataFrame", ax: Axes, *, languages: Sequence[str], **legend: Any) -> Axes:
    """Accuracy of each language without the directions of either circuit, at the last checkpoint; ticks: as it was.

    Args:
        removal: of `circuit_removal`.
        legend: options of the legend.
    """
    if not len(removal):
        style.note_instead(ax, "no language has key frequencies")
        return ax
    last = removal[removal["step"] == removal["step"].max()]
    groups = [
        (where, circuit)
        for where in dict.fromkeys(last["where"])
        for circuit in languages
        if ((last["where"] == where) & (last["circuit"] == circuit)).any()
    ]
    width = 0.8 / (2 * len(languages))
    for i, (tested, colour) in enumerate(zip(languages, style.PALETTE, strict=False)):
        for j, (selection, alpha) in enumerate((("key", 1.0), ("random", 0.35))):
            rows = last[(last["tested"] == tested) & (last["selection"] == selection)].set_index(
                ["where", "circuit"]
            )
            at = [x + (2 * i + j - len(languages) + 0.5) * width for x in range(len(groups))]
            heights = [rows["accuracy"].get(group, float("nan")) for group in groups]
            label = f"facts of {tested}" if selection == "key" else None
            ax.bar(at, heights, width=width, color=colour, alpha=alpha, label=label)
    ax.set_xticks(range(len(groups)), [f"{circuit}'s in\n{where}" for where, circuit in groups])
    ax.set_xlabel("circuit that is removed")
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("accuracy")
    style.legend_above(ax, n_columns=2, **{"title": "pale: as many other frequencies removed"} | legend)
    return ax


def variance_points(effects: "pd.DataFrame", ax: Axes, *, first: str, language: str, **legend: Any) -> Axes:
    """How much each neuron and head varies over the facts of one language against those of another, at the last step.

    On the dotted line it serves both alike; along an axis it serves one.

    Args:
        effects: of `component_effects`.
        legend: options of the legend.
    """
    # Loads pandas, which a figure does without until it has a table.
    from interp.tables.crossings import by_language

    drawn = 0
    for component, colour, marker in (("neuron", style.BLUE, "o"), ("head", style.VERMILION, "s")):
        table = by_language(effects, component, "variance")
        if len(table):
            drawn += len(table)
            shares = table / table.max().max()
            ax.scatter(
                shares[first], shares[language], s=9, color=colour, marker=marker, lw=0, label=f"{component}s",
                clip_on=False, zorder=3,
            )  # fmt: skip
    if not drawn:
        style.note_instead(ax)
        return ax
    ax.plot([0, 1], [0, 1], color="0.6", ls=":", lw=0.8, zorder=1)
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(f"variance over facts of {first}\n(of the largest)")
    ax.set_ylabel(f"variance over facts\nof {language} (of the largest)")
    style.legend_above(ax, n_columns=2, **legend)
    return ax


# What is translated: colour and line of each kind of run, by number translations and share of sentences.
TRANSLATED = {
    (False, False): (style.BLACK, ":", "nothing translated"),
    (True, False): (style.BLUE, "-", "numbers"),
    (False, True): (style.ORANGE, "-.", "sentences"),
    (True, True): (style.VERMILION, "-", "numbers and sentences"),
}


def crossing_points(runs: "pd.DataFrame", ax: Axes, *, quantity: str, **legend: Any) -> Axes:
    """How much of a language's unseen facts is answered, or from which step on, against the share that was train.

    A point a run, lines through the means; runs that did not cross over stand hollow at their last step, and a line
    ends where one of its runs did not.

    Args:
        runs: a row a run: fact_fraction, n_translations, sentence_fraction, accuracy, step, n_steps.
        quantity: "accuracy" or "step".
        legend: options of the legend.
    """
    # Beside each other, so that runs of one share do not hide each other.
    apart = 0.012 * max(runs["fact_fraction"].max(), 0.1)
    for i, ((has_numbers, has_sentences), (colour, line, label)) in enumerate(TRANSLATED.items()):
        rows = runs[
            (runs["n_translations"] > 0).eq(has_numbers) & (runs["sentence_fraction"] > 0).eq(has_sentences)
        ]
        if not len(rows):
            continue
        came, at = rows[quantity].notna(), rows["fact_fraction"] + (i - 1.5) * apart
        ax.scatter(at[came], rows[quantity][came], s=12, color=colour, lw=0, zorder=3)
        ax.scatter(
            at[~came],
            rows["n_steps"][~came],
            s=14,
            facecolor="none",
            edgecolor=colour,
            lw=0.8,
            zorder=3,
        )
        mean = rows.groupby("fact_fraction")[quantity].apply(lambda x: x.mean(skipna=False))
        ax.plot(mean.index, mean, color=colour, ls=line, label=label)
    ax.set_xlabel("share of the other language's facts in train")
    if quantity == "accuracy":
        ax.set_ylim(-0.02, 1.02)
        ax.set_ylabel("accuracy of its unseen facts")
    else:
        ax.set_ylim(0, 1.08 * runs["n_steps"].max())
        ax.set_ylabel("step from which on it is 0.95\n(hollow: not by the end)")
    style.legend_above(ax, n_columns=2, **legend)
    return ax


DOSES = {
    "n_translations": "numbers that are translated",
    "sentence_fraction": "share of sentences that are train",
    "fact_fraction": "share of its facts that are train",
}


def dose_curves(runs: "pd.DataFrame", ax: Axes, *, dose: str, quantity: str, **legend: Any) -> Axes:
    """How much of a language's unseen facts is answered, or from which step on, against what was shown: a line a seed.

    Runs that did not reach it stand hollow at their last step, and are joined to no other.

    Args:
        runs: a row a run: seed, the dose, accuracy, step, n_steps.
        dose: a key of `DOSES`.
        quantity: "accuracy" or "step".
        legend: options of the legend.
    """
    for (seed, rows), colour, marker in zip(runs.groupby("seed"), style.PALETTE, "osD^v", strict=False):
        look: dict[str, Any] = {"marker": marker, "ms": 3.5, "color": colour}
        rows = rows.sort_values(dose)
        ax.plot(rows[dose], rows[quantity], lw=1, label=f"seed {seed}", **look)
        never = rows[rows[quantity].isna()]
        ax.plot(never[dose], never["n_steps"], ls="", markerfacecolor="none", **look)
    ax.set_xlabel(DOSES[dose])
    if quantity == "accuracy":
        ax.set_ylim(-0.02, 1.04)
        ax.set_ylabel("accuracy of unseen facts\nof the other language")
    else:
        ax.set_ylim(0, 1.08 * runs["n_steps"].max())
        ax.set_ylabel("step from which on it is\n0.95 (hollow: not by the end)")
    style.legend_above(ax, n_columns=4, **legend)
    return ax
