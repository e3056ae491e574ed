"""Induction heads on repeated random tokens, as in Olsson et al. 2022 and Nanda et al. 2023."""

from dataclasses import replace
from typing import Any

from interp.networks.config import transformer_config
from interp.runs.config import Recipe
from interp.runs.presets.optimizers import ADAMW
from interp.runs.schedule import fitted_schedule
from interp.tasks.families import family

SEQUENCES_STEPS = 1500


def sequences(n_steps: int = SEQUENCES_STEPS) -> Recipe:
    """Ten tokens three times in rows of 40 of 64 tokens, fresh at every step: two layers of attention, no MLP.

    Smaller than theirs (16 tokens three times in rows of 85 of 128 tokens, four batches of 128), and with a higher
    learning rate and less weight decay (theirs 1e-3 and 1), so that it takes a minute of processor time.

    References: Nanda et al. 2023, on other tasks, and the released code (two layers, d_model 48, four heads).
    """
    example: Any = family("sequences").example()
    task = replace(example, vocabulary=64, n_train=64, n_test=64)
    return Recipe(
        task=task,
        model=transformer_config(
            p=task.n_answers, n_ctx=task.n_pos, d_vocab=task.n_tokens, n_layers=2, d_model=48, n_heads=4, d_mlp=0,
            act_fn="relu",
        ),
        optimizer=replace(ADAMW, lr=4e-3, weight_decay=0.1, batch_size=32, fresh=True),
        n_steps=n_steps,
        schedule=fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=25,
    )  # fmt: skip
