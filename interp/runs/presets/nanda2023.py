"""Modular addition as in Nanda et al. 2023."""

from interp.networks.config import transformer_config
from interp.runs.config import Recipe
from interp.runs.presets.optimizers import ADAMW
from interp.runs.schedule import fitted_schedule, make_schedule
from interp.tasks.families import family

# Dense where test accuracy rises, sparse elsewhere; chosen after a run of 20,000 steps saved every 100 (docs/log.md).
# Optimizer state before memorization ends, in mid circuit formation, just before and just after cleanup.
MAINLINE_SAVE = (
    "0-300:100", "500", "1000-1400:200", "2000-4000:500", "4300", "4600-6400:100", "6700", "7000-8000:500",
)  # fmt: skip
MAINLINE_SAVE_OPTIMIZER = ("100", "2500", "4500", "8000")
MAINLINE_STEPS = 10_000


def mainline(n_steps: int = MAINLINE_STEPS) -> Recipe:
    """The mainline of Nanda et al. 2023: addition mod 113, 30 % train, one layer, weight decay 1, seeds 0 and 0.

    Of another length its schedule is a fitted one.

    References: Nanda et al. 2023, section 3 and the released code (progress-measures-paper).
    """
    task = family("modular").example()
    own = make_schedule(MAINLINE_STEPS, MAINLINE_SAVE, MAINLINE_SAVE_OPTIMIZER)
    return Recipe(
        task=task,
        model=transformer_config(
            p=113, n_ctx=3, d_vocab=114, n_layers=1, d_model=128, n_heads=4, d_mlp=512, act_fn="relu"
        ),
        optimizer=ADAMW,
        n_steps=n_steps,
        schedule=own if n_steps == MAINLINE_STEPS else fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=10,
    )
