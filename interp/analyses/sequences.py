"""Which heads foresee the next token from what stood before, when do they form, and does ablating them undo it?

(a) Loss by part of the questions; dotted: of train rows; grey line: equal probabilities. (b) Prefix matching of each
head: attention to whatever followed its token before, on repeated random tokens; from 0.3 (grey line) on a head that
copies is called one of induction. (c) Attention to the token before; from 0.3 on a previous-token head. (d)
K-composition of each head with the induction heads of later layers, their mean; dotted: the most of random rotations.
(e) What the loss of the predictable part rises by without each head alone, its output replaced by its mean over the
rows. (f) The same without all heads of a kind together; dashed: with the attention patterns of the whole network, so
that a head that only tells later ones where to look has no effect. Grey band: the fall of the predictable loss, from
the last checkpoint that has not gone 10 % of the way to the first that has gone 90 %; drawn where the whole way is half
of that to zero or more.

Which heads are of a kind is decided at the last checkpoint, and the same heads are followed from the first. The kinds
are customs about attention, not behaviour: (e) and (f) say what depends on them. Of a task without a predictable part
all questions are followed.

References: Olsson et al. 2022 (prefix matching and copying, ablations at each checkpoint); Elhage et al. 2021
(composition, copying by eigenvalues).
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp.figures import (
    ablation_curves,
    bracket_band,
    head_curves,
    head_lines,
    head_name,
    part_curves,
    style,
)
from interp.ground.plain_text import listed
from interp.ground.thresholds import COPYING, HEAD_SCORE
from interp.tables.brackets_said import bracket_text
from interp.tables.curves import at_end
from interp.tables.falls import Fall, fall
from interp.tables.folder import Tables
from interp.tables.outcome import bracket
from interp.tables.transitions import Transition, precedes, share_of_change, transition

INDUCTION, PREVIOUS, OTHER = "induction heads", "previous-token heads", "other heads"
SCORES = {INDUCTION: "prefix_matching", PREVIOUS: "previous_token"}
# Of what the fall gained, from which on heads are said to carry it; of its own way, from which on a head is there.
HALF = 0.5
# Checkpoints whose median is a score's last value.
N_LAST = 3


def compute(run, device: str) -> Tables:
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import head_ablations

    probes = ["losses", "part_losses", "in_context_learning", "induction_scores", "head_composition"]
    tables = measure(run, probes, device=device)
    tables["heads"] = kinds_of_heads(tables["induction_scores"])
    tables["chance"] = pd.DataFrame(
        {"loss": [np.log(run.task.config.n_answers)]} if run.config.task else {"loss": []}
    )
    each = partial(head_ablations, patterns=("free",))
    tables |= measure(run, {"head_ablations": each}, device=device)
    sets = {
        kind: tuple(zip(rows["layer"].tolist(), rows["head"].tolist(), strict=True))
        for kind, rows in tables["heads"].groupby("kind", sort=False)
    }
    if not sets:
        return {**tables, "set_ablations": tables["head_ablations"][:0]}
    return tables | measure(run, {"set_ablations": partial(head_ablations, sets=sets)}, device=device)


def kinds_of_heads(scores: pd.DataFrame) -> pd.DataFrame:
    """Which heads are of induction, which look at the token before, and which do neither, at the last checkpoint.

    Args:
        scores: of `induction_scores` along a run; may be empty.

    Columns:
        kind, layer, head; score: by which it is of the kind, NaN of the others.
    """
    if not len(scores):
        return pd.DataFrame({"kind": [], "layer": [], "head": [], "score": []})
    last = at_end(scores).sort_values(["layer", "head"])
    rows = []
    for kind in (INDUCTION, PREVIOUS, OTHER):
        for row in last.itertuples():
            found = {name: getattr(row, column) for name, column in SCORES.items()}
            if not row.copying > COPYING:
                del found[INDUCTION]
            # Of a head that does both, what it does more.
            best = max(found, key=found.__getitem__)
            own = best if found[best] >= HEAD_SCORE else OTHER
            if own == kind:
                score = found.get(kind, np.nan)
                rows.append({"kind": kind, "layer": row.layer, "head": row.head, "score": score})
    return pd.DataFrame(rows)


def draw(tables: Tables) -> Figure:
    figure, axes = style.new_figure(3, 2, height=6.6, sharex=True)
    scores, parts = tables["induction_scores"], tables["part_losses"]
    named = scores if len(scores) else _single(tables)
    lines = head_lines(named) if len(named) else {}
    chance = tables["chance"]["loss"]
    part_curves(parts, axes[0, 0], chance=chance.iloc[0] if len(chance) else None)
    for ax, column, says in (
        (axes[0, 1], "prefix_matching", "prefix matching"),
        (axes[1, 0], "previous_token", "attention to the\ntoken before"),
    ):
        head_curves(scores, ax, quantity=column, says=says, lines=lines, threshold=HEAD_SCORE)
    head_curves(
        _composition(tables),
        axes[1, 1],
        quantity="score",
        says="K-composition with\ninduction heads",
        lines=lines,
    )
    head_curves(
        _single(tables), axes[2, 0], quantity="effect", says="loss without it\nminus loss (nats)", lines=lines
    )
    ablation_curves(followed(tables, "set_ablations"), axes[2, 1])
    steps = np.unique(tables["losses"]["step"]) if len(tables["losses"]) else np.array([0])
    found = the_fall(tables)
    for ax in axes.flat:
        if ax.axison and found is not None:
            bracket_band(Transition("fall", None, found.begun.before, found.done.step), ax)
    style.label_panels(axes.flat)
    style.step_axes(axes, steps, scale="log")
    return figure


def summarize(tables: Tables) -> dict[str, Any]:
    found = the_fall(tables)
    formed = {kind: _formation(tables, kind) for kind in SCORES}
    return {
        "answer": _answer(tables, found),
        "followed_part": followed_part(tables),
        "fall": None if found is None else found.summary(),
        "losses_at_end": _lossesat_end(tables),
        "chance": tables["chance"]["loss"].tolist()[:1],
        "in_context_learning": _in_context(tables),
        "heads": [
            {"name": head_name(row.layer, row.head), "kind": row.kind, "score": row.score}
            for row in tables["heads"].itertuples()
        ],
        "threshold": HEAD_SCORE,
        "formation": {
            kind: {name: bracket(t) for name, t in of_kind.items()} for kind, of_kind in formed.items()
        },
        "previous_token_heads_came_first": _came_first(formed),
        "composition": _composed(tables),
        "ablations": _ablations(tables, found),
    }


def followed_part(tables: Tables) -> str | None:
    """ "predictable", or "all" where the task has no such part; None without losses."""
    parts = tables["part_losses"]
    if not len(parts):
        return None
    return "predictable" if (parts["part"] == "predictable").any() else "all"


def the_fall(tables: Tables) -> Fall | None:
    """The fall of the followed loss, of rows that the trainer is not shown where they are known."""
    rows = followed(tables, "part_losses")
    return fall(rows, "loss", floor=0.0) if len(rows) > 2 else None


def followed(tables: Tables, name: str, part: str | None = None) -> pd.DataFrame:
    """Rows of a table about the followed part, of test rows or of all."""
    table = tables[name]
    if not len(table):
        return table
    split = "test" if (table["split"] == "test").any() else "all"
    return table[(table["part"] == (part or followed_part(tables))) & (table["split"] == split)]


def _single(tables: Tables) -> pd.DataFrame:
    rows = followed(tables, "head_ablations")
    if not len(rows):
        return rows
    rows = rows[rows["heads"] != "none"]
    numbers = rows["heads"].str.extract(r"L(\d+)H(\d+)").astype(int)
    return rows.assign(layer=numbers[0], head=numbers[1])


def _composition(tables: Tables) -> pd.DataFrame:
    """K-composition of each earlier head with the induction heads, their mean; with all later ones, where none is."""
    table, heads = tables["head_composition"], tables["heads"]
    if not len(table):
        return table
    chosen = heads[heads["kind"] == INDUCTION]
    table = table[table["kind"] == "K"]
    if len(chosen):
        table = table.merge(chosen[["layer", "head"]], on=["layer", "head"])
    by = ["step", "earlier_layer", "earlier_head"]
    means = table.groupby(by, as_index=False)[["score", "null"]].mean()
    return means.rename(columns={"earlier_layer": "layer", "earlier_head": "head"})


def _lossesat_end(tables: Tables) -> dict[str, dict[str, float]]:
    last = at_end(tables["part_losses"])
    if not len(last):
        return {}
    return {
        split: dict(zip(rows["part"], rows["loss"], strict=True))
        for split, rows in last.groupby("split", sort=False)
    }


def _in_context(tables: Tables) -> dict[str, Any] | None:
    table = tables["in_context_learning"]
    if not len(table):
        return None
    rows = table[table["split"] == ("test" if (table["split"] == "test").any() else "all")]
    first, last = rows.iloc[0], rows.iloc[-1]
    return {
        "early": int(first["early"]),
        "late": int(first["late"]),
        "score_at_first_checkpoint": first["score"],
        "score_at_last_checkpoint": last["score"],
    }


def _formation(tables: Tables, kind: str) -> dict[str, Transition]:
    """When the score of each head of a kind had gone half of its way for good: 0.3 would date its own height."""
    heads, scores = tables["heads"], tables["induction_scores"]
    return {
        head_name(row.layer, row.head): share_of_change(
            scores[(scores["layer"] == row.layer) & (scores["head"] == row.head)],
            SCORES[kind],
            HALF,
            n_last=N_LAST,
        )
        for row in heads[heads["kind"] == kind].itertuples()
    }


def _came_first(formed: dict[str, dict[str, Transition]]) -> bool | None:
    """Whether the first previous-token head was there before the first induction head; None where that is open."""
    first = {
        kind: min(
            (t for t in of_kind.values() if t.step is not None), key=lambda t: t.step or 0, default=None
        )
        for kind, of_kind in formed.items()
    }
    one, other = first[PREVIOUS], first[INDUCTION]
    return None if one is None or other is None else precedes(one, other)


def _composed(tables: Tables) -> list[dict[str, Any]]:
    """K-composition of each earlier head with the induction heads at the last checkpoint."""
    return [
        {
            "name": head_name(row.layer, row.head),
            "score": row.score,
            "null": row.null,
            "is_above": row.score > row.null,
        }
        for row in at_end(_composition(tables)).itertuples()
    ]


def _ablations(tables: Tables, found: Fall | None) -> dict[str, Any]:
    """Each set of heads: what the loss rises by without it, before the fall and at the end, and since when."""
    rows = followed(tables, "set_ablations")
    if not len(rows):
        return {}
    gain = _gain(tables)
    out: dict[str, Any] = {}
    for heads in dict.fromkeys(rows.loc[rows["heads"] != "none", "heads"]):
        out[heads] = {}
        for patterns in ("free", "kept"):
            curve = rows[(rows["heads"] == heads) & (rows["patterns"] == patterns)]
            others = followed(tables, "set_ablations", "unpredictable")
            others = others[(others["heads"] == heads) & (others["patterns"] == patterns)]
            out[heads][patterns] = {
                "effect_at_end": curve["effect"].iloc[-1],
                "loss_at_end": curve["loss"].iloc[-1],
                "effect_on_the_unpredictable_at_end": others["effect"].iloc[-1] if len(others) else None,
                **({} if found is None else _against_the_fall(curve, found, gain)),
            }
    return out


def _gain(tables: Tables) -> float:
    losses = followed(tables, "part_losses")["loss"]
    return float(losses.iloc[0] - losses.iloc[-1])


def _against_the_fall(curve: pd.DataFrame, found: Fall, gain: float) -> dict[str, Any]:
    before = curve[curve["step"] <= (found.begun.before or 0)]
    return {
        "largest_effect_before_the_fall": before["effect"].abs().max(),
        "share_of_the_gain_undone_at_end": curve["effect"].iloc[-1] / gain,
        "undoes_half_of_the_gain": bracket(transition(curve, "effect", HALF * gain, "rise")),
    }


def _answer(tables: Tables, found: Fall | None) -> str:
    part = followed_part(tables)
    if part is None:
        return "The run has no losses by which to say what it foresees."
    named = {
        kind: listed(
            head_name(row.layer, row.head) for row in tables["heads"].itertuples() if row.kind == kind
        )
        for kind in SCORES
    }
    heads = f"At the end, {INDUCTION}: {named[INDUCTION]}; {PREVIOUS}: {named[PREVIOUS]}."
    losses = followed(tables, "part_losses")
    ends = f"{losses['loss'].iloc[0]:.2f} to {losses['loss'].iloc[-1]:.2f} nats"
    if found is None:
        return f"The loss of the part {part!r} goes from {ends}: less than half of its way to zero. {heads}"
    low, high = found.factor
    said = (
        f"The loss of the part {part!r} falls from {ends}: 10 % of its way in steps {bracket_text(found.begun)}, "
        f"90 % in {bracket_text(found.done)}, {low:.1f} to {high:.1f} times as many, steepest in "
        f"{bracket_text(found.steepest)}. {heads}"
    )
    for kind, effects in _ablations(tables, found).items():
        free = effects["free"]
        undone, before = free["share_of_the_gain_undone_at_end"], free["largest_effect_before_the_fall"]
        said += (
            f" Without the {kind} it is {free['loss_at_end']:.2f} at the end ({undone:.0%} of the gain lost); before "
            f"the fall that changes it by {before:.2f} at most."
        )
    return said
