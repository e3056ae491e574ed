"""Sparse parity of fresh rows, as in Barak et al. 2022."""

from dataclasses import replace
from typing import Any

from interp.networks.feature_mlps import features_mlp
from interp.runs.config import Recipe
from interp.runs.presets.optimizers import SGD
from interp.runs.schedule import fitted_schedule, make_schedule
from interp.tasks.families import family

FRESH_STEPS = 3000


def parity_fresh(n_steps: int = FRESH_STEPS) -> Recipe:
    """(30, 3)-parity of new rows at every step: one hidden layer of 128 ReLUs, hinge loss, SGD in batches of 32.

    No row is seen twice, so that nothing can be memorized: loss and accuracy stand still for a thousand steps all the
    same, and jump. In the grid of the paper but for its width, which there is 10, 100 or 1000; chosen here for its
    length. The 500 train rows are for evaluation only.

    References: Barak et al. 2022, "Hidden progress in deep learning", section 3 (n of 10, 20, 30, k of 2, 3, 4, batches
    of 1 to 1024, hinge, squared error and cross-entropy, learning rates of 0.001 to 1, fresh rows).
    """
    task: Any = family("parity").example()
    return Recipe(
        task=replace(task, n_bits=30, k=3, n_train=500, n_test=500),
        model=features_mlp(n_features=30, n_outputs=2, d_mlp=128, unembed_bias=False),
        optimizer=replace(SGD, weight_decay=0.0, fresh=True),
        n_steps=n_steps,
        schedule=make_schedule(FRESH_STEPS, ["every:50"], ["500", "1500"])
        if n_steps == FRESH_STEPS
        else fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=10,
    )
