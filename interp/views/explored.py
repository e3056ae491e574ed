"""What the page to scrub through runs is made of: runs -> plain data, tables and quantised arrays.

>>> from interp.report.explorer.page import page                               # doctest: +SKIP
>>> html = page(explored([interp.open_run("checkpoints/mainline")]))          # doctest: +SKIP
"""

from collections.abc import Mapping, Sequence
from typing import Any

from interp.analyses.weight_norms import shown_weights
from interp.figures import style
from interp.figures.colours import N_LINES, frequency_lines, line_of
from interp.figures.norms import matrix_names
from interp.figures.phases import PHASE_COLOURS
from interp.figures.spectra import MATRIX_LINES
from interp.ground.memory import check_memory
from interp.runs.run import Run
from interp.tables.key_representations import followed_representations
from interp.views.along import along
from interp.views.page_lines import page_line
from interp.views.steps_shown import steps_shown
from interp.views.stills import stills
from interp.views.story import notes, phase_words, story, what

# Of a frequency that is not followed.
OTHER = "#8a8a8a"
# Tables of all logits in single precision that are held at the most: 8.3 at p = 499.
LOGITS_AT_ONCE = 8


def explored(
    runs: Sequence[Run],
    *,
    sources: Sequence[str] | None = None,
    trials: Sequence[Mapping[str, Any] | None] | None = None,
    stated: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """What `interp.report.explorer.page.page` shows of one run, or of several side by side.

    Damaged checkpoints are left out and named; of very many checkpoints some are shown.

    Args:
        sources: what `interp.open_run` takes to open each; their paths, if None.
        trials: of each run what its trial says, or None.
        stated: what else `interp.open_run` was told of each, by argument: the page's Python says it too.

    Raises:
        ValueError: if there is no run, or one without a checkpoint that can be read.
    """
    if not runs:
        raise ValueError("explored needs a run, got none.")
    told = [
        _of_run(run, source, trial, stated or {}, device)
        for run, source, trial in zip(
            runs, sources or [str(run.path) for run in runs], trials or [None] * len(runs), strict=True
        )
    ]
    return {
        "title": " beside ".join(one["name"] for one in told) + ", step by step",
        "colours": {
            "split": {"train": style.TRAIN, "test": style.TEST, "all": style.BLACK},
            "phase": PHASE_COLOURS,
            "frequency": {
                str(k): page_line(line)
                for k, line in frequency_lines(k for one in told for k in one["followed"]).items()
            },
            "matrix": {name: page_line(line) for name, line in MATRIX_LINES.items()},
            "nth": [page_line(line_of(i)) for i in range(N_LINES)],
            "palette": list(style.PALETTE),
            "other": OTHER,
        },
        "runs": told,
    }


def check_size(run: Run) -> None:
    """Refuse a task whose logits over all inputs, of which probes hold several at once, fit into no memory here.

    Raises:
        ValueError: with the memory that is needed and that there is.
    """
    if run.config.task is None:
        return
    task = run.task
    n_inputs, n_answers = len(task.inputs), task.config.n_answers
    check_memory(
        LOGITS_AT_ONCE * 4 * n_inputs * n_answers,
        f"A page of {n_inputs} inputs with {n_answers} answers each",
    )


def _of_run(
    run: Run, source: str, trial: Mapping[str, Any] | None, stated: Mapping[str, Any], device: str
) -> dict[str, Any]:
    check_size(run)
    chosen = steps_shown(run)
    found = along(run, chosen, device)
    drawn = stills(run, found, device)
    weights = found.tables["weight_norms"]
    names, chosen_by = (
        followed_representations(found.tables) if "character_similarity" in found.tables else ([], "")
    )
    return {
        "name": run.name,
        "source": source,
        "opens": f"interp.open_run({', '.join([repr(source), *(f'{k}={v!r}' for k, v in stated.items())])})",
        "what": what(run),
        "steps": found.steps,
        "phases": phase_words(found.phases),
        "keys": {"hindsight": found.keys, "leak-free": [found.keys_at(step) for step in found.steps]},
        "followed": found.followed,
        "matrices": matrix_names(shown_weights(weights)) if len(weights) else {},
        "chosen_by": found.chosen_by,
        "representations": {"followed": names, "chosen_by": chosen_by},
        "unit": run.unit,
        "story": story(found, run.unit),
        "notes": [*notes(run, found), *drawn.notes],
        "does_not_apply": found.reasons | drawn.reasons,
        **drawn.about,
        "tables": {**found.tables, **drawn.tables, **(trial or {}).get("tables", {})},
        "arrays": drawn.arrays,
        "trial": trial and {name: value for name, value in trial.items() if name != "tables"},
    }
