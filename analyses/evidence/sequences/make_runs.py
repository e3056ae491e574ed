"""Tables of several runs from what was trained and analysed: `seeds.csv`, and `other_*.parquet` of runs unlike it.

    python analyses/evidence/sequences/make_runs.py seeds runs/sequences runs/sequences-1 runs/sequences-2
    python analyses/evidence/sequences/make_runs.py others runs/one-layer runs/trigrams runs/copying runs/finite-1024

The first reads figures/<run>/sequences/summary.json, which `interp analyse sequences RUN` writes; the second measures.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

import interp
from interp.runs.run import Run

HERE = Path(__file__).parent
KINDS = {"induction heads": "induction", "previous-token heads": "previous", "other heads": "other"}


def of_seed(run: Run, summary: dict) -> dict:
    """What the analysis says of a run, a row."""
    row: dict = {"run": run.name, "seed": run.config.seed}
    fall, ends = summary["fall"], summary["losses_at_end"]["test"]
    for when in ("begun", "done", "steepest"):
        row |= {f"{when}_{end}": None if fall is None else fall[when][end] for end in ("before", "step")}
    row |= {f"loss_{part}": ends[part] for part in ("predictable", "unpredictable", "all")}
    grokking = summary["outcome"]["grokking"]
    row |= {f"generalised_{end}": grokking[end] for end in ("before", "step")}
    row["accuracy_predictable"] = run.history()["test_predictable_accuracy"].dropna().iloc[-1]
    row["accuracy_all"] = run.history()["test_accuracy"].dropna().iloc[-1]
    for kind, name in KINDS.items():
        row[f"{name}_heads"] = " ".join(h["name"] for h in summary["heads"] if h["kind"] == kind)
        of_kind = summary["ablations"].get(kind, {})
        for patterns in ("free", "kept"):
            found = of_kind.get(patterns, {})
            row[f"{name}_undone_{patterns}"] = found.get("share_of_the_gain_undone_at_end")
            row[f"{name}_before_the_fall_{patterns}"] = found.get("largest_effect_before_the_fall")
    half = summary["ablations"].get("induction heads", {}).get("free", {}).get("undoes_half_of_the_gain", {})
    row |= {f"induction_half_{end}": half.get(end) for end in ("before", "step")}
    row["previous_token_heads_came_first"] = summary["previous_token_heads_came_first"]
    return row


def seeds(runs: list[Run]) -> None:
    rows = []
    for run in runs:
        file = Path("figures") / run.name / "sequences" / "summary.json"
        rows.append(of_seed(run, json.loads(file.read_text("utf-8"))))
    pd.DataFrame(rows).to_csv(HERE / "seeds.csv", index=False, float_format="%.4g")


def others(runs: list[Run]) -> None:
    tables = [interp.measure(run, ["part_losses", "induction_scores"]) for run in runs]
    parts = pd.concat(x["part_losses"] for x in tables)
    write(parts[parts["split"] == "test"].drop(columns="split"), "other_part_losses")
    heads = pd.concat(x["induction_scores"] for x in tables if len(x["induction_scores"]))
    write(
        heads[["run", "step", "layer", "head", "prefix_matching", "previous_token", "copying"]], "other_heads"
    )


def write(table: pd.DataFrame, name: str) -> None:
    numbers = table.select_dtypes("float64").columns
    table = table.astype(dict.fromkeys(numbers, "float32"))
    table.to_parquet(HERE / f"{name}.parquet", compression="zstd", compression_level=19, index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["seeds", "others"])
    parser.add_argument("runs", nargs="+", type=Path)
    options = parser.parse_args()
    {"seeds": seeds, "others": others}[options.what]([interp.open_run(path) for path in options.runs])
