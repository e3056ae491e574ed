"""How much crosses over, by share of facts, number translations and sentences: `crossings.csv`, a row a run.

    python analyses/evidence/languages/make_crossings.py --seeds 0 1
    python analyses/evidence/languages/make_crossings.py --seeds 2 --with-sentences
    python analyses/evidence/languages/make_crossings.py --draw docs/crossings.png

Goes on where it was stopped. Runs are those of the preset with a higher learning rate, so that they are short.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from interp.runs.presets import languages, variation
from interp.tables.outcome import outcome
from interp.training.train import train

N_STEPS, EVERY = 700, 20
N = 23
# Share of B's facts, numbers that are translated, share of sentences, dictionary, operation of B, and of A.
OF_SUMS = [
    *((f, N, 0.0, "true", None) for f in (0.0, 0.1, 0.3, 0.5)),
    *((f, 0, 0.0, "true", None) for f in (0.0, 0.1, 0.3, 0.5)),
    (0.0, N, 0.5, "true", None),
    (0.0, 0, 0.5, "true", None),
    (0.1, N, 0.5, "true", None),
    (0.0, N, 0.5, "shuffled", None),
    (0.3, N, 0.0, "true", "x2+y2"),
    (0.3, N, 0.5, "true", None),
    (0.0, N, 0.25, "true", None),
    (0.0, 12, 0.5, "true", None),
]
ROWS = [*((*values, "add") for values in OF_SUMS), (0.0, N, 0.5, "true", None, "random")]
FIELDS = [
    *("fact_fraction", "n_translations", "sentence_fraction", "dictionary", "other_operation", "operation"),
    "seed",
]


def row(values: tuple, seed: int) -> dict:
    task = dict(zip(FIELDS, values, strict=False))
    recipe = variation(
        languages(N_STEPS),
        task={**task, "split_seed": seed},
        optimizer={"lr": 3e-3},
        seed=seed,
        evaluation_interval=EVERY,
    )
    recipe = replace(recipe, schedule=replace(recipe.schedule, steps=(0, N_STEPS), optimizer_steps=()))
    from interp.probes.languages.language_alignment import language_alignment
    from interp.probes.languages.language_losses import language_losses
    from interp.snapshots.snapshot import Snapshot

    with TemporaryDirectory() as folder:
        run = train(recipe, Path(folder) / "run", threads=1)
        ended = outcome({"history": run.history()})
        snapshot = Snapshot.of(run, N_STEPS)
        losses = language_losses(snapshot).set_index(["kind", "asked", "split"])
        # Labels drawn at random have no frequencies.
        overlap = {"value": None, "null": None}
        if task["operation"] != "random":
            alignment = language_alignment(snapshot).set_index(["part", "numbering", "measure"])
            numbering = "dictionary" if task["dictionary"] == "shuffled" else "own"
            overlap = alignment.loc[("embedding", numbering, "spectrum_overlap")]
    unseen, accuracies = losses.loc[("fact", "B", "unseen")], losses["accuracy"]
    return {
        **dict(zip(FIELDS, (*values, seed), strict=True)),
        "accuracy": unseen["accuracy"],
        "dictionary_accuracy": unseen["dictionary_accuracy"],
        **{
            part: accuracies.get(("fact", "B", part)) for part in ("mirrored", "unmirrored", "said", "unsaid")
        },
        "loss": unseen["loss"],
        "before": ended.grokking.before if ended.grokking else None,
        "step": ended.grokking.step if ended.grokking else None,
        "spectrum_overlap": overlap["value"],
        "spectrum_overlap_null": overlap["null"],
        "n_steps": N_STEPS,
    }


def read(file: Path) -> pd.DataFrame:
    # Left to itself pandas reads "true" as a boolean.
    return pd.read_csv(file, dtype={"dictionary": str})


def draw(table: pd.DataFrame, file: Path) -> None:
    """Runs with the true dictionary and one operation, and either all numbers or none translated."""
    from interp.figures import style
    from interp.figures.crossings import crossing_points

    is_drawn = (
        (table["dictionary"] == "true") & table["other_operation"].isna() & table["operation"].eq("add")
    )
    is_drawn &= table["n_translations"].isin([0, N]) & table["sentence_fraction"].isin([0, 0.5])
    figure, axes = style.new_figure(1, 2, height=2.9)
    for ax, quantity in zip(axes.flat, ("accuracy", "step"), strict=True):
        crossing_points(table[is_drawn], ax, quantity=quantity)
    style.label_panels(axes.flat)
    style.save_figure(figure, file.with_suffix(""), ["png"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--with-sentences", action="store_true", help="Those rows alone that no control is.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "crossings.csv")
    parser.add_argument(
        "--draw", type=Path, metavar="FILE.png", help="Draw the table that is there, and train nothing."
    )
    options = parser.parse_args()
    if options.draw:
        draw(read(options.out), options.draw)
        return
    for seed in options.seeds:
        for values in ROWS:
            if options.with_sentences and not (values[2] > 0 and values[3:5] == ("true", None)):
                continue
            table = read(options.out) if options.out.exists() else pd.DataFrame(columns=FIELDS)
            done = {tuple(r) for r in table[FIELDS].fillna("").astype(str).itertuples(index=False)}
            if tuple(str("" if v is None else v) for v in (*values, seed)) in done:
                continue
            table = pd.concat([table, pd.DataFrame([row(values, seed)])], ignore_index=True)
            table.to_csv(options.out, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
