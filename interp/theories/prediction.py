"""What a theory says will be seen, as values: they print, compare, hash and lie in a lock file.

A prediction names one number that tables hold (its statistic), the region where the theory requires it, the region that
it forbids, and a rival with the region that the rival requires. A theory is its predictions with its facts in a fixed
order. Nothing here reads a table: `interp.theories.measured` does, and `interp.theories.verdict` judges.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from interp.theories.statistic import Absent, Observed, Region, Statistic, arms_of, statistic_from


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Something that must hold in the tables before a verdict means anything: a statistic whose value lies in a "
    "region."""

    statistic: Statistic
    region: Region
    says: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One number, and what a theory and its rival say about it.

    Attributes:
        theory, name: the theory's name and that of the prediction, unique together.
        statement: what is predicted, in plain words.
        source: paper and section.
        statistic, required: the number, and where the theory requires it.
        forbidden: where the theory forbids it; None is everything else.
        rival, rival_region: another account, and where that requires the number; None: the rival says nothing about it,
            so that no outcome can speak against the rival.
        guards: what must hold besides.
        primary: whether it is one of the rows that are corrected for their number.
        cost: training it takes, in units of D(control).
        identification, assumptions, stress_test: how the arms isolate a cause, what that takes for granted, and one
            check that could show that it was wrong.
        does_not_show: what even a supported row leaves open, in a line.
        needs, command: what must exist for a verdict, and the command that makes it.
    """

    theory: str
    name: str
    statement: str
    source: str
    statistic: Statistic
    required: Region
    forbidden: Region | None = None
    rival: str
    rival_region: Region | None
    guards: tuple[Guard, ...] = ()
    primary: bool = False
    cost: float = 0.0
    identification: str
    assumptions: str
    stress_test: str
    does_not_show: str
    needs: str
    command: str

    def __post_init__(self):
        if self.required == Region():
            raise ValueError(
                f"Prediction {self.name!r} needs a bound of what is required, got none. What holds of any number "
                "predicts nothing: name low or high."
            )

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that it takes, those of its guards last."""
        found = [arms_of(self.statistic), *[arms_of(guard.statistic) for guard in self.guards]]
        return tuple(dict.fromkeys(name for names in found for name in names))


Tables = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Theory:
    """One explanation, its facts in a fixed order.

    Attributes:
        name: that of its file.
        statement: what it says, in plain words.
        source: the papers.
        requires, forbids: what it needs to be true of a run, and what it rules out.
        predictions: what is tested.
        observations: the functions that its `Observed` statistics name: tables -> `interp.theories.reading.Seen`.
    """

    name: str
    statement: str
    source: str
    requires: str
    forbids: str
    predictions: tuple[Prediction, ...]
    observations: tuple[Callable[[Tables], Any], ...] = ()

    def __post_init__(self):
        for prediction in self.predictions:
            if prediction.theory != self.name:
                raise ValueError(
                    f"Theory {self.name!r} needs predictions of its own name, got one of {prediction.theory!r}. "
                    "Give both the same."
                )


def to_json(prediction: Prediction) -> dict[str, Any]:
    """The prediction as JSON holds it."""
    return _plain(dataclasses.asdict(prediction))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def from_json(value: Mapping[str, Any]) -> Prediction:
    """The prediction that `to_json` wrote.

    Raises:
        ValueError: if a field is missing or unknown, or the kind of a statistic is not known.
    """
    fields = dict(value)
    try:
        fields["statistic"] = statistic_from(fields["statistic"])
        fields["required"] = Region(**fields["required"])
        for name in ("forbidden", "rival_region"):
            fields[name] = None if fields[name] is None else Region(**fields[name])
        fields["guards"] = tuple(
            Guard(statistic=statistic_from(g["statistic"]), region=Region(**g["region"]), says=g["says"])
            for g in fields["guards"]
        )
        return Prediction(**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"A prediction needs the fields that this version writes, got others ({error}). It was written by another "
            "version: judge it with that one."
        ) from error


# By it predictions about many runs are known.
OF_SWEEP = "interp report RUN --sweep SWEEP"
PAIRED = (
    "Paired arms from one checkpoint: weights, optimizer state, data and jitter are shared within a pair, and the arms "
    "differ in what their names say."
)
ONLY_CHECKPOINTS = "None: an order or a size in the checkpoints of one run. Nothing was changed."
NO_CAUSE = "Whether it causes anything: what goes before may follow from the same cause."


def of_arms(*, theory: str, **facts: Any) -> Prediction:
    """A prediction about trained arms; what it needs, the command and how pairs isolate a cause go without saying."""
    stated: dict[str, Any] = {
        "theory": theory,
        "identification": PAIRED,
        "needs": "Train the arms",
        "command": f"interp battery RUN --theories {theory}",
    }
    return Prediction(**(stated | facts))


def of_checkpoints(*, theory: str, function: str, probes: str, **facts: Any) -> Prediction:
    """A prediction about the tables of the observed run, which a function of the theory's file reads.

    Args:
        probes: that it needs, with commas between.
    """
    stated: dict[str, Any] = {
        "theory": theory,
        "statistic": Observed(function=function),
        "identification": ONLY_CHECKPOINTS,
        "assumptions": "The saved checkpoints are close enough to order what happened; the split is known.",
        "stress_test": "Measure at more checkpoints around the steps that decide it.",
        "does_not_show": NO_CAUSE,
        "needs": "Measure the run",
        "command": f"interp measure RUN --probes {probes}",
    }
    return Prediction(**(stated | facts))


def of_sweep(*, theory: str, function: str, needs: str, **facts: Any) -> Prediction:
    """A prediction about many runs, read by a function of the theory's file off the table `sweep_runs`.

    Args:
        needs: what the sweep has to hold.
    """
    stated: dict[str, Any] = {
        "theory": theory,
        "statistic": Observed(function=function),
        "identification": "None: runs that differ in their seeds or recipes. Nothing was changed within a run.",
        "assumptions": "Seeds are draws of one recipe; runs were trained for long enough to tell those that grok.",
        "stress_test": "The same for a sweep of another recipe.",
        "does_not_show": NO_CAUSE,
        "needs": needs,
        "command": OF_SWEEP,
    }
    return Prediction(**(stated | facts))


def of_nothing_here(*, theory: str, what: str, needs: str, **facts: Any) -> Prediction:
    """A prediction whose number nothing in this package measures: it stands, and says what it would take.

    Args:
        what: why it cannot be tested here.
        needs: what would have to be there.
    """
    stated: dict[str, Any] = {
        "theory": theory,
        "statistic": Absent(what=what),
        "identification": "None: it is not measured.",
        "assumptions": "None: it is not measured.",
        "stress_test": "None: it is not measured.",
        "does_not_show": "Anything: it is not measured.",
        "needs": needs,
        "command": "a probe of one's own, interp measure RUN --probe FILE:NAME",
    }
    return Prediction(**(stated | facts))
