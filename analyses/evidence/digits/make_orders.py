"""In which order digits come: `seeds.csv`, a row a run and part, with the bracket of its test accuracy and half loss.

    interp train runs/digits-0 --preset digits --threads 1 --seed 0 --split-seed 0
    interp train runs/digits-450-1 --preset digits --threads 1 --weight-decay 1 --set task.n_train=450
    python analyses/evidence/digits/make_orders.py runs/digits-0 runs/digits-1 ...

Each run once, with its seed as split seed; what was measured before is not measured again.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

import interp
from interp.tables.curves import at_end
from interp.tables.digit_order import carry_transitions, digit_transitions, half_losses, judged, parts
from interp.tables.outcome import outcome
from interp.tables.transitions import Transition


def rows(path: Path) -> list[dict[str, Any]]:
    run: Any = interp.open_run(path)
    task = run.config.task
    table = interp.measure(run, ["digit_losses"])["digit_losses"]
    ended, last = outcome({"history": run.history()}), at_end(judged(table))
    at_2000 = at_end(judged(table[table["step"] <= 2000]))
    halves = half_losses(table)
    same = {
        "seed": run.config.seed,
        "split_seed": task.split_seed,
        "n_train": None if run.config.sees_fresh_rows else task.n_train,
        "weight_decay": run.config.optimizer.weight_decay,
        "n_steps": run.steps[-1],
    }

    def row(part: str, came: Transition | None, **more: Any) -> dict[str, Any]:
        bracket = {} if came is None else {"before": came.before, "step": came.step}
        return {**same, "part": part, **bracket, **more}

    ends, ends_2000 = ({by: parts(of, by) for by in ("digit", "carry")} for of in (last, at_2000))
    found = [row("test", ended.grokking)]
    if not run.config.sees_fresh_rows:
        found.insert(0, row("train", ended.memorization))
    for by, transitions in (("digit", digit_transitions(table)), ("carry", carry_transitions(table))):
        for name, came in transitions.items():
            end, before = ends[by][name].iloc[0], ends_2000[by][name].iloc[0]
            more = {"accuracy": end["accuracy"], "accuracy_at_2000": before["accuracy"], "n": end["n"]}
            if by == "digit":
                more |= {"half_loss_before": halves[name].before, "half_loss": halves[name].step}
            found.append(row(f"digit {name}" if by == "digit" else name, came, **more))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "seeds.csv")
    options = parser.parse_args()
    table = pd.DataFrame([row for path in options.runs for row in rows(path)])
    table = table.sort_values(["weight_decay", "n_train", "seed"], kind="stable")
    whole = {
        column: "Int64"
        for column in ("n_train", "before", "step", "n", "half_loss_before", "half_loss")
        if column in table
    }
    table.astype(whole).to_csv(options.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
