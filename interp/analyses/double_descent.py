"""Does the test error descend a second time: over model size, over train rows, over steps? And is that grokking?

(a) Train and test error at the end of training by model size, bands over the runs (random features: draws); bands down
the panel are the interpolation thresholds, from the last size that does not answer every train label to the first from
which all do; for random features a line where every label is met exactly, and dotted the best ridge. (b) The same by
the number of train rows, where the threshold is the last number that fits. (c) Along training with the largest share of
wrong labels, for a size below the threshold, the one at it and the largest. (d) Beside the error, by size over
threshold, at that share: effective rank (of the train features, or of a network's first weights), norm of all weights,
and the smallest margin of a train row. (e) How much of right labels, wrong labels and new rows is answered by each step
by the largest network, and sigmoids fitted to that.

A descent counts if the mean test error rises to a bump and falls again by more than three standard errors of what runs
differ by. Random features stand beside the sweeps as the case with a closed form: what is seen there no optimizer did.
Bundled are modular addition and 8 x 8 digits (docs/double_descent.md); any sweep over a size of the model, n_train or
train_fraction, or a folder of several, is read the same way.

References: Belkin, Hsu, Ma and Mandal 2019, "Reconciling modern machine-learning practice and the classical
bias-variance trade-off"; Nakkiran et al. 2020, "Deep double descent" (steps, rows, label noise); Davies, Langosco and
Krueger 2023, "Unifying grokking and double descent".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from interp.analyses import of_random_features
from interp.analyses.frame import Subject
from interp.analyses.of_sizes import NO_PATTERNS, RUNS, SideBySide, largest_patterns, opened, size_runs
from interp.figures import (
    beside_curves,
    descent_curves,
    descent_legend,
    epoch_curves,
    pattern_curves,
    style,
)
from interp.ground.plain_text import listed
from interp.tables import learning_patterns
from interp.tables.folder import Tables
from interp.tables.interpolation import (
    BRACKET,
    CURVE,
    EPOCH,
    EXACT,
    MODEL,
    ONE_SETTING,
    SAMPLE,
    binned,
    by_size,
    curves,
    descents,
    epoch_descents,
    shown_sizes,
    thresholds,
)
from interp.tables.wording import field_name

BUNDLED = Path(__file__).parents[2] / "analyses" / "evidence" / "double_descent"
BESIDE = ("effective_rank", "norm", "margin")
ALONG = [*CURVE, "size", "run", "step", "train_error", "test_error"]
# Panels beside each other of a band.
MOST = 4


subject = Subject("sweeps", BUNDLED, opened)


def compute(gathered, device: str) -> Tables:
    runs, along, measured = [], [], []
    if isinstance(gathered, SideBySide):
        own, steps = of_random_features.random_features()
        runs.append(own)
        along.append(steps)
    for one in gathered.sweeps if isinstance(gathered, SideBySide) else (gathered,):
        rows = size_runs(one)
        if not len(rows):
            continue
        steps = binned(one.histories()).merge(rows[[*CURVE, "size", "run"]], on="run")
        runs.append(rows)
        along.append(steps)
        measured.append(largest_patterns(one, rows))
    all_runs = pd.concat(runs, ignore_index=True) if runs else pd.DataFrame(columns=RUNS)
    all_steps = pd.concat(along, ignore_index=True)[ALONG] if along else pd.DataFrame(columns=ALONG)
    patterns = [part for part in measured if len(part)]
    patterns = pd.concat(patterns, ignore_index=True) if patterns else NO_PATTERNS
    return {
        "runs": all_runs,
        "sizes": by_size(all_runs),
        "thresholds": thresholds(all_runs),
        "descents": descents(all_runs),
        "along": all_steps,
        "epoch_descents": epoch_descents(all_steps),
        "patterns": patterns,
        "speeds": pd.concat(
            [
                learning_patterns.speeds(part).assign(experiment=experiment)
                for experiment, part in patterns.groupby("experiment", sort=False)
            ]
            or [learning_patterns.speeds(patterns).assign(experiment="")],
            ignore_index=True,
        ),
    }


def draw(tables: Tables) -> Figure:
    sizes, found = tables["sizes"], tables["thresholds"]
    parts = {axis: list(_settings(sizes, axis)) for axis in (MODEL, SAMPLE)}
    epochs = list(_settings(tables["along"], MODEL))[:MOST] or list(_settings(tables["along"], SAMPLE))[:MOST]
    learned = list(tables["patterns"].groupby("experiment", sort=False))[:MOST]
    shown = [axis for axis in parts if parts[axis]] or [MODEL]
    heights = [style.height_of(max(len(parts[axis]), 1), 2.2) for axis in shown]
    heights += [style.height_of(max(len(epochs), 1), 2.2), style.height_of(3, 2.1)]
    heights += [style.height_of(len(learned), 2.0)] if learned else []
    figure, bands = style.new_bands(heights)
    lettered = list(bands)
    for axis in shown:
        _size_band(bands.pop(0), tables, parts[axis][:MOST], found)
    _epoch_band(bands.pop(0), epochs, found)
    _beside_band(bands.pop(0), tables)
    if learned:
        axes = style.panels(bands.pop(0), len(learned), sharey=True)
        for ax, (experiment, rows) in zip(axes, learned, strict=True):
            pattern_curves(rows, tables["speeds"][tables["speeds"]["experiment"] == experiment], ax)
            ax.set_title(str(experiment))
        style.figure_legend(lettered[-1], *axes[0].get_legend_handles_labels())
    style.label_panels([band.axes[0] for band in lettered])
    return figure


def _settings(table: pd.DataFrame, axis: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Title and rows of each experiment and setting over this axis, all shares of wrong labels together."""
    of_axis = table[table["axis"] == axis]
    for (experiment, setting), rows in of_axis.groupby(["experiment", "setting"], sort=False):
        yield experiment if setting == ONE_SETTING else f"{experiment}\n{setting}", rows


