"""When images are memorized and grokked (`seeds.csv`, a row a run), at norms that are held (`norms.csv`), and how many
ReLUs of a small network die (`dead.csv`).

    python analyses/evidence/images/make_tables.py seeds runs/images-* runs/small-*
    python analyses/evidence/images/make_tables.py norms --seeds 0 1
    python analyses/evidence/images/make_tables.py dead
    python analyses/evidence/images/make_tables.py draw docs

Networks at a held norm are those of the preset from `init_scale` 1, without weight decay: after each update all weights
are multiplied by one factor, so that their norm together is what it is to be. The first update ends there.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from interp.probes import norm_slice
from interp.runs.presets import images, variation
from interp.runs.run import Run, open_run
from interp.runs.schedule import make_schedule
from interp.snapshots.snapshot import Snapshot
from interp.tables.outcome import outcome
from interp.training.arms import Arm
from interp.training.branches import branch
from interp.training.rules import HoldNorm
from interp.training.rules.recorded import norms_of, whole_norm
from interp.training.train import train

# The norm that weights of init_scale 1 have is 20.3.
NORMS = (5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 50.0, 90.0)
N_STEPS = 2000
DEAD_STEPS = 1500
DEAD = [(25, 16, 3e-3), (25, 16, 3e-4), (25, 32, 3e-3), (25, 64, 3e-3)]
SPLITS = ("train", "test")
HERE = Path(__file__).parent


def norm_at(run: Run, step: int) -> float:
    return float(whole_norm(norms_of(run.step_weights(step))))


def brackets(run: Run) -> dict[str, Any]:
    found = outcome({"history": run.history()})
    said: dict[str, Any] = {}
    for name, transition in (("memorized", found.memorization), ("grokked", found.grokking)):
        said[f"{name}_before"] = transition.before if transition else None
        said[f"{name}_step"] = transition.step if transition else None
    return said


def at_end(run: Run) -> dict[str, float]:
    """Squared error, which was minimised, and accuracy at the last step."""
    table = norm_slice(Snapshot.of(run, run.steps[-1]), factors=(1.0,)).set_index("split")
    return {
        f"{split}_{name}": table.loc[split, name]
        for name in ("squared_error", "accuracy")
        for split in SPLITS
    }


def seed_row(run: Run) -> dict[str, Any]:
    """One run: brackets, then norms at its start, at the first checkpoint that has memorized or grokked, at its end."""
    said = brackets(run)
    norms = {
        f"norm_{name}": norm_at(run, min(step for step in run.steps if step >= said[f"{name}_step"]))
        for name in ("memorized", "grokked")
    }
    history = run.history().dropna(subset=["test_accuracy"]).set_index("step")
    recipe = run.config.recipe()
    return {
        "init_scale": recipe.model.init_scale,
        "seed": recipe.seed,
        "n_steps": recipe.n_steps,
        **said,
        "test_accuracy_memorized": history["test_accuracy"].loc[: said["memorized_step"]].iloc[-1],
        "test_accuracy": history["test_accuracy"].iloc[-1],
        "norm_start": norm_at(run, run.steps[0]),
        **norms,
        "norm_end": norm_at(run, run.steps[-1]),
    }


def norm_rows(seed: int, norms: tuple[float, ...], eps: float) -> list[dict[str, Any]]:
    recipe = variation(
        images(N_STEPS),
        task={"split_seed": seed},
        model={"init_scale": 1.0},
        optimizer={"weight_decay": 0.0, "batch_seed": seed, "eps": eps},
        seed=seed,
        schedule=make_schedule(N_STEPS, [0], [0]),
    )
    found = []
    with TemporaryDirectory() as folder:
        start = begun(recipe, Path(folder) / "start")
        for norm in norms:
            rule = HoldNorm(factor=norm / norm_at(start, 0), each="whole")
            arm = Arm(name="held", dose=norm, rules=(rule,))
            run = branch(start, Path(folder) / f"{norm:g}", at=0, budget=N_STEPS, arm=arm, threads=1)
            about = {"seed": seed, "eps": eps, "norm": norm, "norm_end": norm_at(run, N_STEPS)}
            found.append({**about, "n_steps": N_STEPS, **brackets(run), **at_end(run)})
    return found


def begun(recipe: Any, path: Path) -> Run:
    """A run of one step: the parent of all networks of a seed."""
    from dataclasses import replace

    short = replace(recipe, n_steps=1, schedule=make_schedule(1, [0], [0]))
    return train(short, path, threads=1)


def dead_row(n_train: int, d_mlp: int, lr: float, seed: int) -> dict[str, Any]:
    """A network of the sweeps of double descent: how many of its ReLUs are on for no train row, and what it answers."""
    recipe = variation(
        images(DEAD_STEPS),
        task={"n_train": n_train, "n_test": 1000, "split_seed": seed},
        model={"n_layers": 1, "d_mlp": d_mlp, "init_scale": 1.0},
        optimizer={"weight_decay": 0.0, "lr": lr, "batch_size": None, "batch_seed": seed},
        seed=seed,
        schedule=make_schedule(DEAD_STEPS, [0], [0]),
    )
    with TemporaryDirectory() as folder:
        run = train(recipe, Path(folder) / "run", threads=1)
        found = {f"n_dead_{name}": n_dead(run, step) for name, step in (("start", 0), ("end", DEAD_STEPS))}
        return {"n_train": n_train, "d_mlp": d_mlp, "lr": lr, "seed": seed, **found, **at_end(run)}


def n_dead(run: Run, step: int) -> int:
    weights, inputs = run.step_weights(step), run.task.inputs[run.task.split]
    is_on = inputs @ weights["blocks.0.mlp.W_in"] + weights["blocks.0.mlp.b_in"] > 0
    return int((~is_on.any(0)).sum())


def draw(folder: Path) -> None:
    """What was trained at each norm, and what the weights of one run do times a factor."""
    from interp.figures import slice_curves, style

    held = pd.read_csv(HERE / "norms.csv")
    figure, axes = style.new_figure(1, 2, height=2.6)
    for ax, quantity in zip(axes.flat, ("squared_error", "accuracy"), strict=True):
        for split, colour in (("train", style.TRAIN), ("test", style.TEST)):
            mean = held.groupby("norm")[f"{split}_{quantity}"].mean()
            ax.plot(mean.index, mean, color=colour, label=split)
            ax.plot(held["norm"], held[f"{split}_{quantity}"], "o", ms=2.5, color=colour)
        ax.set_xscale("log")
        ax.set_xticks(NORMS, [f"{norm:g}" for norm in NORMS])
        ax.minorticks_off()
        ax.set_xlabel("norm of all weights, held")
        ax.set_ylabel(quantity.replace("_", " "))
    axes.flat[0].set_yscale("log")
    axes.flat[1].set_ylim(0, 1.03)
    axes.flat[0].legend()
    style.label_panels(axes.flat)
    style.save_figure(figure, folder / "held_norm", ["png"])
    slices = pd.read_csv(HERE / "norm_slice.csv")
    figure, axes = style.new_figure(1, slices["step"].nunique(), height=2.1)
    for ax, (step, rows) in zip(axes.flat, slices.groupby("step"), strict=True):
        slice_curves(rows, ax, quantity="squared_error")
        ax.set_title(f"step {step}")
        if ax is not axes.flat[0]:
            ax.set_ylabel("")
    style.save_figure(figure, folder / "norm_slice", ["png"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_runs = kinds.add_parser("seeds")
    of_runs.add_argument("runs", nargs="+")
    held = kinds.add_parser("norms")
    held.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    held.add_argument("--norms", type=float, nargs="+", default=NORMS)
    held.add_argument("--eps", type=float, default=1e-8, help="Of Adam: gradients far below it move nothing.")
    held.add_argument("--out", type=Path, default=HERE / "norms.csv", help="Rows are added to what is there.")
    kinds.add_parser("dead")
    kinds.add_parser("draw").add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.kind == "draw":
        draw(options.folder)
        return
    if options.kind == "dead":
        rows = [dead_row(*sizes, seed) for sizes in DEAD for seed in (0, 1, 2)]
        pd.DataFrame(rows).to_csv(HERE / "dead.csv", index=False, float_format="%.5g")
        return
    if options.kind == "seeds":
        rows = [{"run": Path(run).name, **seed_row(open_run(run))} for run in options.runs]
        pd.DataFrame(rows).to_csv(HERE / "seeds.csv", index=False, float_format="%.5g")
        return
    for seed in options.seeds:
        rows = norm_rows(seed, tuple(options.norms), options.eps)
        there = [pd.read_csv(options.out)] if options.out.exists() else []
        table = pd.concat([*there, pd.DataFrame(rows)], ignore_index=True)
        table.to_csv(options.out, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
