"""Variations of a recipe, whose sizes follow from its task."""

from dataclasses import replace
from typing import Any

from interp.networks.config import head_width
from interp.runs.config import Recipe


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
