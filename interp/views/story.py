"""The story of a run in sentences, its steps as words that move the page there."""

from collections.abc import Mapping
from typing import Any

from interp.ground.plain_text import number_of
from interp.runs.run import Run
from interp.tables.transitions import Transition
from interp.views.along import Along

Sentence = list[str | dict[str, Any]]

NAMES = {
    "memorization": "memorization", "circuit_formation": "circuit formation", "cleanup": "cleanup",
    "cleanup_end": "end of cleanup", "grokking": "grokking",
}  # fmt: skip


def phase_words(found: Mapping[str, Transition]) -> dict[str, dict[str, Any]]:
    """Phases as the page holds them, each said with its bracket."""
    return {
        name: {"before": one.before, "step": one.step, "said": f"{NAMES[name]}: {_bracket(one)}"}
        for name, one in found.items()
    }


def _bracket(one: Transition) -> str:
    if one.step is None:
        return "not known" if one.before is None else f"not by step {one.before}"
    return f"by step {one.step}" if one.before is None else f"{one.before} to {one.step}"


def _to(text: str, step: int) -> dict[str, Any]:
    return {"text": text, "step": step}


def what(run: Run) -> str:
    """The run in a line: task, network, checkpoints."""
    config = run.config
    parts = [config.task.description if config.task else "no task that grokscope knows"]
    if config.model is not None:
        model = config.model
        parts.append(f"{number_of(model.n_layers, 'layer')}, d_model {model.d_model}")
    parts.append(number_of(len(run.steps), "checkpoint"))
    return "; ".join(parts)


def story(found: Along) -> list[Sentence]:
    return []


def notes(run: Run, found: Along) -> list[str]:
    """What a reader has to know of what is not shown."""
    said = []
    n_shown = len(found.steps) + len(found.damaged)
    if n_shown < len(run.steps):
        said.append(
            f"{n_shown} of {len(run.steps)} checkpoints are shown, more of them around memorization and grokking; brackets are theirs, and wider than those of all."
        )
    for step, why in found.damaged.items():
        said.append(f"Step {step} is left out: {why}")
    return said
