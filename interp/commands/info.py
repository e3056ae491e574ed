"""`interp info`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from interp.commands.standing import told_status, told_transition, transitions
from interp.commands.stated import takes_statements
from interp.ground.plain_text import number_of, say, visible

if TYPE_CHECKING:
    from interp.runs.run import Run


@takes_statements
def info(
    run: Annotated[
        Path, Argument(help="A run, a folder of runs, or a file or folder of anyone's checkpoints.")
    ],
    json: Annotated[
        bool, Option("--json", help="Print run.json's content with the saved steps, for programs.")
    ] = False,
    *,
    stated: dict[str, Any],
) -> None:
    """Say what a run is: task, network, optimizer, status, saved steps, when it memorized and grokked.

    Of a folder of runs: a line each.

    Examples: interp info checkpoints/mainline

    interp info runs

    interp info downloads/some_series
    """
    from interp.commands.run_list import listed, print_runs
    from interp.runs.folders import runs_below
    from interp.sources.opening import open_stated

    if below := runs_below(run):
        print_runs(listed(run, below), as_json=json)
        return
    opened = open_stated(run, stated)
    if json:
        from json import dumps

        from interp.runs.record import record_to_json
        from interp.runs.tensor_files import read_json

        file = opened.path / "run.json"
        about = read_json(file) if file.is_file() else record_to_json(opened.record)
        say(dumps(about | {"steps": opened.steps, "optimizer_steps": opened.optimizer_steps}, indent=2))
        return
    print_lines(describe(opened))


def print_lines(lines: Mapping[str, str]) -> None:
    """Labels in one column, texts in the next; on a terminal, texts are broken to stay in theirs."""
    import shutil
    import sys
    import textwrap

    width = max(map(len, lines)) + 2
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for label, text in lines.items():
        parts = (
            [visible(text)]
            if columns is None
            else textwrap.wrap(visible(text), max(columns - width, 20), break_on_hyphens=False)
        )
        for i, part in enumerate(parts or [""]):
            say(f"{label if i == 0 else '':<{width}}{part}".rstrip())


def describe(run: "Run") -> dict[str, str]:
    """The lines of `interp info`, label by label; what a run does not know is left out."""
    # With torch, which `interp --help` does without.
    from interp.tasks.splits import described_split

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
            row = evaluated.iloc[-1]
            when = "" if row["step"] == at else f" (at {run.unit} {int(row['step'])})"
            lines["train"] = f"loss {row['train_loss']:.3g}, accuracy {row['train_accuracy']:.4f}{when}"
            lines["test"] = f"loss {row['test_loss']:.3g}, accuracy {row['test_accuracy']:.4f}{when}"
        dated, lost = transitions(run)
        for name, found in dated.items():
            lines[name] = told_transition(found, run.unit, lost if name == "grokked" else None)
    if run.steps:
        lines["checkpoints"] = f"{len(run.steps)}, {run.unit}s {_shorten(run.steps)}"
        if run.optimizer_steps:
            lines["branch at"] = _shorten(run.optimizer_steps)
    return lines


def _branch_lines(run: "Run") -> dict[str, str]:
    """Which arm a branch is, and what it left where."""
    from interp.training.arms import branch_of

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
