"""What a run is, in lines: what `interp info` prints, and the card of a run in a notebook holds."""

from collections.abc import Mapping
from typing import Any

from interp.ground.judged import PREDICTABLE
from interp.ground.plain_text import number_of, several
from interp.runs.run import Run
from interp.tables.brackets_said import transition_said
from interp.tasks.splits import described_split
from interp.training.arms import branch_of
from interp.views.standing import told_status, transitions


def describe(run: Run) -> dict[str, str]:
    """What a run is, label by label: task, network, losses, when it memorized and grokked, what is saved.

    The lines of `interp info` and of a run's card in a notebook. Nothing is computed by the network, and what a run
    does not know is left out: without a history, `interp.memorization(run)` and `interp.grokking(run)` measure it.

    Raises:
        RunError: if a file that says so is damaged.
    """
    lines = {"run": str(run.path), "status": told_status(run)}
    config, history = run.config, run.history()
    if config.task:
        lines["task"] = f"{config.task.description}, {described_split(config.task)}"
    if config.model:
        m = config.model
        heads = number_of(m.n_heads, "head")
        kind = f"{m.n_layers}-layer MLP" if m.is_mlp else f"{m.n_layers}-layer transformer, {heads}"
        lines["network"] = (
            f"{kind}, d_model {m.d_model}, d_mlp {m.d_mlp}, {m.act_fn}, norm {m.normalization_type or 'none'}"
        )
        lines["network"] += "" if config.seed is None else f", seed {config.seed}"
    if config.optimizer:
        o = config.optimizer
        batch = "full batch" if o.batch_size is None else f"batches of {o.batch_size}"
        batch += " fresh rows" if o.fresh else ""
        lines["optimizer"] = (
            f"{o.name}, lr {o.lr:g}, weight decay {o.weight_decay:g}, eps {o.eps:g}, {batch}, {o.loss_dtype} loss"
        )
    if run.record.sessions:
        last = run.record.sessions[-1]
        lines["trained on"] = (
            f"{last.device} ({last.threads} threads), torch {last.versions.get('torch', 'unknown')}"
        )
        lines["forward"] = run.record.forward_path or "unknown"
    if longer := [s.extended_from for s in run.record.sessions if s.extended_from is not None]:
        lines["made longer"] = f"from {', then '.join(map(str, longer))} steps"
    if run.config.branch is not None:
        lines |= _branch_lines(run)
    if run.record.source is not None:
        lines |= _source_lines(run.record.source)
    if len(history):
        # The history of a run that is being trained is written less often than its checkpoints.
        at = max(int(history["step"].iloc[-1]), *run.steps[-1:], -1)
        lines["at"] = f"{run.unit} {at}" + (f" of {config.n_steps}" if config.n_steps else "")
        evaluated = history.dropna(subset=["test_accuracy"]) if "test_accuracy" in history else history[:0]
        if len(evaluated):
            row = evaluated.iloc[-1].to_dict()
            when = "" if row["step"] == at else f" (at {run.unit} {int(row['step'])})"
            for split in ("train", "test"):
                lines[split] = _answers_told(row, split) + when
        dated, lost = transitions(run)
        for name, found in dated.items():
            lines[name] = transition_said(found, run.unit, lost if name == "grokked" else None)
    if run.steps:
        lines["checkpoints"] = f"{len(run.steps)}, {several(run.unit)} {_shorten(run.steps)}"
        if run.optimizer_steps:
            lines["branch at"] = _shorten(run.optimizer_steps)
    return lines


def _answers_told(row: Mapping[str, Any], split: str) -> str:
    told = f"loss {row[f'{split}_loss']:.3g}, accuracy {row[f'{split}_accuracy']:.4f}"
    judged = row.get(f"{split}_{PREDICTABLE}_accuracy")
    return told if judged is None else f"{told}, {judged:.4f} on what is predictable"


def _branch_lines(run: Run) -> dict[str, str]:
    """Which arm a branch is, and what it left where."""
    branch, parent = branch_of(run), run.record.parent
    assert branch is not None
    arm = branch.arm
    dose = "" if arm.reference_dose is None else f" at dose {arm.reference_dose:g}"
    against = "" if arm.reference is None else f", compared with {arm.reference}{dose}"
    disturbed = "" if branch.jitter is None else f", disturbed at the branch (seed {branch.jitter})"
    lines = {"arm": f"{arm.label}{against}, pair {branch.pair}{disturbed}"}
    if parent is not None:
        lines["left"] = f"{parent.run} at {run.unit} {run.config.first_step}"
    return lines


def _source_lines(source: Mapping[str, Any]) -> dict[str, str]:
    """Where an imported or opened run is from, and how what it does not say was found."""
    lines = {"source": f"{source['format']}, {source['path']}"}
    lines |= {f"  {part}": how for part, how in source["task"].items()}
    if assumed := source.get("assumed"):
        lines["  assumed"] = ", ".join(f"{name}={value!r}" for name, value in assumed.items())
    if logs := source.get("logs"):
        lines["  losses from"] = ", ".join(logs)
    if unreadable := source.get("unreadable"):
        more = f" and {len(unreadable) - 20} more" if len(unreadable) > 20 else ""
        lines["  left out"] = ", ".join(list(unreadable)[:20]) + more
    return lines


def _shorten(steps: list[int]) -> str:
    if len(steps) <= 12:
        return " ".join(map(str, steps))
    return " ".join(map(str, steps[:6])) + " ... " + " ".join(map(str, steps[-3:]))
