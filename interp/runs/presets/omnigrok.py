"""Grokking on images as in Liu, Michaud and Tegmark 2023 ("Omnigrok")."""

from dataclasses import replace

from interp.networks.feature_mlps import features_mlp
from interp.runs.config import Recipe
from interp.runs.presets.optimizers import ADAMW
from interp.runs.schedule import fitted_schedule
from interp.tasks.families import family


def images(n_steps: int = 6_000) -> Recipe:
    """500 images, two hidden layers of 200 ReLUs that start several times too large, squared error, AdamW.

    Theirs are 1000 of MNIST, and scale biases too, which start at 0 here; learning rate and weight decay are 1e-3 and
    0.01 there and 100,000 steps, here 3e-3 and 0.1, to be short.

    References: Liu et al. 2023, section 4 and appendix A; the released code (mnist-grokking.ipynb: 1000 images of
    MNIST, alpha 8, batches of 200).
    """
    task = family("images").example()
    return Recipe(
        task=task,
        model=features_mlp(
            n_features=task.n_pos, n_outputs=task.n_answers, d_mlp=200, n_layers=2, init_scale=4.6
        ),
        optimizer=replace(
            ADAMW,
            lr=3e-3,
            weight_decay=0.1,
            betas=(0.9, 0.999),
            warmup_steps=0,
            batch_size=200,
            loss_dtype="float32",
            loss="squared-error",
        ),
        n_steps=n_steps,
        schedule=fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=50,
    )
