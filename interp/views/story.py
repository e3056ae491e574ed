"""The story of a run in sentences, its steps as words that move the page there."""

from collections.abc import Mapping
from typing import Any

from interp.ground.plain_text import listed, number_of, several
from interp.runs.run import Run
from interp.tables.brackets_said import bracket_text
from interp.tables.outcome import Outcome
from interp.tables.transitions import Transition, delay, precedes
from interp.theories.forecast import TEST_LOSS
from interp.theories.forecaster import in_words, read_forecaster, unlike
from interp.views.along import Along

Sentence = list[str | dict[str, Any]]

NAMES = {
    "memorization": "memorization", "circuit_formation": "circuit formation", "cleanup": "cleanup",
    "cleanup_end": "end of cleanup", "grokking": "grokking", "collapse": "collapse",
}  # fmt: skip


def phase_words(found: Mapping[str, Transition]) -> dict[str, dict[str, Any]]:
    """Phases as the page holds them, each said with its bracket."""
    return {
        name: {"before": one.before, "step": one.step, "said": f"{NAMES[name]}: {bracket_text(one)}"}
        for name, one in found.items()
    }


def _to(text: str, step: int) -> dict[str, Any]:
    return {"text": text, "step": step}


def _row(text: str, table: str, **rows: Any) -> dict[str, Any]:
    """A number that leads to its row: the first of a table whose columns have these values."""
    return {"text": text, "table": table, "rows": rows}


def what(run: Run) -> str:
    """The run in a line: task, network, checkpoints."""
    config = run.config
    parts = [config.task.description if config.task else "no task that grokscope knows"]
    if config.model is not None:
        model = config.model
        parts.append(f"{number_of(model.n_layers, 'layer')}, d_model {model.d_model}")
    parts.append(number_of(len(run.steps), "checkpoint"))
    return "; ".join(parts)


def story(found: Along, unit: str = "step") -> list[Sentence]:
    """What happened, in sentences whose steps lead there; each moment with its bracket.

    Args:
        unit: what a step counts.
    """
    told: list[Sentence] = [
        _answers(found.phases, found.ended, unit),
        *_collapse(found.phases, unit),
        *_circuit(found.phases, unit),
        *_frequencies(found, unit),
    ]
    if (then := _forecast(found, unit)) is not None:
        told.append(then)
    return told


def _span(one: Transition, unit: str) -> Sentence:
    assert one.step is not None
    if one.before is None:
        return [f"by {unit} ", _to(f"{one.step:,}", one.step)]
    return [
        f"between {several(unit)} ",
        _to(f"{one.before:,}", one.before),
        " and ",
        _to(f"{one.step:,}", one.step),
    ]


def _answers(phases: Mapping[str, Transition], ended: Outcome, unit: str) -> Sentence:
    memorized, grokked = phases.get("memorization"), phases.get("grokking")
    has_memorized = memorized is not None and memorized.step is not None
    if grokked is None or grokked.step is None:
        first: Sentence = (
            ["The run memorizes ", *_span(memorized, unit), ". "] if has_memorized and memorized else []
        )
        return [*first, ended.told(unit), " "]
    if not has_memorized or memorized is None:
        return [ended.told(unit), " "]
    return [
        "The run memorizes ",
        *_span(memorized, unit),
        " and generalises ",
        *_span(grokked, unit),
        f": {_later(memorized, grokked, unit)}. ",
    ]


def _collapse(phases: Mapping[str, Transition], unit: str) -> list[Sentence]:
    one = phases.get("collapse")
    if one is None or one.step is None:
        return []
    return [["What it had learned collapses ", *_span(one, unit), ". "]]


def _later(memorized: Transition, grokked: Transition, unit: str) -> str:
    """How long after memorization a run generalises, as far as the brackets tell."""
    is_first = precedes(memorized, grokked)
    if is_first is None:
        return "which of them came first the brackets leave open"
    between = delay(memorized, grokked) if is_first else delay(grokked, memorized)
    return f"{between.low:,} to {between.high:,} {several(unit)} {'later' if is_first else 'earlier'}"


