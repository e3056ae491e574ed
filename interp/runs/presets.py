"""Named recipes, and variations of a recipe whose sizes follow from its task.

References: the "mainline" preset is the recipe of Nanda et al. 2023, section 3 and the released code; "s5" that of
Chughtai et al. 2023, appendix C and the released code.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from interp.networks.config import head_width, transformer_config
from interp.runs.config import OptimizerConfig, Recipe
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
        optimizer=OptimizerConfig(
            name="adamw",
            lr=1e-3,
            weight_decay=1.0,
            betas=(0.9, 0.98),
            eps=1e-8,
            momentum=0.0,
            warmup_steps=10,
            batch_size=None,
            batch_seed=0,
            loss_dtype="float64",
        ),
        n_steps=n_steps,
        schedule=own if n_steps == MAINLINE_STEPS else fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=10,
    )


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
        optimizer=OptimizerConfig(
            name="adamw",
            lr=1e-3,
            weight_decay=1.0,
            betas=(0.9, 0.98),
            eps=1e-8,
            momentum=0.0,
            warmup_steps=0,
            batch_size=None,
            batch_seed=0,
            loss_dtype="float64",
        ),
        n_steps=n_steps,
        schedule=own if n_steps == S5_STEPS else fitted_schedule(n_steps),
        seed=0,
        evaluation_interval=10,
    )  # fmt: skip


def variation(
    recipe: Recipe,
    *,
    task: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    optimizer: dict[str, Any] | None = None,
    **changes: Any,
) -> Recipe:
    """The recipe with some fields replaced, sizes that follow from the task made to fit, all checked again.

    The schedule stays, and steps that were chosen for one run miss the switch of another: `with_fitted_schedule`.

    Args:
        task, model, optimizer: fields of that part by name. The model's n_ctx, d_vocab, d_vocab_out (and d_head, where
            d_model or n_heads change) follow.

    Raises:
        ValueError: as the configs themselves do.
    """
    new_task: Any = replace(recipe.task, **(task or {}))  # type: ignore[type-var]
    fields: dict[str, Any] = {
        "n_ctx": new_task.n_pos,
        "d_vocab": new_task.n_tokens,
        "d_vocab_out": new_task.n_answers,
    }
    fields |= model or {}
    if fields.keys() & {"d_model", "n_heads"} and "d_head" not in fields:
        d_model, n_heads = (fields.get(k, getattr(recipe.model, k)) for k in ("d_model", "n_heads"))
        fields["d_head"] = head_width(d_model, n_heads)
        if not n_heads:
            fields |= {"positions": "none"}
    return replace(
        recipe,
        task=new_task,
        model=replace(recipe.model, **fields),
        optimizer=replace(recipe.optimizer, **(optimizer or {})),
        **changes,
    )


PRESETS: dict[str, Callable[..., Recipe]] = {"mainline": mainline, "s5": s5}


def named(name: str | None, family_name: str | None = None, n_steps: int | None = None) -> Recipe:
    """The preset of a name, or the first one of a family; with both, the preset with the family's task.

    A family without a preset has the first preset's network and optimizer on the family's example.

    Args:
        n_steps: its length, the preset's own by default.

    Raises:
        ValueError: if there is no such preset or family.
    """
    if name is not None and name not in PRESETS:
        raise ValueError(f"There is no preset {name!r}. There are: {', '.join(PRESETS)}.")
    length = {} if n_steps is None else {"n_steps": n_steps}
    first = next(iter(PRESETS)) if name is None else name
    recipe = PRESETS[first](**length)
    if family_name is None or recipe.task.family == family_name:
        return recipe
    others = (make for make in PRESETS.values() if make().task.family == family_name)
    of_family = next((make(**length) for make in others), None)
    if name is None and of_family is not None:
        return of_family
    task = of_family.task if of_family else family(family_name).example()
    model = replace(recipe.model, n_ctx=task.n_pos, d_vocab=task.n_tokens, d_vocab_out=task.n_answers)
    return replace(recipe, task=task, model=model)


def with_fitted_schedule(recipe: Recipe) -> Recipe:
    """The recipe as it is where it is a preset's; any other with a schedule that fits its length."""
    fitted = replace(recipe, schedule=fitted_schedule(recipe.n_steps))
    return recipe if recipe in (make() for make in PRESETS.values()) else fitted
