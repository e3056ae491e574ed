"""Composition in S5 as in Chughtai et al. 2023."""

from dataclasses import replace

from interp.networks.config import transformer_config
from interp.runs.config import Recipe
from interp.runs.presets.optimizers import ADAMW
from interp.runs.schedule import fitted_schedule, make_schedule
from interp.tasks.families import family

S5_STEPS = 250_000


def s5(n_steps: int = S5_STEPS) -> Recipe:
    """The one-hidden-layer network of Chughtai et al. 2023 on S5: 40 % train, weight decay 1, seeds 0 and 0.

    Two embeddings of 256, 128 ReLUs, no biases. Every matrix starts as N(0, 1/fan-in), as theirs: for an attention-free
    MLP `init` makes no difference. Hours on a CPU, and a tenth of it on smaller widths (docs/groups.md). Of another
    length its schedule is a fitted one.

    References: Chughtai et al. 2023, appendix C and the released code (rep-theory-mech-interp): no warm-up, 250,000
    steps.
    """
    task = family("groups").example()
    assert task.n_answers == 120 and task.n_pos == 2
    own = make_schedule(S5_STEPS, ["log:60", "every:5000"], [])
    return Recipe(
        task=task,
        model=transformer_config(
            p=task.n_answers, n_ctx=task.n_pos, d_vocab=task.n_tokens, n_layers=1, d_model=256, n_heads=0, d_mlp=128,
            act_fn="relu", mlp_bias=False,
        ),
        optimizer=replace(ADAMW, warmup_steps=0),
        n_steps=n_steps,
        schedule=own if n_steps == S5_STEPS else fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=10,
    )  # fmt: skip
