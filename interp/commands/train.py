"""`interp train` and `interp resume`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Exit, Option

from interp.ground.plain_text import say

if TYPE_CHECKING:
    from interp.runs.config import Recipe
    from interp.runs.run import Run

Device = Annotated[str, Option(help="cpu, cuda or mps; recorded.")]
Threads = Annotated[
    int | None,
    Option(help="CPU threads; recorded, as equal numbers need equal threads. [default: torch's]", min=1),
]

TASK, MODEL, OPTIMIZER, SAVING = "Task", "Network", "Optimizer", "Length and saving"


def train(
    run: Annotated[Path, Argument(help="New or empty directory for the run.")],
    preset: Annotated[
        str | None,
        Option(
            help="Every value that no option below changes. mainline: addition mod 113 of Nanda et al. 2023; s5: "
            "composition of permutations of Chughtai et al. 2023. "
            "[default: the first of the task's family]"
        ),
    ] = None,
    task: Annotated[
        str | None,
        Option(help="Family of tasks: modular, groups. [default: the preset's]", rich_help_panel=TASK),
    ] = None,
    set: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Any field of run.json's config, as task.p=59 or optimizer.weight_decay=0.3; repeatable. It counts "
            "more than the options below, which are the common ones.",
        ),
    ] = None,
    group: Annotated[
        str | None, Option(help="Of --task groups: S5, A5, D7, Q8, C113, S3xC4, ...", rich_help_panel=TASK)
    ] = None,
    cayley_table: Annotated[
        Path | None, Option(help="Of --task groups: a group's Cayley table as CSV.", rich_help_panel=TASK)
    ] = None,
    operation: Annotated[
        str | None, Option(help="add, subtract, multiply, divide, x2+y2, ...", rich_help_panel=TASK)
    ] = None,
    p: Annotated[int | None, Option(help="Modulus.", rich_help_panel=TASK)] = None,
    train_fraction: Annotated[
        float | None, Option(help="Share of the pairs in train.", rich_help_panel=TASK)
    ] = None,
    equals_token: Annotated[bool | None, Option(help="A third token '='.", rich_help_panel=TASK)] = None,
    corrupted_fraction: Annotated[
        float | None, Option(help="Share of train labels that are wrong.", rich_help_panel=TASK)
    ] = None,
    split: Annotated[
        Literal["shuffle", "unordered", "torch"] | None,
        Option(help="How train is drawn.", rich_help_panel=TASK),
    ] = None,
    split_seed: Annotated[int | None, Option(help="Seed of the split.", rich_help_panel=TASK)] = None,
    layers: Annotated[int | None, Option(help="Blocks.", rich_help_panel=MODEL)] = None,
    d_model: Annotated[
        int | None, Option(help="Width of the residual stream.", rich_help_panel=MODEL)
    ] = None,
    heads: Annotated[
        int | None, Option(help="Attention heads; 0: an MLP without attention.", rich_help_panel=MODEL)
    ] = None,
    d_mlp: Annotated[int | None, Option(help="Neurons; 0: attention only.", rich_help_panel=MODEL)] = None,
    activation: Annotated[
        Literal["relu", "gelu", "quadratic", "tanh"] | None, Option(rich_help_panel=MODEL)
    ] = None,
    attention: Annotated[Literal["causal", "bidirectional"] | None, Option(rich_help_panel=MODEL)] = None,
    attention_rate: Annotated[
        float | None,
        Option(help="1: softmax; 0: a constant pattern (Clock and Pizza).", rich_help_panel=MODEL),
    ] = None,
    normalization: Annotated[Literal["none", "LN", "LNPre"] | None, Option(rich_help_panel=MODEL)] = None,
    tied_unembed: Annotated[bool | None, Option(help="W_U is W_E transposed.", rich_help_panel=MODEL)] = None,
    attention_bias: Annotated[bool | None, Option(rich_help_panel=MODEL)] = None,
    mlp_bias: Annotated[bool | None, Option(rich_help_panel=MODEL)] = None,
    unembed_bias: Annotated[bool | None, Option(rich_help_panel=MODEL)] = None,
    init: Annotated[Literal["nanda", "pizza", "gpt2"] | None, Option(rich_help_panel=MODEL)] = None,
    init_scale: Annotated[
        float | None, Option(help="Factor on the initial matrices.", rich_help_panel=MODEL)
    ] = None,
    optimizer: Annotated[Literal["adamw", "adam", "sgd"] | None, Option(rich_help_panel=OPTIMIZER)] = None,
    lr: Annotated[float | None, Option(help="Learning rate.", rich_help_panel=OPTIMIZER)] = None,
    weight_decay: Annotated[
        float | None, Option(help="On every parameter.", rich_help_panel=OPTIMIZER)
    ] = None,
    beta1: Annotated[float | None, Option(rich_help_panel=OPTIMIZER)] = None,
    beta2: Annotated[float | None, Option(rich_help_panel=OPTIMIZER)] = None,
    eps: Annotated[
        float | None, Option(help="Of Adam; can decide whether a run groks.", rich_help_panel=OPTIMIZER)
    ] = None,
    momentum: Annotated[float | None, Option(help="Of SGD.", rich_help_panel=OPTIMIZER)] = None,
    warmup_steps: Annotated[int | None, Option(rich_help_panel=OPTIMIZER)] = None,
    batch_size: Annotated[
        int | None, Option(help="Rows a step. [preset: all]", rich_help_panel=OPTIMIZER)
    ] = None,
    batch_seed: Annotated[int | None, Option(rich_help_panel=OPTIMIZER)] = None,
    loss_dtype: Annotated[Literal["float64", "float32"] | None, Option(rich_help_panel=OPTIMIZER)] = None,
    steps: Annotated[int | None, Option(help="Optimizer steps.", rich_help_panel=SAVING)] = None,
    seed: Annotated[int | None, Option(help="Seed of the initialization.", rich_help_panel=SAVING)] = None,
    evaluate_every: Annotated[
        int | None,
        Option(help="Steps between evaluations of test loss and accuracies.", rich_help_panel=SAVING),
    ] = None,
    save: Annotated[
        list[str] | None,
        Option(
            help="Steps to save: every:N, log:N, START-STOP:EVERY or one step; repeatable.",
            rich_help_panel=SAVING,
        ),
    ] = None,
    save_optimizer: Annotated[
        list[str] | None,
        Option(help="Steps to save with optimizer state, same forms; repeatable.", rich_help_panel=SAVING),
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
) -> None:
    """Train a run from its initialization; Ctrl-C saves, `interp resume` continues.

    Nothing that decides numbers is hidden: the whole config lies in RUN/run.json.

    Examples: interp train checkpoints/mainline --preset mainline --threads 2

    interp train runs/p59 --p 59 --train-fraction 0.4 --steps 6000 --save every:100

    interp train runs/s4 --task groups --set task.group=S4 --set optimizer.weight_decay=0.3
    """
    from interp.training.train import train as train_run

    options = {
        "task.operation": operation, "task.p": p, "task.group": group, "task.train_fraction": train_fraction,
        "task.equals_token": equals_token, "task.corrupted_fraction": corrupted_fraction, "task.split": split,
        "task.split_seed": split_seed, "model.n_layers": layers, "model.d_model": d_model, "model.n_heads": heads,
        "model.d_mlp": d_mlp, "model.act_fn": activation, "model.attention_dir": attention,
        "model.attention_rate": attention_rate, "model.normalization_type": normalization,
        "model.tied_unembed": tied_unembed, "model.attention_bias": attention_bias, "model.mlp_bias": mlp_bias,
        "model.unembed_bias": unembed_bias, "model.init": init, "model.init_scale": init_scale,
        "optimizer.name": optimizer, "optimizer.lr": lr, "optimizer.weight_decay": weight_decay,
        "optimizer.eps": eps, "optimizer.momentum": momentum, "optimizer.warmup_steps": warmup_steps,
        "optimizer.batch_size": batch_size, "optimizer.batch_seed": batch_seed, "optimizer.loss_dtype": loss_dtype,
        "seed": seed, "evaluation_interval": evaluate_every,
    }  # fmt: skip
    settings = {path: value for path, value in options.items() if value is not None}
    typed = {path: _OPTION_OF.get(path, f"--{path.split('.')[-1].replace('_', '-')}") for path in settings}
    recipe = assembled(
        preset=preset, family=task, settings=settings, typed=typed, set_texts=set or [], betas=(beta1, beta2),
        cayley_table=cayley_table, steps=steps, save=save or [], save_optimizer=save_optimizer or [],
    )  # fmt: skip
    with _told_when_stopped():
        done = train_run(recipe, run, device=device, threads=threads)
    say(f"{done.path}: {len(done.steps)} checkpoints. Next: {next_step(done)}")


# Options that are not called after their field.
_OPTION_OF = {
    "model.n_layers": "--layers",
    "model.n_heads": "--heads",
    "model.act_fn": "--activation",
    "model.attention_dir": "--attention",
    "model.normalization_type": "--normalization",
    "optimizer.name": "--optimizer",
    "evaluation_interval": "--evaluate-every",
}


def assembled(
    *,
    preset: str | None,
    family: str | None,
    settings: dict[str, Any],
    typed: dict[str, str],
    set_texts: list[str],
    betas: tuple[float | None, float | None],
    cayley_table: Path | None,
    steps: int | None,
    save: list[str],
    save_optimizer: list[str],
) -> "Recipe":
    """The recipe that the options of `interp train` describe: the preset's, then options, then `--set`.

    Raises:
        ValueError: in the words of the option that is wrong.
    """
    from interp.runs import presets
    from interp.runs.schedule import LARGEST_STEP, make_schedule
    from interp.runs.settings import value_of, with_settings

    for text in set_texts:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise ValueError(f"--set {text}: needs FIELD=VALUE, as --set task.p=59.")
        settings[path], typed[path] = value_of(value), f"--set {text}"
    n_steps = settings.pop("n_steps", steps)
    if n_steps is not None and (not isinstance(n_steps, int) or n_steps < 1):
        raise ValueError(f"{typed.get('n_steps', '--steps')}: a run needs a number of steps of at least 1.")
    if n_steps is not None and n_steps > LARGEST_STEP:
        raise ValueError(f"{typed.get('n_steps', '--steps')}: a run needs at most {LARGEST_STEP:,} steps.")
    base = presets.named(preset, family, n_steps)
    if settings.get("model.normalization_type") == "none":
        settings["model.normalization_type"] = None
    if betas != (None, None):
        kept = zip(betas, base.optimizer.betas, strict=True)
        settings.setdefault("optimizer.betas", [old if new is None else new for new, old in kept])
    if cayley_table is not None:
        from interp.mathematics.cayley_tables import read_cayley_table

        group = read_cayley_table(cayley_table)
        settings["task.cayley_table"], typed["task.cayley_table"] = group.table.tolist(), "--cayley-table"
        settings.setdefault("task.group", group.name)
    recipe = with_settings(base, settings, typed)
    if save or save_optimizer:
        recipe = replace(recipe, schedule=make_schedule(recipe.n_steps, save or [0], save_optimizer))
    return recipe


def next_step(run: "Run") -> str:
    """A command that answers something about a run of this task."""
    from interp.tasks.structure import Cyclic, FiniteGroup

    structure = run.task.structure
    if isinstance(structure, Cyclic):
        return f"interp analyse fourier {run.path}"
    if isinstance(structure, FiniteGroup):
        return f"interp analyse groups {run.path}"
    return f"interp measure {run.path}"


def resume(
    run: Annotated[Path, Argument(help="Directory of an interrupted or killed run.")],
    device: Annotated[str | None, Option(help="Default: the device that the run was started on.")] = None,
    threads: Annotated[int | None, Option(help="Default: the thread count of its start.", min=1)] = None,
) -> None:
    """Continue a run after Ctrl-C, kill or a crash, bit for bit as if it had never stopped.

    Example: interp resume runs/p59
    """
    from interp.training.train import resume as resume_run

    with _told_when_stopped():
        done = resume_run(run, device=device, threads=threads)
    say(f"{done.path}: complete, {len(done.steps)} checkpoints.")


@contextmanager
def _told_when_stopped() -> Iterator[None]:
    """After Ctrl-C: where the run stands and how to go on, which the command line framework would not say."""
    try:
        yield
    except KeyboardInterrupt as stop:
        say(f"\ninterp: {stop}", file=sys.stderr)
        raise Exit(130) from None
