"""When does a language model learn to copy from its context, and what has changed by then?

(a) Loss on the text, with the entropies of its own unigram and bigram counts; dashed: what bigram counts of one half
lose on the other. (b) In-context score, loss late in a window minus loss early in it, with its standard error. (c)
Prefix matching of each head on repeated random tokens; dotted: the level from which a head that copies counts as one of
induction. (d)
Attention of each head to the token before. (e) Loss on random tokens and on their repetition. (f) Divergence of the
predictions from the unigram and the bigram counts of the text. (g) Dimension of the residual stream on the text, by
layer. (h) Sum of squared weights. The grey band is the bracket in which induction heads form.

The steps that were saved are a ruler with gaps: induction heads form somewhere within the bracket, between the last
checkpoint without and the first with them. What changed most is asked of two steps, those of the bracket where none are
named, and compared with all other pairs as many checkpoints apart; the movement of each head and MLP with some of
these.

References: Olsson et al. 2022, "In-context learning and induction heads"; Chang, Tu and Bergen 2024 (n-grams).
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp.figures import bracket_band, quantity_curves, style, total_norm_curve
from interp.ground.plain_text import listed
from interp.ground.thresholds import HEAD_SCORE
from interp.tables.folder import Tables
from interp.tables.language_models import (
    changes_between,
    check_pair,
    induction_change,
    language_transitions,
    movements_with_null,
    named_components,
    pairs_as_far_apart,
    repetition_gain,
    strongest_heads,
)
from interp.tables.outcome import bracket
from interp.tables.transitions import Transition, last_lost

# Its runs have no task by whose accuracy they could be judged.
is_of_answers = False

WITH_TEXT = ("text_losses", "in_context_score", "ngram_scores", "residual_dimensions")
WITHOUT_TEXT = ("induction_scores", "repetition_losses", "weight_norms", "weight_spectra")
# Pairs of checkpoints for the null of the movements, each of which is read twice.
NULL_PAIRS = 3
N_TOLD = 12


def compute(
    run,
    device: str,
    *,
    text: str | None = None,
    before: int | None = None,
    after: int | None = None,
    keep_going: bool = False,
) -> Tables:
    from functools import partial

    from interp import probes
    from interp.measurement.measure import measure

    check_pair(run.steps, before, after)
    file = Path(text).expanduser() if text is not None else run.path / "text.txt"
    windows, about = None, pd.DataFrame(columns=["cut_by"])
    if text is not None or file.is_file():
        windows, about = read_windows(run, file)
    asked: dict[str, Any] = {name: name for name in WITHOUT_TEXT}
    asked |= {name: partial(probes.named(name), windows=windows) for name in WITH_TEXT}
    tables = measure(run, asked, device=device, on_error="skip" if keep_going else "raise")
    missing = {step: why for table in tables.values() for step, why in table.attrs.get("failed", {}).items()}
    steps = [step for step in run.steps if step not in missing]
    if not steps:
        raise ValueError(
            f"Run {run.name!r} has no checkpoint that can be read: {next(iter(missing.values()))}"
        )
    check_pair(steps, before, after)
    # Where one probe failed the others are left out too: all tables have the same steps.
    tables = {
        name: table[table["step"].isin(steps)] if len(table) else table for name, table in tables.items()
    }
    tables |= {
        "text": about,
        "missing": pd.DataFrame({"step": list(missing), "why": list(missing.values())}).sort_values("step"),
    }
    return {**tables, **compared(run, tables, steps, before, after, device)}


def read_windows(run, file: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """The windows of a text for the network of a run, and a row that says what it is."""
    from interp.mathematics.ngrams import Ngrams, held_out_losses
    from interp.networks.texts import read_text

    model = run.huggingface
    if model is None:
        config = run.config.model
        if config is None or config.is_mlp:
            raise ValueError(
                f"A text needs a network that reads sequences of tokens, run {run.name!r} has none that is known. "
                "Leave out --text."
            )
        model = {"n_ctx": config.n_ctx, "d_vocab": config.d_vocab}
    text = read_text(file, model)
    ngrams = Ngrams.of(text.windows, text.n_vocabulary)
    held_out = held_out_losses(text.windows, text.n_vocabulary) or (np.nan, np.nan)
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    row = {
        "name": file.name,
        "sha256": digest,
        "cut_by": text.cut_by,
        "n_in_text": text.n_in_text,
        "n_windows": len(text.windows),
        "n_positions": text.windows.shape[1],
        "n_unknown": text.n_unknown,
        "n_distinct": int((ngrams.unigram > 0).sum()),
        "n_pairs_seen_once": int((ngrams.counts == 1).sum()),
        "unigram": ngrams.unigram_entropy,
        "bigram": ngrams.bigram_entropy,
        "held_out_unigram": held_out[0],
        "held_out_bigram": held_out[1],
    }
    return text.windows, pd.DataFrame([row])


def compared(
    run, tables: Tables, steps: list[int], before: int | None, after: int | None, device: str
) -> Tables:
    """What changed between two steps; those of the bracket of induction heads where none are named.

    Args:
        steps: that were measured.
    """
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import head_changes

    chosen_by = "named"
    if before is None or after is None:
        found = induction_change(tables)
        before, after, chosen_by = found.before, found.step, "the bracket of induction heads"
    if before is None or after is None:
        nothing = measure(run, ["head_changes"], [steps[-1]], device=device)
        pair = pd.DataFrame(columns=["before", "after", "chosen_by"])
        return {
            "pair": pair,
            "changes": pd.DataFrame(columns=["quantity"]),
            "movements": pd.DataFrame(),
            **nothing,
        }
    pairs = pairs_as_far_apart(steps, before, after)
    drawn = np.random.default_rng(0).permutation(len(pairs))[:NULL_PAIRS]
    parts = []
    for since, at in [(before, after), *(pairs[i] for i in sorted(drawn))]:
        table = measure(run, {"head_changes": partial(head_changes, since=since)}, [at], device=device)
        parts.append(table["head_changes"].assign(since=since))
    changes = pd.concat(parts, ignore_index=True)
    return {
        "pair": pd.DataFrame([{"before": before, "after": after, "chosen_by": chosen_by}]),
        "changes": changes_between(tables, before, after),
        "head_changes": changes,
        "movements": movements_with_null(changes, before, after) if len(changes) else pd.DataFrame(),
    }


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(4, 2, height=8.6, sharex=True)
    about = tables["text"].iloc[0] if len(tables["text"]) else {}
    lines = {"unigram": "unigram", "bigram": "bigram", "held_out_bigram": "bigram, other half"}
    levels = {
        said: float(about[name]) for name, said in lines.items() if name in about and np.isfinite(about[name])
    }
    quantity_curves(
        tables["text_losses"], axes[0, 0], columns={"loss": "model"}, label="loss on the text (nats)", levels=levels,
        band="standard_error",
    )  # fmt: skip
    quantity_curves(
        tables["in_context_score"], axes[0, 1], columns={"score": "late minus early"},
        label="in-context score (nats)", band="standard_error",
    )  # fmt: skip
    scores = tables["induction_scores"]
    _heads(scores, axes[1, 0], "prefix_matching", "prefix matching", {"induction head": HEAD_SCORE})
    _heads(scores, axes[1, 1], "previous_token", "attention to the token before", {})
    quantity_curves(
        _wide(tables["repetition_losses"], "copy", "loss"),
        axes[2, 0],
        columns={"1": "first copy", "2": "second copy"},
        label="loss on random tokens (nats)",
    )
    quantity_curves(
        _wide(tables["ngram_scores"], "ngram", "divergence"),
        axes[2, 1],
        columns={"unigram": "from unigrams", "bigram": "from bigrams"},
        label="divergence of the model (nats)",
    )
    residual = _wide(tables["residual_dimensions"], "layer", "dimension")
    layers = [name for name in residual.columns if name.isdigit()]
    names = {name: "before layer 0" if name == "0" else f"after {int(name) - 1}" for name in layers}
    quantity_curves(residual, axes[3, 0], columns=names, label="dimension of the stream")
    total_norm_curve(tables["weight_norms"], axes[3, 1])
    found = induction_change(tables)
    for ax in axes.flat:
        if ax.axison:
            bracket_band(found, ax)
    style.label_panels(axes.flat)
    style.step_axes(axes, np.unique(tables["weight_norms"]["step"]))
    return figure


def _wide(table: pd.DataFrame, by: str, values: str) -> pd.DataFrame:
    """A row a step and a column for each of what the table is by, named by it in words."""
    if not len(table):
        return table
    wide = table.pivot(index="step", columns=by, values=values).reset_index()
    return wide.set_axis([str(name) for name in wide.columns], axis=1)


def _heads(scores: pd.DataFrame, ax: Axes, column: str, label: str, levels: dict[str, float]) -> None:
    """One score of each head along training; of many heads those that come to be strongest."""
    if not len(scores):
        quantity_curves(scores, ax, columns={}, label=label)
        return
    named = scores.assign(name=[f"L{a}H{b}" for a, b in zip(scores["layer"], scores["head"], strict=True)])
    wide = named.pivot(index="step", columns="name", values=column)
    shown = wide.max().sort_values(ascending=False).index[:8].sort_values()
    quantity_curves(
        wide.reset_index(), ax, columns={name: name for name in shown}, label=label, levels=levels
    )
    ax.set_ylim(0, 1)


def summarize(tables: Tables) -> dict[str, Any]:
    found = language_transitions(tables)
    return {
        "said": said(tables, found),
        "text": tables["text"].iloc[0].to_dict() if len(tables["text"]) else None,
        "missing": dict(zip(tables["missing"]["step"].astype(str), tables["missing"]["why"], strict=True)),
        **{name: bracket(transition) for name, transition in found.items()},
        "strongest_head": _at_end(strongest_heads(tables["induction_scores"])),
        "at_end": {
            "text": _at_end(tables["text_losses"]),
            "in_context": _at_end(tables["in_context_score"]),
            "repetition_gain": _at_end(repetition_gain(tables["repetition_losses"]))
            if len(tables["repetition_losses"])
            else None,
        },
        "nearest_to": _nearest(tables["ngram_scores"]),
        "compared": _compared(tables),
    }


def said(tables: Tables, found: dict[str, Transition]) -> list[str]:
    """The answer in sentences."""
    sentences, missing = [], tables["missing"]
    if len(missing):
        sentences.append(
            f"Missing: {listed(missing['step'])}. Nothing is known of them, and brackets reach across: "
            f"{missing['why'].iloc[0]}"
        )
    change, heads = found["induction_heads"], strongest_heads(tables["induction_scores"])
    if not len(heads):
        sentences.append(
            "Whether it has induction heads is not known: the scores do not apply to this network."
        )
    elif change.step is None:
        sentences.append(
            f"No induction heads by step {change.before}: the largest prefix matching there is "
            f"{heads['prefix_matching'].iloc[-1]:.2f} of a head that copies, below {HEAD_SCORE}.{_had_heads(heads)}"
        )
    else:
        at = heads[heads["step"] == change.step].iloc[0]
        when = f"by step {change.step}"
        if change.before is not None:
            when = f"between steps {change.before} and {change.step}"
        head = f"L{at['layer']:.0f}H{at['head']:.0f}"
        sentences.append(
            f"Induction heads form {when}: {head} has prefix matching {at['prefix_matching']:.2f} and copying "
            f"{at['copying']:.2f} then."
        )
    for name, words in (
        ("below_bigram", "bigram counts"),
        ("below_held_out_bigram", "bigrams of its other half"),
    ):
        if name in found:
            sentences.append(
                f"Its loss on the text {_when_below(tables, found[name])} below that of {words}, "
                f"{found[name].threshold:.3f} nats."
            )
    if (compared_ := _compared(tables)) is not None and compared_["changed_most"]:
        most = compared_["changed_most"][0]
        sentences.append(
            f"Between steps {compared_['before']} and {compared_['after']} the {most['quantity'].replace('_', ' ')} of "
            f"{most['component']} changed most for its kind: {most['ratio']:.1f} times the largest change of "
            f"{most['n_pairs']} other pairs of checkpoints as far apart."
        )
    return sentences


def _had_heads(heads: pd.DataFrame) -> str:
    held = last_lost(heads, "prefix_matching", HEAD_SCORE, "rise")
    return f" It had some from step {held[0]} to {held[1]}, and has lost them." if held else ""


def _when_below(tables: Tables, change: Transition) -> str:
    """Since when the loss is below a level; of one that it has lost again, from when to when it was."""
    if change.step is not None:
        return f"is from step {change.step} on"
    held = last_lost(tables["text_losses"], "loss", float(change.threshold or 0), "fall")
    return f"was from step {held[0]} to {held[1]}, and is not at the end," if held else "never is"


def _at_end(table: pd.DataFrame) -> dict[str, Any] | None:
    return None if not len(table) else table.drop(columns=["run"], errors="ignore").iloc[-1].to_dict()


def _nearest(ngrams: pd.DataFrame) -> dict[str, Any] | None:
    """At which checkpoint the predictions are nearest to each statistic."""
    if not len(ngrams):
        return None
    rows = ngrams.loc[ngrams.groupby("ngram")["divergence"].idxmin()]
    return {row.ngram: {"step": int(row.step), "divergence": row.divergence} for row in rows.itertuples()}


def _compared(tables: Tables) -> dict[str, Any] | None:
    if not len(tables["pair"]):
        return None
    pair, changes, moved = tables["pair"].iloc[0], tables["changes"], tables["movements"]
    told = changes[np.isfinite(changes["ratio"].astype(float))].head(N_TOLD) if len(changes) else changes
    by_movement = moved.head(N_TOLD)
    return {
        "before": int(pair["before"]),
        "after": int(pair["after"]),
        "chosen_by": pair["chosen_by"],
        "changed_most": told.to_dict("records"),
        "moved_most": [
            {"component": name, "change": row.change, "null_largest": row.null_largest, "ratio": row.ratio}
            for name, row in zip(named_components(by_movement), by_movement.itertuples(), strict=True)
        ],
    }
