"""How much crosses over at the preset's own learning rate, by dose of what is shown: `doses.csv`, a row a run.

    python analyses/evidence/languages/make_doses.py sweeps/languages-*
    python analyses/evidence/languages/make_doses.py --draw docs/doses.png

The sweeps are those of analyses/evidence/README.md. A run that several of them have is one row.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

import interp
from interp.probes.languages.language_losses import language_losses
from interp.snapshots.snapshot import Snapshot

TASK = ["fact_fraction", "n_translations", "sentence_fraction", "dictionary", "other_operation", "operation"]
# What stays where another dose is varied.
USUAL = {"fact_fraction": 0.0, "n_translations": 23, "sentence_fraction": 0.5}


def row(run: Any, known: Any) -> dict[str, Any]:
    """Of one run: its doses, when it came, and its last accuracies, of B's unseen facts where nothing else is said."""
    losses = language_losses(Snapshot.of(run, run.steps[-1])).set_index(
        ["kind", "asked", "answered", "split"]
    )
    history = run.history().set_index("step")["test_accuracy"]

    def accuracy(*of: str, column: str = "accuracy") -> float | None:
        return losses[column].get(of)

    unseen = ("fact", "B", "B", "unseen")
    return {
        **{name: known[f"task.{name}"] for name in TASK},
        "seed": known["seed"],
        "n_steps": known["step"],
        "memorization_step": known["memorization_step"],
        "before": known["grokking_before"],
        "step": known["grokking_step"],
        "accuracy_at_1500": history.get(1500),
        "accuracy": accuracy(*unseen),
        "dictionary_accuracy": accuracy(*unseen, column="dictionary_accuracy"),
        "mirrored": accuracy("fact", "B", "B", "mirrored"),
        "unmirrored": accuracy("fact", "B", "B", "unmirrored"),
        "said": accuracy("fact", "B", "B", "said"),
        "unsaid": accuracy("fact", "B", "B", "unsaid"),
        "sentences_A_B": accuracy("sentence", "A", "B", "unseen"),
        "sentences_B_A": accuracy("sentence", "B", "A", "unseen"),
        "translations_A_B": accuracy("translation", "A", "B", "unseen"),
        "translations_B_A": accuracy("translation", "B", "A", "unseen"),
    }


def table(sweeps: list[Path]) -> pd.DataFrame:
    rows = []
    for path in sweeps:
        found = interp.open_sweep(path)
        done = found.runs[found.runs["status"] == "complete"]
        rows += [row(found.run(known["run"]), known) for _, known in done.iterrows()]
    return pd.DataFrame(rows).drop_duplicates([*TASK, "seed"]).sort_values([*TASK, "seed"])


def draw(runs: pd.DataFrame, file: Path) -> None:
    """The three doses one by one, the others as in the preset."""
    from interp.figures import style
    from interp.figures.crossings import DOSES, dose_curves

    runs = runs[runs["dictionary"].eq("true") & runs["other_operation"].isna() & runs["operation"].eq("add")]
    figure, axes = style.new_figure(3, 2, height=6.6)
    for of_dose, dose in zip(axes, DOSES, strict=True):
        is_usual = [runs[name].eq(value) for name, value in USUAL.items() if name != dose]
        rows = runs[is_usual[0] & is_usual[1]]
        for ax, quantity in zip(of_dose, ("accuracy", "step"), strict=True):
            dose_curves(rows, ax, dose=dose, quantity=quantity)
    style.label_panels(axes.flat)
    style.save_figure(figure, file.with_suffix(""), ["png"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweeps", type=Path, nargs="*")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "doses.csv")
    parser.add_argument(
        "--draw", type=Path, metavar="FILE.png", help="Draw the table that is there, and gather nothing."
    )
    options = parser.parse_args()
    if options.draw:
        # Left to itself pandas reads "true" as a boolean.
        draw(pd.read_csv(options.out, dtype={"dictionary": str}), options.draw)
    else:
        table(options.sweeps).to_csv(options.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
