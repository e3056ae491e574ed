"""The config of runs that take a second, and what a child process does with one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from interp.networks.config import transformer_config
from interp.runs.config import OptimizerConfig, RunConfig
from interp.runs.presets import s5, variation
from interp.runs.run import Run
from interp.runs.schedule import make_schedule
from interp.tasks.modular import ModularConfig
from interp.training.train import resume, train


def tiny_config(
    n_steps: int = 300,
    *,
    task: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    optimizer: dict[str, Any] | None = None,
    **changes: Any,
) -> RunConfig:
    """The mainline's recipe at p=11 and 300 steps; any field by name, those of its parts through their dicts."""
    task_config = ModularConfig(
        **{
            "operation": "add",
            "p": 11,
            "train_fraction": 0.5,
            "equals_token": True,
            "separate_vocabularies": False,
            "corrupted_fraction": 0.0,
            "split": "shuffle",
            "split_seed": 0,
        }
        | (task or {})
    )
    sizes = {"n_layers": 1, "d_model": 16, "n_heads": 2, "d_mlp": 32, "act_fn": "relu"} | (model or {})
    model_config = transformer_config(
        p=task_config.p, n_ctx=task_config.n_pos, d_vocab=task_config.n_tokens, **sizes
    )
    optimizer_config = OptimizerConfig(
        **{
            "name": "adamw",
            "lr": 1e-2,
            "weight_decay": 0.5,
            "betas": (0.9, 0.98),
            "eps": 1e-8,
            "momentum": 0.0,
            "warmup_steps": 10,
            "batch_size": None,
            "batch_seed": 0,
            "loss_dtype": "float64",
        }
        | (optimizer or {})
    )
    fields = {
        "n_steps": n_steps,
        "schedule": make_schedule(n_steps, ["every:50"], [s for s in (100, 200) if s <= n_steps]),
        "seed": 0,
        "evaluation_interval": 10,
    } | changes
    return RunConfig(task=task_config, model=model_config, optimizer=optimizer_config, **fields)


def train_in_process(
    path: Path, config: RunConfig, seconds_between_states: float, largest_file: int | None
) -> None:
    """What a child process runs: train, or resume where a run is there already; how it ended stands in a file.

    Args:
        largest_file: bytes that a file may have, as on a disk that is full beyond them.
    """
    from interp.training import member

    member.SECONDS_BETWEEN_STATES = seconds_between_states
    if largest_file is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    ended = "complete"
    try:
        if (path / "run.json").exists():
            resume(path)
        else:
            train(config, path, threads=1)
    except BaseException as error:
        ended = f"{type(error).__name__}: {error}"
    path.with_suffix(".ended").write_text(ended, encoding="utf-8")


def tiny_group_run(path: Path) -> Run:
    """A run of 20 steps on S3, too short to learn anything."""
    recipe = variation(
        s5(20),
        task={"group": "S3", "train_fraction": 0.5},
        model={"d_model": 8, "d_mlp": 8},
        evaluation_interval=5,
    )
    recipe = replace(recipe, schedule=replace(recipe.schedule, steps=(0, 10, 20), optimizer_steps=()))
    return train(recipe, path, threads=1)
