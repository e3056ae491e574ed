"""Sparse parity as in Merrill et al. 2023."""

from interp.networks.feature_mlps import features_mlp
from interp.runs.config import OptimizerConfig, Recipe
from interp.runs.schedule import fitted_schedule
from interp.tasks.families import family


def parity(n_steps: int = 20_000) -> Recipe:
    """(40, 3)-parity of 1000 rows: one hidden layer of 1000 ReLUs, hinge loss, SGD in mini-batches of 32.

    Two outputs whose difference is the paper's f(x).

    References: Merrill et al. 2023, section 2 (learning rate 0.1, weight decay 0.01).
    """
    return Recipe(
        task=family("parity").example(),
        model=features_mlp(n_features=40, n_outputs=2, d_mlp=1000),
        optimizer=OptimizerConfig(
            name="sgd",
            lr=0.1,
            weight_decay=0.01,
            betas=(0.9, 0.98),
            eps=1e-8,
            momentum=0.0,
            warmup_steps=0,
            batch_size=32,
            batch_seed=0,
            loss_dtype="float64",
            loss="hinge",
        ),
        n_steps=n_steps,
        schedule=fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=50,
    )
