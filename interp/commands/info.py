"""`interp info`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def info(
    run: Annotated[Path, Argument(help="A run directory.")],
    json: Annotated[
        bool, Option("--json", help="Print run.json's content with the saved steps, for programs.")
    ] = False,
) -> None:
    """Say what a run is: task, network, optimizer, status, saved steps, where it stands.

    Example: interp info checkpoints/mainline
    """
    from interp.opening import open_run

    opened = open_run(run)
    if json:
        from json import dumps

        print(
            dumps(
                {**opened.record, "steps": opened.steps, "optimizer_steps": opened.optimizer_steps}, indent=2
            )
        )
        return
    for label, text in describe(opened).items():
        print(f"{label:<12}{text}")


def describe(run) -> dict[str, str]:
    """The lines of `interp info`, label by label; what a run does not know is left out."""
    lines = {"run": str(run.path), "status": run.record["status"]}
    config, history = run.config, run.history()
    if config.task:
        t = config.task
        share = "unknown share of" if t.train_fraction is None else f"{t.train_fraction:.0%}"
        lines["task"] = f"{t.operation} mod {t.p}, {share} train (split {t.split!r}, seed {t.split_seed})"
        if t.corrupted_fraction:
            lines["task"] += f", {t.corrupted_fraction:.0%} of train labels corrupted"
    if config.model:
        m = config.model
        kind = f"{m.n_layers}-layer MLP" if m.is_mlp else f"{m.n_layers}-layer transformer, {m.n_heads} heads"
        lines["network"] = (
            f"{kind}, d_model {m.d_model}, d_mlp {m.d_mlp}, {m.act_fn}, norm {m.normalization_type or 'none'}, "
            f"seed {config.seed}"
        )
    if config.optimizer:
        o = config.optimizer
        batch = "full batch" if o.batch_size is None else f"batches of {o.batch_size}"
        lines["optimizer"] = (
            f"{o.name}, lr {o.lr:g}, weight decay {o.weight_decay:g}, eps {o.eps:g}, {batch}, {o.loss_dtype} loss"
        )
    if sessions := run.record.get("sessions"):
        last = sessions[-1]
        lines["trained on"] = (
            f"{last['device']} ({last['threads']} threads), torch {last['versions']['torch']}"
        )
        lines["forward"] = run.record["forward_path"]
    if "source" in run.record:
        lines["source"] = str(run.record["source"])
    if len(history):
        row = history.iloc[-1]
        lines["at"] = f"{run.unit} {int(row['step'])}" + (f" of {config.n_steps}" if config.n_steps else "")
        evaluated = history.dropna(subset=["test_accuracy"]) if "test_accuracy" in history else history[:0]
        if len(evaluated):
            row = evaluated.iloc[-1]
            lines["train"] = f"loss {row['train_loss']:.3g}, accuracy {row['train_accuracy']:.4f}"
            lines["test"] = f"loss {row['test_loss']:.3g}, accuracy {row['test_accuracy']:.4f}"
    if run.steps:
        lines["checkpoints"] = f"{len(run.steps)}, {run.unit}s {_shorten(run.steps)}"
        if run.optimizer_steps:
            lines["branch at"] = _shorten(run.optimizer_steps)
    return lines


def _shorten(steps: list[int]) -> str:
    if len(steps) <= 12:
        return " ".join(map(str, steps))
    return " ".join(map(str, steps[:6])) + " ... " + " ".join(map(str, steps[-3:]))
