"""A run as a film: one picture at each checkpoint, above the losses with a mark at the step.

Axes and colours are those of all frames, so that what grows is seen to grow. Time is even in checkpoints, not in steps,
and each frame says so. Equal runs give equal GIFs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from interp.figures import attention_map, embedding_circles, logit_map, loss_curves, style
from interp.figures.circles import far, walk
from interp.ground.progress_bar import counted
from interp.ground.thresholds import ACCURACY
from interp.ground.whole_files import write_bytes
from interp.tables.folder import Tables
from interp.tables.outcome import outcome
from interp.views.film_files import as_gif, as_mp4, ffmpeg
from interp.views.pictures.circles import axes_of

DPI = 110
Update = Callable[[int], None]


@dataclass(frozen=True)
class Animation:
    """A picture that moves.

    Attributes:
        shows: what is seen, in one line.
        compute: run, steps and device -> tables.
        setup: tables and a part of the figure -> a function that shows the picture at a step, with fixed axes.
        needs: the table without whose rows there is nothing to see.
    """

    shows: str
    compute: Callable[..., Tables]
    setup: Callable[[Tables, SubFigure], Update]
    needs: str


def _measured(run, steps: list[int], device: str, **probes) -> Tables:
    from interp.measurement.measure import measure

    return measure(run, probes, steps=steps, device=device)


def _circle_tables(run, steps: list[int], device: str) -> Tables:
    """The planes of the three frequencies that hold most of the last embedding, at all steps."""
    from functools import partial

    from interp.probes import embedding_planes

    last = _measured(run, steps[-1:], device, embedding_planes=embedding_planes)
    if not len(last["embedding_planes"]):
        return last
    frequencies = [int(k) for k in last["embedding_planes"]["frequency"].unique()]
    return _measured(run, steps, device, embedding_planes=partial(embedding_planes, frequencies=frequencies))


def _circles(tables: Tables, band: SubFigure) -> Update:
    table = tables["embedding_planes"]
    by_frequency = {int(k): rows for k, rows in table.groupby("frequency", sort=False)}
    axes = band.subplots(1, len(by_frequency), squeeze=False)[0]
    drawn = []
    for ax, (k, rows) in zip(axes, by_frequency.items(), strict=True):
        by_step = dict(list(rows.groupby("step")))
        embedding_circles(next(iter(by_step.values())), ax, limit=far(rows))
        ax.set_xlabel("")
        ax.set_ylabel("$W_E$ along sine" if ax is axes[0] else "")
        drawn.append((ax, k, by_step))
    axes[len(axes) // 2].set_xlabel("$W_E$ along cosine")

    def update(step: int) -> None:
        for ax, k, by_step in drawn:
            rows = by_step[step]
            ax.lines[0].set_data(*walk(rows, k))
            ax.collections[0].set_offsets(rows[["cosine", "sine"]].to_numpy())
            ax.set_title(f"$k = {k}$: {float(rows['fraction'].iloc[0]):.0%} of $W_E$")

    return update


def _spectrum_tables(run, steps: list[int], device: str) -> Tables:
    return _measured(run, steps, device, embedding_spectrum="embedding_spectrum")


def _spectrum(tables: Tables, band: SubFigure) -> Update:
    table = tables["embedding_spectrum"]
    by_step = {int(step): rows for step, rows in table.groupby("step")}
    first = next(iter(by_step.values()))
    ax = band.subplots()
    bars = ax.bar(first["frequency"], first["fraction"], color=style.BLUE, width=0.8)
    null = ax.axhline(0, color=style.BLACK, ls=":", lw=0.8, label="null: random names of the residues")
    ax.set_ylim(0, 1.05 * float(table["fraction"].max()))
    ax.set_xlabel("frequency $k$")
    ax.set_ylabel("power share of $W_E$")
    ax.legend(loc="upper right")

    def update(step: int) -> None:
        for bar, height in zip(bars, by_step[step]["fraction"], strict=True):
            bar.set_height(height)
        null.set_ydata([by_step[step]["null"].iloc[0]] * 2)

    return update


def _attention_tables(run, steps: list[int], device: str) -> Tables:
    from interp.analyses.attention import patterns

    tables = _measured(run, steps, device, attention_patterns="attention_patterns")
    if not len(tables["attention_patterns"]):
        return tables
    parts = [patterns(run, step, device) for step in counted(steps, len(steps), "attention")]
    tables["patterns"] = pd.concat(
        [part["patterns_at_end"].assign(step=step) for step, part in zip(steps, parts, strict=True)]
    )
    return {**tables, "pattern_axes": parts[-1]["pattern_axes"]}


def _attention(tables: Tables, band: SubFigure) -> Update:
    from interp.analyses.attention import TOKENS

    by_step = {int(step): rows for step, rows in tables["patterns"].groupby("step")}
    # The heads whose attention moves most at the end; a film shows as many as fit.
    last = by_step[max(by_step)].drop(columns=["first", "second", "step"])
    most = last.std().sort_values(ascending=False, kind="stable").index[:4]
    heads = [head for head in last if head in most]
    labels = tuple(tables["pattern_axes"]["label"])
    # Of rows that are no pairs the maps are over tokens.
    looked_at = "the first token" if labels == TOKENS else "$a$"
    drawn = []
    for ax, head in zip(band.subplots(1, len(heads), squeeze=False)[0], heads, strict=True):
        attention_map(by_step[max(by_step)], ax, head=head, axes=labels)
        drawn.append((ax.collections[0], head))
        if head != heads[0]:
            ax.set_ylabel("")
    band.colorbar(drawn[0][0], ax=list(band.axes), label=f"attention to {looked_at}", pad=0.01, fraction=0.03)

    def update(step: int) -> None:
        for image, head in drawn:
            image.set_array(by_step[step].pivot(index="first", columns="second", values=head).to_numpy())

    return update


def _logit_tables(run, steps: list[int], device: str) -> Tables:
    from interp.analyses.attention import pattern_axes

    tables = _measured(run, steps, device, answer_map="answer_map")
    return {**tables, "pattern_axes": pattern_axes(run)}


def _logits(tables: Tables, band: SubFigure) -> Update:
    table = tables["answer_map"]
    grids = {
        int(step): [
            rows.pivot(index="first", columns="second", values=v).to_numpy() for v in ("logit", "probability")
        ]
        for step, rows in table.groupby("step")
    }
    ends = {"logit": (float(table["logit"].min()), float(table["logit"].max())), "probability": (0.0, 1.0)}
    names = {"logit": "logit of the right answer (nats)", "probability": "its probability"}
    first, images = table[table["step"] == table["step"].iloc[0]], []
    for ax, value in zip(band.subplots(1, 2), ends, strict=True):
        logit_map(first, ax, value=value, limits=ends[value], axes=axes_of(tables))
        images.append(ax.collections[0])
        images[-1].colorbar.set_label(names[value])

    def update(step: int) -> None:
        for image, grid in zip(images, grids[step], strict=True):
            image.set_array(grid)

    return update


ANIMATIONS = {
    "embedding_circles": Animation(
        "the residues come to lie on circles", _circle_tables, _circles, "embedding_planes"
    ),
    "spectrum": Animation(
        "the embedding's spectrum sharpens", _spectrum_tables, _spectrum, "embedding_spectrum"
    ),
    "attention": Animation("attention turns periodic", _attention_tables, _attention, "attention_patterns"),
    "logits": Animation("the right answer over all pairs (a, b)", _logit_tables, _logits, "answer_map"),
}


def named(name: str) -> Animation:
    """The animation of this name.

    Raises:
        ValueError: if there is none.
    """
    if name not in ANIMATIONS:
        raise ValueError(f"There is no animation {name!r}. There are: {', '.join(ANIMATIONS)}.")
    return ANIMATIONS[name]


def animate(
    run,
    name: str,
    out: Path,
    *,
    steps: list[int],
    fps: int = 8,
    preset: str = "journal-text",
    device: str = "cpu",
) -> int:
    """Write an animation as .gif or .mp4, whole or not at all; how many bytes it has.

    Args:
        run: an opened run.
        steps: of the frames, ascending; one of them gives a film of one frame.
        fps: frames a second.
        preset: width and fonts, of `interp.figures.presets`.

    Raises:
        ValueError: if there is no such animation, the run has nothing of what it shows, the ending is another, or
            there is no ffmpeg for .mp4.
    """
    animation = named(name)
    if out.suffix not in (".gif", ".mp4"):
        raise ValueError(
            f"An animation needs a file that ends in .gif or .mp4, got {out.name!r}. Name such a file."
        )
    if fps < 1:
        raise ValueError(f"An animation needs at least 1 frame a second, got {fps}. Take 8, say.")
    encoder = ffmpeg() if out.suffix == ".mp4" else ""
    tables = {**animation.compute(run, steps, device), "history": run.history()}
    tables["losses"] = _measured(run, steps, device, losses="losses")["losses"]
    if not len(tables[animation.needs]):
        reason = tables[animation.needs].attrs.get("not_applicable", "its table has no rows.")
        raise ValueError(f"{name} shows nothing of run {run.name!r}: {reason}")
    with style.using(preset):
        frames = counted(drawn_frames(animation, tables, steps, run.unit), len(steps), name)
        data = as_gif(frames, fps) if out.suffix == ".gif" else as_mp4(frames, fps, encoder)
    write_bytes(out, data)
    return len(data)


def drawn_frames(
    animation: Animation, tables: Tables, steps: list[int], unit: str = "step"
) -> Iterator[Image.Image]:
    """The frames, each drawn with the artists of the one before.

    Args:
        unit: what a step counts.
    """
    figure = style.blank_figure(4.2)
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[2, 1.15])[:, 0]
    update, mark = animation.setup(tables, above), _losses(tables, below, steps)
    for i, step in enumerate(steps):
        update(step)
        mark.set_xdata([step, step])
        figure.suptitle(f"{unit} {step:,}: {phase_of(tables, step)}")
        if i == 0:
            style.name_unit(figure, unit)
            _fix(figure)
        canvas.draw()
        yield Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _fix(figure: Figure) -> None:
    """Lay the figure out once: a title or tick of another length must not move the axes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _losses(tables: Tables, band: SubFigure, steps: list[int]):
    ax = band.subplots()
    loss_curves(tables, ax)
    style.step_axis(ax, [*steps, *tables["history"].get("step", [])] if len(tables["history"]) else steps)
    ax.set_xlabel("training step (a frame a checkpoint: time is even in checkpoints, not in steps)")
    return ax.axvline(steps[0], color=style.BLACK, lw=1.2)


def phase_of(tables: Tables, step: int) -> str:
    """In words, what the accuracies say of a step; between two known ones nothing is claimed."""
    ended = outcome(tables)
    if ended.grokking is not None and ended.grokking.step is not None and step >= ended.grokking.step:
        return "generalises"
    table = tables["losses"]
    here = table[table["step"] == step].set_index("split")["accuracy"] if len(table) else {}
    if "train" not in here:
        return "does not generalise" if ended.grokking is not None else "split not known"
    said = "train rows memorised" if here["train"] >= ACCURACY else "memorising"
    return said + (f", test accuracy {here['test']:.2f}" if "test" in here else "")
