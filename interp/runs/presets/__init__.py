"""Named recipes, a file each, with a line here; the first of a family is what `--task` starts from."""

from collections.abc import Callable
from dataclasses import replace

from interp.runs.config import Recipe
from interp.runs.presets.barak2022 import parity_fresh
from interp.runs.presets.chughtai2023 import s5
from interp.runs.presets.digits import digits
from interp.runs.presets.induction import sequences
from interp.runs.presets.languages import languages
from interp.runs.presets.merrill2023 import parity
from interp.runs.presets.nanda2023 import mainline
from interp.runs.presets.omnigrok import images
from interp.runs.presets.varied import variation
from interp.runs.schedule import fitted_schedule
from interp.tasks.families import family

__all__ = [
    "PRESETS",
    "digits",
    "images",
    "languages",
    "mainline",
    "named",
    "parity",
    "parity_fresh",
    "s5",
    "sequences",
    "variation",
    "with_fitted_schedule",
]

PRESETS: dict[str, Callable[..., Recipe]] = {
    "mainline": mainline,
    "s5": s5,
    "parity": parity,
    "parity-fresh": parity_fresh,
    "digits": digits,
    "languages": languages,
    "images": images,
    "sequences": sequences,
}


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
