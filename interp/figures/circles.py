"""Residues in the plane of a frequency, and quantities over all pairs (a, b)."""

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import frequency_lines
from interp.figures.given_tables import known

if TYPE_CHECKING:
    import pandas as pd

# Cyclic: the last residue is next to the first.
RESIDUES = "twilight"


def embedding_circles(table: "pd.DataFrame", ax: Axes, *, limit: float | None = None) -> Axes:
    """Residues in the plane of one frequency, joined in the order in which k a mod n walks the circle.

    Args:
        table: of `embedding_planes`, of one frequency and step; may be empty.
        limit: where both axes end, in units of W_E; None for a little beyond the farthest residue.
    """
    if not len(known(table, "cosine", "sine")):
        style.note_instead(ax, "no plane of a frequency")
        return ax
    k, n = int(table["frequency"].iloc[0]), len(table)
    x, y = walk(table, k)
    end = limit or far(table)
    ax.plot(x, y, color="0.75", lw=0.6, zorder=1)
    ax.scatter(
        table["cosine"], table["sine"], c=table["residue"], cmap=RESIDUES, vmin=0, vmax=n, s=9, zorder=2,
        edgecolors="0.3", linewidths=0.2,
    )  # fmt: skip
    ax.set(xlim=(-end, end), ylim=(-end, end), aspect="equal")
    ax.set_title(f"$k = {k}$: {float(table['fraction'].iloc[0]):.0%} of $W_E$")
    ax.set_xlabel("along cosine (units of $W_E$)")
    ax.set_ylabel("along sine (units of $W_E$)")
    ax.locator_params(nbins=3)
    return ax


def far(table: "pd.DataFrame") -> float:
    """Where both axes of `embedding_circles` end for these residues: a little beyond the farthest."""
    return 1.1 * float(np.hypot(table["cosine"], table["sine"]).max()) or 1.0


def walk(table: "pd.DataFrame", k: int) -> tuple[Any, Any]:
    """The residues in the order of k a mod n, back to the first."""
    n = len(table)
    order = np.argsort(k * table["residue"].to_numpy() % n, kind="stable")
    order = np.append(order, order[0])
    return table["cosine"].to_numpy()[order], table["sine"].to_numpy()[order]


def logit_map(
    table: "pd.DataFrame",
    ax: Axes,
    *,
    value: str = "logit",
    limits: tuple[float, float] | None = None,
    axes: tuple[str, str] = ("$a$", "$b$"),
) -> Axes:
    """Logit or probability of the answer over all pairs (a, b), with a colour bar.

    Args:
        table: of `answer_map`, of one step; may be empty.
        value: "logit" or "probability".
        limits: ends of the colours; None for those of the table, of a probability 0 and 1.
        axes: what first and second are.
    """
    if value == "probability":
        limits = limits or (0.0, 1.0)
    return _map(table, ax, value, "logit (nats)" if value == "logit" else value, limits, axes)


def neuron_map(table: "pd.DataFrame", ax: Axes, *, axes: tuple[str, str] = ("$a$", "$b$")) -> Axes:
    """Activation of one neuron over all pairs (a, b), with a colour bar.

    Args:
        table: of `neuron_maps`, of one neuron and step; may be empty.
        axes: what first and second are.
    """
    _map(table, ax, "activation", "activation", None, axes)
    if len(table):
        row = table.iloc[0]
        ax.set_title(
            f"neuron {row['neuron']:.0f}: $k = {row['frequency']:.0f}$, {row['fraction_explained']:.0%}"
        )
    return ax


def _map(
    table: "pd.DataFrame",
    ax: Axes,
    value: str,
    label: str,
    limits: tuple[float, float] | None,
    axes: tuple[str, str],
) -> Axes:
    if not len(table):
        style.note_instead(ax)
        return ax
    grid = table.pivot(index="first", columns="second", values=value).to_numpy()
    low, high = limits or (float(grid.min()), float(grid.max()))
    image = ax.pcolormesh(grid, cmap="cividis", vmin=low, vmax=high, rasterized=True)
    ax.set_aspect("equal")
    ax.set_ylabel(axes[0])
    ax.set_xlabel(axes[1])
    ax.figure.colorbar(image, ax=ax, label=label, pad=0.02, fraction=0.05)
    return ax


def quality_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """Share of parallel chords in the plane of each frequency, along training; dotted: the most of random names.

    Thin: the share of closed parallelograms.

    Args:
        table: of `representation_quality`; may be empty.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    lines = frequency_lines(table["frequency"].unique().tolist())
    for k, part in table.groupby("frequency"):
        ax.plot(part["step"], part["parallel_chords"], label=f"$k = {k}$", **lines[k])
        ax.plot(part["step"], part["parallelograms"], **lines[k] | {"lw": 0.5})
    null = table[np.isfinite(table["null"])].groupby("step")["null"].max()
    if len(null):
        ax.plot(null.index, null, color=style.BLACK, ls=":", lw=0.8, label="null")
    ax.plot([], [], color=style.BLACK, lw=0.5, label="parallelograms")
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("share of parallel chords")
    style.legend_above(ax, n_columns=4, **legend)
    return ax
