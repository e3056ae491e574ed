"""The same addition in two languages, of which one is only translated."""

from interp.networks.config import transformer_config
from interp.runs.config import Recipe
from interp.runs.presets.optimizers import ADAMW
from interp.runs.schedule import fitted_schedule
from interp.tasks.families import family


def languages(n_steps: int = 3000) -> Recipe:
    """Addition mod 23 in A, no fact of B: its numbers and half of the sentences are translated, both ways.

    One layer, 4 heads, 128 ReLUs, weight decay 1, as the mainline but narrower. The settings were found by trial
    (docs/log.md): with the numbers alone translated nothing crosses over, and with other seeds less does.
    """
    task = family("languages").example()
    return Recipe(
        task=task,
        model=transformer_config(
            p=task.n_answers, n_ctx=task.n_pos, d_vocab=task.n_tokens, n_layers=1, d_model=64, n_heads=4, d_mlp=128,
            act_fn="relu",
        ),
        optimizer=ADAMW,
        n_steps=n_steps,
        schedule=fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=10,
    )  # fmt: skip
