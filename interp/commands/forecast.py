"""`interp forecast`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from interp.ground.plain_text import number_of, say

if TYPE_CHECKING:
    from interp.runs.run import Run
    from interp.theories.forecaster import Forecaster


def forecast(
    run: Annotated[Path, Argument(help="A run, in training or not.")],
    at: Annotated[
        int | None, Option(help="Look at the part up to this step alone. [default: all of it]", min=1)
    ] = None,
    by: Annotated[
        int | None,
        Option(
            help="Step by which: will it? [default: the run's planned end, or ten times what was seen]", min=1
        ),
    ] = None,
    learn: Annotated[
        list[str] | None,
        Option(
            metavar="SWEEP",
            help="Learn from these in place of the project's own sweeps: a sweep, its tables, or a folder of runs; "
            "repeatable.",
        ),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Say when a run will generalise, if it does, from its own curves so far; and how many runs like it do.

    The line through the end of its test loss, and of the Gini coefficients of its embedding and of W_L, for which no
    test data are needed: each with an 80 % interval, or without an answer. How well such forecasts fare on other moduli
    and train fractions: interp analyse forecast. While a run trains: interp train --forecast.

    Examples: interp forecast runs/p59

    interp forecast checkpoints/mainline --at 3000

    interp forecast runs/mine --learn sweeps/mine --by 50000
    """
    from interp.runs.run import open_run
    from interp.theories.forecaster import read_forecaster

    if learn:
        from interp.analyses.forecast import learned_from

        learned = learned_from(learn, learn)
    else:
        learned = read_forecaster()
    told = _forecast(open_run(run), learned, at, by)
    if as_json:
        import json

        from interp.tables.folder import clean

        say(json.dumps(clean(told), indent=2))
        return
    for line in _lines(told):
        say(line)


def _forecast(run: "Run", learned: "Forecaster", at: int | None, by: int | None) -> dict[str, Any]:
    """What is said of a run, as plain values.

    Raises:
        ValueError: if its history holds no evaluations up to the step.
    """
    from interp.tables.outcome import outcome
    from interp.theories.forecast import curves_of
    from interp.theories.forecaster import NOT_MEASURED, chance_by, forecasts, why_not

    history = run.history()
    whole = history.dropna(subset=["test_accuracy"]) if len(history) else history
    seen = whole[whole["step"] <= at] if at is not None and len(whole) else whole
    if not len(seen):
        first = f" by step {at}, the first is at {int(whole['step'].iloc[0])}" if len(whole) else ""
        raise ValueError(
            f"A forecast needs evaluations of the run so far, and {run.path} has none{first}. They are recorded while "
            "it trains."
        )
    step = int(seen["step"].iloc[-1])
    found, ended = outcome({"history": seen}), outcome({"history": whole})
    told: dict[str, Any] = {"run": run.name, "seen": step, "learned_from": dict(learned.about)}
    told["memorization"] = None if found.memorization is None else found.memorization.step
    told["generalised"] = None if found.grokking is None else found.grokking.step
    told["came"] = None if ended.grokking is None else ended.grokking.step
    fell = found.collapse
    told["collapse"] = None if fell is None or fell.step is None else [fell.before, fell.step]
    optimizer = run.config.optimizer
    told["minimises"] = None if optimizer is None else optimizer.loss
    told["why_not"] = why_not(seen)
    told["task"] = None if run.config.task is None else run.config.task.family
    if (
        told["why_not"]
        or told["memorization"] is None
        or told["generalised"] is not None
        or told["collapse"] is not None
    ):
        return told
    sparsity = _sparsity(run, step)
    curves = curves_of(seen.assign(run=run.name), sparsity)
    found = forecasts(learned, curves, float(step))
    if sparsity is not None and "not_applicable" in sparsity.attrs:
        found["why_not"] = found["why_not"].replace(NOT_MEASURED, "does not apply to this run")
    told["forecasts"] = found.to_dict("records")
    planned = run.config.n_steps if run.config.n_steps and run.config.n_steps > step else 10 * step
    told["by"] = by if by is not None else planned
    if told["by"] <= step:
        raise ValueError(f"--by needs a step after what was seen, {step}, got {told['by']}.")
    if told["memorization"] > 0:
        told["chance"] = chance_by(learned, told["memorization"], float(step), float(told["by"]))
        told["times_memorization"] = [step / told["memorization"], told["by"] / told["memorization"]]
    return told


def _sparsity(run: "Run", step: int) -> Any:
    """The Gini coefficients at the checkpoints that count as seen and lie in reach of the line; None without."""
    from interp.measurement.measure import measure
    from interp.theories.forecast import WINDOW

    steps = [s for s in run.steps if s <= step]
    # The first says where it started.
    wanted = sorted({*steps[:1], *(s for s in steps if s >= (1 - WINDOW) * step)})
    if not wanted:
        return None
    table = measure(run, ["fourier_sparsity"], steps=wanted, progress=False)["fourier_sparsity"]
    # Empty, with the reason, where it does not apply.
    return table.assign(run=run.name)


def _lines(told: dict[str, Any]) -> list[str]:
    from interp.figures.forecasts import NAMES
    from interp.theories.forecaster import in_words, interval_name, unlike

    head = f"{told['run']}, seen up to step {told['seen']}"
    if told["generalised"] is not None:
        return [f"{head}: it has generalised, from step {told['generalised']} on."]
    if (fell := told["collapse"]) is not None:
        return [
            f"{head}: it had generalised and collapsed between steps {fell[0]} and {fell[1]}. Nothing was learned of "
            "runs that did, so that nothing is forecast."
        ]
    if told["why_not"]:
        return [f"{head}: {told['why_not']}"]
    if told["memorization"] is None:
        return [f"{head}: it has not memorized yet; from then on there is something to forecast from."]
    about = told["learned_from"]
    lines = [f"{head}: memorized at step {told['memorization']}, has not generalised."]
    lines.append(f"When, if it does (step, {interval_name()}):")
    for row in told["forecasts"]:
        name = NAMES[row["measure"]].replace("$", "")
        said = f"no answer: {row['why_not']}" if row["why_not"] else in_words(row)
        lines.append(f"  {name:<12} {said}")
    if (share := told.get("chance")) is not None:
        first, last = told["times_memorization"]
        of = f"of runs that had not by {first:.2g} times their memorization step"
        lines.append(
            f"Will it, by step {told['by']}: nothing was seen of runs for so long."
            if share != share
            else f"Will it, by step {told['by']}: {100 * share:.0f} % {of} did by {last:.2g} times it (Kaplan-Meier)."
        )
    lines.append(
        f"Learned from {number_of(int(about['n_runs']), 'run')} of {number_of(int(about['n_families']), 'setting')}, "
        f"{', '.join(map(str, about['sweeps']))}. Those that are unlike them may go otherwise."
    )
    lines += unlike(about, told["task"], told["minimises"])
    if told["came"] is not None:
        lines.append(f"What came: step {told['came']}.")
    return lines
