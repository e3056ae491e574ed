"""`interp train` and `interp resume`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Exit, Option

Device = Annotated[str, Option(help="cpu, cuda or mps; recorded.")]
Threads = Annotated[
    int | None,
    Option(help="CPU threads; recorded, as equal numbers need equal threads. [default: torch's]", min=1),
]

TASK, MODEL, OPTIMIZER, SAVING = "Task", "Network", "Optimizer", "Length and saving"


def train(
    run: Annotated[Path, Argument(help="New or empty directory for the run.")],
    preset: Annotated[
        Literal["mainline"],
        Option(
            help="Every value that no option below changes. mainline: addition mod 113 of Nanda et al. 2023."
        ),
    ],
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

    interp train runs/p59 --preset mainline --p 59 --train-fraction 0.4 --steps 6000 --save every:100
    """
    from interp.runs import presets
    from interp.runs.schedule import make_schedule
    from interp.training.train import train as train_run

    base = presets.mainline() if steps is None else presets.mainline(steps)
    betas = None
    if beta1 is not None or beta2 is not None:
        assert base.optimizer is not None
        betas = tuple(
            new if new is not None else old
            for new, old in zip((beta1, beta2), base.optimizer.betas, strict=True)
        )
    assert base.n_steps is not None
    normalized = {}  # "none" is a value too, unlike an option that was not given
    if normalization is not None:
        normalized = {"normalization_type": None if normalization == "none" else normalization}
    config = presets.variation(
        base,
        task=_given(
            operation=operation, p=p, train_fraction=train_fraction, equals_token=equals_token,
            corrupted_fraction=corrupted_fraction, split=split, split_seed=split_seed,
        ),
        model=_given(
            n_layers=layers, d_model=d_model, n_heads=heads, d_mlp=d_mlp, act_fn=activation, attention_dir=attention,
            attention_rate=attention_rate, tied_unembed=tied_unembed, attention_bias=attention_bias, mlp_bias=mlp_bias,
            unembed_bias=unembed_bias, init=init, init_scale=init_scale,
        ) | normalized,
        optimizer=_given(
            name=optimizer, lr=lr, weight_decay=weight_decay, betas=betas, eps=eps, momentum=momentum,
            warmup_steps=warmup_steps, batch_size=batch_size, batch_seed=batch_seed, loss_dtype=loss_dtype,
        ),
        **_given(
            seed=seed,
            evaluation_interval=evaluate_every,
            schedule=make_schedule(base.n_steps, save or [0], save_optimizer or []) if save or save_optimizer else None,
        ),
    )  # fmt: skip
    with _told_when_stopped():
        done = train_run(config, run, device=device, threads=threads)
    print(f"{done.path}: {len(done.steps)} checkpoints. Next: interp analyse fourier {done.path}")


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
    print(f"{done.path}: complete, {len(done.steps)} checkpoints.")


@contextmanager
def _told_when_stopped() -> Iterator[None]:
    """After Ctrl-C: where the run stands and how to go on, which the command line framework would not say."""
    try:
        yield
    except KeyboardInterrupt as stop:
        print(f"\ninterp: {stop}", file=sys.stderr)
        raise Exit(130) from None


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