def _same(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of another table on the same experiment, axis and setting."""
    first = rows.iloc[0]
    return table[(table[CURVE[:3]] == first[CURVE[:3]]).all(axis=1)]


def _size_name(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    if first["experiment"] == of_random_features.NAME:
        return "features" if first["axis"] == MODEL else "train rows"
    return (
        field_name(first["field"]) if "field" in rows and isinstance(first["field"], str) else first["axis"]
    )


def _size_band(band: Any, tables: Tables, parts: list[Any], found: pd.DataFrame) -> None:
    axes = style.panels(band, max(len(parts), 1), sharey=True)
    if not parts:
        descent_curves(tables["sizes"], found, axes[0], name="")
        return
    for ax, (title, rows) in zip(axes, parts, strict=True):
        names = tables["runs"][["experiment", "axis", "field"]] if "field" in tables["runs"] else None
        named = rows if names is None else rows.merge(names.drop_duplicates(), on=["experiment", "axis"])
        descent_curves(rows, _same(found, rows), ax, name=_size_name(named))
        ax.set_title(title)
        if not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")
    together = pd.concat([rows for _, rows in parts])
    has_ridge = "ridge_error" in together and bool(together["ridge_error"].notna().any())
    descent_legend(band, together, has_ridge=has_ridge)


def _epoch_band(band: Any, parts: list[Any], found: pd.DataFrame) -> None:
    axes = style.panels(band, max(len(parts), 1), sharey=True)
    if not parts:
        style.note_instead(axes[0], "no evaluations along training")
        return
    for ax, (title, rows) in zip(axes, parts, strict=True):
        noisy = rows[rows["noise"] == rows["noise"].max()]
        at = _same(found, noisy)
        sizes = shown_sizes(noisy, at[at["noise"] == noisy["noise"].iloc[0]])
        epoch_curves(noisy[noisy["size"].isin(sizes)], ax, name=title.replace("\n", ", "))
        if not ax.get_subplotspec().is_first_col():
            ax.set_ylabel("")


def _beside_band(band: Any, tables: Tables) -> None:
    table = _relative(tables)
    axes = style.panels(band, len(BESIDE))
    for ax, quantity in zip(axes, BESIDE, strict=True):
        beside_curves(table, ax, quantity=quantity)
    handles, labels = axes[1].get_legend_handles_labels()
    if handles:
        style.figure_legend(band, handles, labels)


def _relative(tables: Tables) -> pd.DataFrame:
    """Model sizes over the threshold of their own curve, at the largest share of wrong labels."""
    parts = []
    for curve, rows in curves(tables["sizes"]):
        same = tables["sizes"][tables["sizes"]["experiment"] == curve["experiment"]]
        at = _same(tables["thresholds"], rows)
        at = at[at["noise"] == curve["noise"]]["inside"].dropna()
        if curve["axis"] == MODEL and curve["noise"] == same["noise"].max() and len(at):
            parts.append(rows.assign(relative_size=rows["size"] / float(at.iloc[0])))
    return pd.concat(parts) if parts else pd.DataFrame(columns=["experiment", "relative_size"])


def summarize(tables: Tables) -> dict[str, Any]:
    found = [
        {**descent, **_bracket(tables["thresholds"], descent)}
        for descent in tables["descents"].to_dict("records")
    ]
    epochs = tables["epoch_descents"].to_dict("records")
    said = [_said(one) for one in found] or ["No size was swept: neither of the model nor of its train rows."]
    if epochs:
        said.append(_said_of_steps(epochs))
    return {
        "said": said,
        "descents": found,
        "epoch_descents": epochs,
        "speeds": tables["speeds"].to_dict("records"),
    }


def _bracket(table: pd.DataFrame, curve: dict[str, Any]) -> dict[str, Any]:
    rows = table
    for name in CURVE:
        rows = rows[rows[name] == curve[name]]
    return {"threshold": {name: float(rows[name].iloc[0]) for name in (*BRACKET, *EXACT)}}


def _place(one: dict[str, Any]) -> str:
    setting = f", {one['setting']}" if one["setting"] != ONE_SETTING else ""
    size = f" at size {one['size']:g}" if one["axis"] == EPOCH else ""
    return f"{one['experiment']}{setting}, {one['noise']:.0%} wrong labels{size}"


def _place_of_threshold(ends: dict[str, float], names: list[str]) -> str:
    outside, inside = (ends[name] for name in names)
    if np.isnan(inside):
        return "at no size of the grid"
    return f"at {inside:g}" + ("" if np.isnan(outside) else f" (not at {outside:g})")


def _said(one: dict[str, Any]) -> str:
    where = _place_of_threshold(one["threshold"], BRACKET)
    if not all(np.isnan(one["threshold"][name]) for name in EXACT):
        where += f", and met exactly {_place_of_threshold(one['threshold'], EXACT)}"
    bump = (
        f"test error {one['valley_before']:.3f}, {one['peak']:.3f} at {one['peak_at']:g}, then "
        f"{one['valley_after']:.3f}"
        if one["height"] > 0
        else "test error has no bump"
    )
    beside = f"height {one['height']:.3f}" + (
        "" if np.isnan(one["needed"]) else f", {one['needed']:.3f} is needed"
    )
    return f"{_place(one)}, over {one['axis']}: {_verdict(one)}: {bump} ({beside}); every label is answered {where}."


def _verdict(one: dict[str, Any]) -> str:
    if pd.isna(one["shows"]):
        reason = "one run a size" if np.isnan(one["needed"]) else "fewer than three sizes"
        return f"whether there is a second descent cannot be told ({reason})"
    return "a second descent" if one["shows"] else "no second descent beyond what runs differ by"


def _said_of_steps(epochs: list[dict[str, Any]]) -> str:
    told = [one for one in epochs if not pd.isna(one["shows"])]
    shown = [one for one in told if one["shows"]]
    said = f"Along steps {len(shown)} of {len(told)} sizes descend a second time"
    if shown:
        said += f": {listed(_place(one) for one in shown)}"
    if len(told) < len(epochs):
        untold = (
            f"of {len(epochs) - len(told)} it cannot be told (one run a size, or fewer than three steps)."
        )
        said = f"{said}; {untold}" if told else f"Along steps, {untold}"
    return said.removesuffix(".") + "."
