"""Where do the heads look, and by which frequency?

(a) Attention of the answered position to a, over all pairs (a, b), at the last checkpoint, for the four heads whose
attention to a moves most; the operands in the order of the task's algebra, which the axes name (logarithms for
multiplication). (b) How much of each head's pattern its dominant frequency explains, along training; dotted: the most
after the residues were given random names. (c) Standard deviation of the attention to a over all pairs, and mean
attention to the last token where that is "=". (d) Power of each head's QK circuit by frequency at the last checkpoint,
for the heads of the first layer: deeper ones have no such circuit.

Where attention hardly moves, as in an untrained network, its best frequency says nothing: read the share beside the
standard deviation and the null. Grey band: the bracket of grokking (test accuracy stays at 0.95).
Reference: Nanda et al. 2023, appendices A.1 and C.1.
"""

import re
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from interp.figures import (
    attention_map,
    bracket_band,
    head_lines,
    head_name,
    movement_curves,
    periodicity_curves,
    qk_bars,
    style,
)
from interp.tables.curves import at_end
from interp.tables.folder import Tables
from interp.tables.outcome import outcome

N_SHOWN = 4  # pattern tables that fit side by side
# A map, which has its labels outside the grid alone, may be narrower than other panels.
NARROW = 12.0


def compute(run, device: str) -> Tables:
    from interp.measurement.measure import measure

    last = run.steps[-1]
    along = measure(run, ["attention_patterns", "attention_periodicity", "losses"], device=device)
    circuits = measure(run, ["attention_circuits"], steps=[last], device=device)
    has_heads = len(along["attention_patterns"]) > 0
    return {**along, **circuits, **(patterns(run, last, device) if has_heads else {})}


def patterns(run, step: int, device: str) -> Tables:
    """Attention to the first operand by pair, a column a head, in the order of the algebra; and what the axes are."""
    from interp.snapshots.snapshot import Snapshot

    snapshot = Snapshot.of(run, step, device)
    first, second = _operands(snapshot)
    pattern = snapshot.pattern[..., 0].cpu().double().numpy()
    rows = (first >= 0) & (second >= 0)
    columns = {
        head_name(layer, head): pattern[rows, layer, head].round(5)
        for layer in range(pattern.shape[1])
        for head in range(pattern.shape[2])
    }
    table = pd.DataFrame({"first": first[rows], "second": second[rows], **columns})
    return {
        # One row a pair, as a map needs: of a task with other inputs the mean over those that share their first two.
        "patterns_at_end": table.groupby(["first", "second"], as_index=False).mean(),
        "pattern_axes": pattern_axes(run),
    }


def _operands(snapshot) -> list[np.ndarray]:
    """Both operands of each question, in names under which the answer is a sum if there are such.

    Of rows that are no pairs the first two tokens.
    """
    from interp.tasks.structure import Cyclic

    task = snapshot.known_task
    structure = task.structure
    pairs = getattr(structure, "pairs", task.inputs[:, :2])
    operands = [pairs[task.example, i].numpy() for i in range(pairs.shape[1])]
    if not isinstance(structure, Cyclic):
        return operands
    names = [structure.first.numpy(), structure.second.numpy()]
    return [name[operand] for name, operand in zip(names, operands, strict=True)]


# Axes of a task whose rows are no pairs.
TOKENS = ("first token", "second token")


def pattern_axes(run) -> pd.DataFrame:
    """What the axes of a run's maps over pairs are.

    Columns:
        axis: "first", "second".
        label: of `operand_labels`.
    """
    labels = operand_labels(run.task.structure if run.config.task else None)
    return pd.DataFrame({"axis": ["first", "second"], "label": labels})


def operand_labels(structure) -> tuple[str, str]:
    """What both operands are in the order of a task's algebra, or of its tokens where that is no cyclic group."""
    from interp.tasks.structure import Cyclic

    if not isinstance(structure, Cyclic):
        return ("$a$", "$b$") if structure is None or hasattr(structure, "pairs") else TOKENS
    first, second = structure.first.numpy(), structure.second.numpy()
    return axis_label("a", first, structure.order), axis_label("b", second, structure.order)


def axis_label(letter: str, names: np.ndarray, order: int) -> str:
    """What an operand is in the names under which the answer is a sum.

    >>> axis_label("b", np.array([0, 4, 3, 2, 1]), 5)  # subtraction
    '$-b$ mod 5'
    >>> print(axis_label("a", np.array([-1, 0, 1, 3, 2]), 4))  # powers of 2 mod 5
    $\\log_{2} a$
    """
    residues = np.arange(len(names))
    if np.array_equal(names, residues):
        return f"${letter}$"
    if (names >= 0).all() and np.array_equal(names, names[1] * residues % order):
        factor = "-" if names[1] == order - 1 else str(names[1])
        return f"${factor}{letter}$ mod {order}"
    if (names < 0).sum() == 1 and names[1] == 0:
        return rf"$\log_{{{int(np.flatnonzero(names == 1)[0])}}} {letter}$"
    return f"name of ${letter}$"


