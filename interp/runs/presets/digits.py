"""Sums of numbers of several digits, from memorizing to adding."""

from dataclasses import replace

from interp.networks.config import transformer_config
from interp.runs.config import Recipe
from interp.runs.presets.optimizers import ADAMW
from interp.runs.schedule import fitted_schedule
from interp.tasks.families import family


def digits(n_steps: int = 2000) -> Recipe:
    """Sums of three-digit numbers, least significant digit first, of 340 rows: a transformer of one layer, width 48.

    Few rows, so that it memorizes long before it adds. How long depends on the seed much: with seed 0 to step 1320,
    with two others beyond 2000 (docs/digits.md). A higher learning rate than usual, to be short.
    """
    task = family("digits").example()
    return Recipe(
        task=task,
        model=transformer_config(
            p=task.n_answers, n_ctx=task.n_pos, d_vocab=task.n_tokens, n_layers=1, d_model=48, n_heads=4, d_mlp=128,
            act_fn="relu",
        ),
        optimizer=replace(ADAMW, lr=3e-3),
        n_steps=n_steps,
        schedule=fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=20,
    )  # fmt: skip
