"""`interp train`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from interp.commands.wording import errors_as_typed
from interp.ground.plain_text import number_of, say, shown, visible

if TYPE_CHECKING:
    from interp.runs.config import Recipe
    from interp.runs.run import Run
    from interp.training.loop import Told

Device = Annotated[str, Option(help="cpu, cuda or mps; recorded.")]
Threads = Annotated[
    int | None,
    Option(
        help="CPU threads; recorded, as equal numbers need equal threads. [default: torch's]", min=1, max=1024
    ),
]

Forecast = Annotated[
    bool,
    Option(
        "--forecast", help="Show beside the losses when the run will generalise, if it does: interp forecast."
    ),
]

TASK, MODEL, OPTIMIZER, SAVING = "Task", "Network", "Optimizer", "Length and saving"


def train(
    run: Annotated[Path, Argument(help="New or empty directory for the run.")],
    preset: Annotated[
        str | None,
        Option(
            help="Every value that no option below changes. mainline: addition mod 113 of Nanda et al. 2023; s5: "
            "composition of permutations of Chughtai et al. 2023; parity: sparse parity of Merrill et al. 2023; "
            "parity-fresh: of new rows at every step, Barak et al. 2022; digits: sums of three-digit numbers; "
            "languages: the same addition in two languages; images: 8 x 8 pixels as in Liu et al. 2023; sequences: "
            "repeated random tokens, which induction heads continue. "
            "[default: the first of the task's family, mainline without --task]"
        ),
    ] = None,
    task: Annotated[
        str | None,
        Option(
            help="Family of tasks: modular, groups, parity, digits, languages, images, sequences. "
            "[default: the preset's]",
            rich_help_panel=TASK,
        ),
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
            help="Steps to save: every:N, log:N, START-STOP:EVERY or one step; repeatable. [default: those of the "
            "preset where nothing else is changed, otherwise as many as bracket a switch within 5 % of its step]",
            rich_help_panel=SAVING,
        ),
    ] = None,
    save_optimizer: Annotated[
        list[str] | None,
        Option(help="Steps to save with optimizer state, same forms; repeatable.", rich_help_panel=SAVING),
    ] = None,
    device: Device = "cpu",
    threads: Threads = None,
    forecast: Forecast = False,
) -> None:
    """Train a run from its initialization; Ctrl-C saves, `interp resume` continues.

    Nothing that decides numbers is hidden: the whole config lies in RUN/run.json.

    Examples: interp train checkpoints/mainline --preset mainline --threads 2

    interp train runs/p59 --p 59 --train-fraction 0.4 --steps 6000

    interp train runs/s4 --task groups --set task.group=S4 --set optimizer.weight_decay=0.3
    """
    # Before anything else is a local variable: the options by name.
    given = locals()

    from interp.training.train import check_start
    from interp.training.train import train as train_run

    settings = {path: given[name] for name, path in FIELD_OF.items() if given[name] is not None}
    typed = {path: option_of(name) for name, path in FIELD_OF.items() if path in settings}
    set_paths = [text.partition("=")[0] for text in set or []]
    set_options = {path.rpartition(".")[-1]: f"--set {path}" for path in set_paths if path}
    with errors_as_typed(OPTIONS | set_options):
        recipe = assembled(
            preset=preset, family=task, settings=settings, typed=typed, set_texts=set or [], betas=(beta1, beta2),
            cayley_table=cayley_table, steps=steps, save=save or [], save_optimizer=save_optimizer or [],
        )  # fmt: skip
    told = live_forecast(forecast, is_fresh=recipe.optimizer.fresh)
    check_start(recipe, run, device)
    say(f"{run}: {planned(recipe)}", flush=True)
    done = train_run(recipe, run, device=device, threads=threads, told=told)
    say(f"{done.path}: {number_of(len(done.steps), 'checkpoint')}. Next:")
    for command in next_steps(done):
        say(f"  {command}")


# The field that each option of `interp train` sets, by the option's name.
FIELD_OF = {
    "operation": "task.operation", "p": "task.p", "group": "task.group", "train_fraction": "task.train_fraction",
    "equals_token": "task.equals_token", "corrupted_fraction": "task.corrupted_fraction", "split": "task.split",
    "split_seed": "task.split_seed", "layers": "model.n_layers", "d_model": "model.d_model", "heads": "model.n_heads",
    "d_mlp": "model.d_mlp", "activation": "model.act_fn", "attention": "model.attention_dir",
    "attention_rate": "model.attention_rate", "normalization": "model.normalization_type",
    "tied_unembed": "model.tied_unembed", "attention_bias": "model.attention_bias", "mlp_bias": "model.mlp_bias",
    "unembed_bias": "model.unembed_bias", "init": "model.init", "init_scale": "model.init_scale",
    "optimizer": "optimizer.name", "lr": "optimizer.lr", "weight_decay": "optimizer.weight_decay",
    "eps": "optimizer.eps", "momentum": "optimizer.momentum", "warmup_steps": "optimizer.warmup_steps",
    "batch_size": "optimizer.batch_size", "batch_seed": "optimizer.batch_seed",
    "loss_dtype": "optimizer.loss_dtype", "seed": "seed", "evaluate_every": "evaluation_interval",
}  # fmt: skip


def option_of(name: str) -> str:
    """The option as it is typed."""
    return f"--{name.replace('_', '-')}"


# By the last part of the field, as errors of configs name it.
OPTIONS = {path.rpartition(".")[-1]: option_of(name) for name, path in FIELD_OF.items()} | {
    "n_steps": "--steps",
    "checkpoint_steps": "--save",
    "betas": "--beta1 and --beta2",
    "optimizer_steps": "--save-optimizer",
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
    from interp.runs.settings import setting, with_settings

    for text in set_texts:
        path, value = setting(text)
        settings[path], typed[path] = value, f"--set {text}"
    for path, value in settings.items():
        if isinstance(value, str) and visible(value) != value:
            raise ValueError(f"{typed[path]} needs a name, got {shown(value)}.")
    n_steps = settings.pop("n_steps", steps)
    if n_steps is not None and (type(n_steps) is not int or n_steps < 1):
        raise ValueError(
            f"{typed.get('n_steps', '--steps')}: a run needs a number of steps of at least 1, got {n_steps}."
        )
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

        try:
            group = read_cayley_table(cayley_table)
        except ValueError as error:
            raise ValueError(f"--cayley-table: {visible(str(error))}") from error
        settings["task.cayley_table"], typed["task.cayley_table"] = group.table.tolist(), "--cayley-table"
        settings.setdefault("task.group", group.name)
    recipe = with_settings(base, settings, typed)
    if save or save_optimizer:
        return replace(recipe, schedule=make_schedule(recipe.n_steps, save or [0], save_optimizer))
    is_set = any(path.partition(".")[0] == "schedule" for path in settings)
    return recipe if is_set else presets.with_fitted_schedule(recipe)


def live_forecast(is_forecast: bool, *, is_fresh: bool) -> "Told | None":
    """What the display of training shows beside the losses.

    Raises:
        ValueError: if a forecast is asked for of a run that sees fresh rows at every step.
    """
    if not is_forecast:
        return None
    if is_fresh:
        raise ValueError(
            "A run that sees fresh rows at every step memorizes none, and forecasts were learned from runs that do. "
            "Leave out --forecast, or set optimizer.fresh=false."
        )
    from interp.theories.forecaster import live, read_forecaster

    return live(read_forecaster())


def planned(recipe: "Recipe") -> str:
    """What a run will be, before it starts: its task and length, how much it saves, and how much disk that is."""
    from interp.training.sizes import saved_bytes

    n_saved, n_states = len(recipe.schedule.steps), len(recipe.schedule.optimizer_steps)
    return (
        f"{recipe.task.description}, {number_of(recipe.n_steps, 'step')}. Saves {number_of(n_saved, 'checkpoint')}, "
        f"{n_states or 'none'} of them with the optimizer's state: {saved_bytes(recipe) / 1e6:.3g} MB."
    )


def next_steps(run: "Run") -> list[str]:
    """Commands that answer something about a run of this task."""
    from shlex import quote

    from interp import analyses
    from interp.tasks.structure import Cyclic

    path, family = quote(str(run.path)), run.task.config.family
    if isinstance(run.task.structure, Cyclic):
        question = "fourier"
    else:
        question = family if family in analyses.__all__ else "weight_norms"
    return [f"interp info {path}", f"interp analyse {question} {path}"]