def plain_label(label: str) -> str:
    """An axis label without TeX.

    >>> plain_label("$-b$ mod 11"), plain_label(r"$\\log_{2} a$")
    ('−b mod 11', 'log₂ a')
    """
    subscript = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    label = re.sub(r"\\log_\{(\d+)\}", lambda found: f"log{found[1].translate(subscript)}", label)
    return label.replace("$", "").replace("-", "−")


def draw(tables: Tables) -> Figure:
    periodicity, attended = tables["attention_periodicity"], tables["attention_patterns"]
    figure, (top, bottom) = style.new_bands([maps_height(tables), style.height_of(3, 2.45)])
    lines = head_lines(attended) if len(attended) else {}
    maps = pattern_maps(top, tables)
    axes = style.panels(bottom, 3)
    grokking = outcome(tables).grokking
    for ax in axes[:2]:
        bracket_band(grokking, ax, lw=0.8, label="grokking")
    periodicity_curves(periodicity, axes[0], lines=lines)
    movement_curves(attended, axes[1], lines=lines)
    qk_bars(tables["attention_circuits"], axes[2], lines=lines)
    for ax, table in ((axes[0], periodicity), (axes[1], attended)):
        if ax.axison:
            style.step_axis(ax, np.unique(table["step"]), scale="linear", n_ticks=4)
    style.label_panels([*maps[:1], *axes], "abcd" if maps else "bcd")
    return figure


def maps_height(tables: Tables) -> float:
    """Inches of `pattern_maps`."""
    attended = tables["attention_patterns"]
    n_heads = len(attended[["layer", "head"]].drop_duplicates()) if len(attended) else 1
    return 1.95 * style.rows_of(min(n_heads, N_SHOWN), NARROW)


def pattern_maps(figure: Figure | SubFigure, tables: Tables) -> list[Axes]:
    """The heads whose attention to a moves most, side by side; none where there is no attention, and words say so."""
    table = tables.get("patterns_at_end")
    if table is None or not len(table):
        style.note_instead(figure.subplots(), "no attention to show")
        return []
    names = [name for name in table.columns if name not in ("first", "second")]
    most = sorted(names, key=lambda name: -table[name].std())[:N_SHOWN]
    shown = [name for name in names if name in most]
    labels = tuple(tables["pattern_axes"]["label"])
    axes = style.panels(figure, len(shown), narrowest=NARROW, sharey=True)
    for ax, name in zip(axes, shown, strict=True):
        attention_map(table, ax, head=name, said=_said(tables["attention_periodicity"], name), axes=labels)
    for ax in axes:
        if not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")
    if len(shown) < len(names):
        figure.suptitle(
            f"{len(shown)} of {len(names)} heads: those whose attention to $a$ moves most", fontsize="medium"
        )
    figure.colorbar(
        axes[-1].collections[0],
        ax=axes,
        label="attention to $a$",
        pad=0.01,
        shrink=1 / style.rows_of(len(shown), NARROW),
    )
    return list(axes)


def _said(periodicity: pd.DataFrame, name: str) -> str:
    """A head's best frequency at the end, how much of its pattern that explains, and by chance."""
    if not len(periodicity):
        return ""
    at_end = periodicity[periodicity["step"] == periodicity["step"].max()]
    row = next(r for r in at_end.itertuples() if head_name(r.layer, r.head) == name)
    if not row.frequency:
        return "constant"
    if np.isinf(row.null):
        beside = ", no null"
    else:
        beside = "" if row.fraction_explained > row.null else ", chance"
    return f"$k={row.frequency}$, {row.fraction_explained:.2f}{beside}"


def summarize(tables: Tables) -> dict[str, Any]:
    attended, periodicity = at_end(tables["attention_patterns"]), at_end(tables["attention_periodicity"])
    qk = tables["attention_circuits"]
    qk = qk[(qk["circuit"] == "qk") & (qk["position"] == 0)] if len(qk) else qk
    heads = []
    for (layer, head), own in attended.groupby(["layer", "head"]) if len(attended) else ():
        own = own.set_index("position")
        about = {
            "layer": layer,
            "head": head,
            "attention": own["attention"].to_dict(),
            "attention_sd": own["attention_sd"].to_dict(),
            "entropy": own["entropy"].iloc[0],
        }
        if len(periodicity):
            row = periodicity[(periodicity["layer"] == layer) & (periodicity["head"] == head)].iloc[0]
            names = ("fraction_explained", "null", "linear_fraction", "difference_fraction")
            about |= {"frequency": row["frequency"] or None, **{name: row[name] for name in names}}
        if len(qk) and layer == 0:
            own = qk[qk["head"] == head].set_index("frequency")
            spectrum = own["fraction"].dropna()
            about |= {
                "qk_frequency": int(spectrum.idxmax()) if len(spectrum) else None,
                "qk_fraction": spectrum.max() if len(spectrum) else None,
                "qk_null": own["null"].iloc[0] if len(spectrum) else None,
            }
        heads.append(about)
    return {"heads": heads}