def _circuit(phases: Mapping[str, Transition], unit: str) -> list[Sentence]:
    told: list[Sentence] = []
    for name, says in (
        ("circuit_formation", "Circuit formation begins "),
        ("cleanup", "Cleanup begins "),
        ("cleanup_end", "Cleanup ends "),
    ):
        one = phases.get(name)
        if one is None or (one.step is None and one.before is None):
            continue
        if one.step is None:
            told.append(
                [f"{NAMES[name][0].upper()}{NAMES[name][1:]} does not come by {unit} {one.before:,}. "]
            )
        else:
            told.append([says, *_span(one, unit), ". "])
    return told


def _frequencies(found: Along, unit: str) -> list[Sentence]:
    """The key frequencies, and how much of the logits they explain at the end and where the run generalises."""
    if not found.keys:
        return [[f"It has no key frequencies; in colour: {found.chosen_by}. "]] if found.followed else []
    spectrum = found.tables["logit_spectrum"]
    of_keys = spectrum[spectrum["frequency"].isin(found.keys)]
    share = of_keys.groupby("step")["fraction_explained"].sum()
    last = found.steps[-1]
    strongest = of_keys[of_keys["step"] == last].sort_values("fraction_explained", ascending=False)[
        "frequency"
    ]
    names = [str(int(k)) for k in strongest]
    many = "frequency" if len(names) == 1 else "frequencies"

    def explained(step: int) -> dict[str, Any]:
        return _row(f"{share[step]:.2f}", "clock", step=step, keys="hindsight")

    told: Sentence = [
        f"It answers through the {many} {listed(names)}, which explain ",
        explained(last),
        f" of its logits at {unit} ",
        _to(f"{last:,}", last),
    ]
    grokked = found.phases.get("grokking")
    before = [s for s in found.steps if grokked and grokked.step is not None and s < grokked.step]
    if before:
        told += [
            ", and ",
            explained(before[-1]),
            " at ",
            _to(f"{before[-1]:,}", before[-1]),
            ", the last checkpoint before it generalises",
        ]
    return [[*told, ". "]]


def _forecast(found: Along, unit: str) -> Sentence | None:
    """The first forecast from the test loss, beside what came."""
    table = found.tables["forecasts"]
    grokked = found.phases.get("grokking")
    if not len(table):
        return None
    answered = table[(table["measure"] == TEST_LOSS) & table["forecast"].notna()]
    if not len(answered) or grokked is None or grokked.step is None:
        return None
    row = answered.iloc[0]
    said = in_words({"step": row["forecast"], "low": row["low"], "high": row["high"]})
    return [
        f"Seen up to {unit} ",
        _to(f"{int(row['step']):,}", int(row["step"])),
        ", the end of its test loss forecast ",
        _row(said, "forecasts", step=int(row["step"]), measure=TEST_LOSS),
        f": what came is {grokked.step:,}. ",
    ]


def notes(run: Run, found: Along) -> list[str]:
    """What a reader has to know of what is not shown."""
    said = []
    n_shown = len(found.steps) + len(found.damaged)
    if n_shown < len(run.steps):
        said.append(
            f"{n_shown} of {len(run.steps)} checkpoints are shown, more of them around memorization and grokking; "
            "brackets read off checkpoints are theirs, and wider than those of all."
        )
    for step, why in found.damaged.items():
        said.append(f"{run.unit.capitalize()} {step} is left out: {why}")
    if found.n_evaluations > len(found.tables["history"]):
        said.append(
            f"The losses are drawn from {len(found.tables['history']):,} of {found.n_evaluations:,} recorded rows."
        )
    if len(found.tables["forecasts"]) and run.config.task is not None:
        loss = None if run.config.optimizer is None else run.config.optimizer.loss
        if differs := unlike(read_forecaster().about, run.config.task.family, loss):
            said.append(" ".join(["Forecasts were learned from other runs.", *differs]))
    return said
