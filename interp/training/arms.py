"""An arm: one way to go on from a checkpoint, as a value that goes into a lock file and into the run that it makes.

Everything in which a branch differs from its parent is in its arm: what is edited at the branch, which rules act at
each step, which fields of the recipe and which data are others. The control is the arm that changes nothing.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import pydantic
import torch

from interp.ground.judged import judged_accuracy
from interp.interventions.any_edit import AnyEdit
from interp.networks.config import Weights
from interp.runs.run import Run
from interp.runs.tensor_files import RunError
from interp.tasks.data_edits import DataEdit
from interp.training.rules import AnyRule

# Of the weights, relative: far above float32 rounding, far below what a step does.
JITTER = 1e-6


@dataclass(frozen=True, kw_only=True)
class Until:
    """When an arm has shown what it was trained for: from then on it is not trained further.

    Attributes:
        test_accuracy: the last threshold that is waited for.
        evaluations: consecutive ones that must be beyond it.
        times: the arm goes on until so many times the steps that it took, for others that follow its path.
    """

    test_accuracy: float = 0.99
    evaluations: int = 3
    times: float = 1.0

    def is_reached(self, evaluated: Sequence[Mapping[str, Any]], first_step: int) -> bool:
        """Whether an arm that left its parent at this step need not go on.

        Args:
            evaluated: its evaluations in order, with "step" and "test_accuracy", or that on what is predictable.
        """
        # From the end: an arm is asked at each of them, and most have nothing to show yet.
        n = next(
            (
                i
                for i, row in enumerate(reversed(evaluated))
                if judged_accuracy(row, "test") < self.test_accuracy
            ),
            len(evaluated),
        )
        if n < self.evaluations:
            return False
        took = evaluated[-n]["step"] - first_step
        return evaluated[-1]["step"] - first_step >= self.times * took


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to go on from a checkpoint.

    Attributes:
        name: of the arm; with `dose` where it has a size.
        reference, reference_dose: the arm within the same pair that it is compared with; None for a control.
        edits: of the weights at the branch, in this order.
        donors: for edits that take from another checkpoint: the name by which they ask, and its step.
        data: changes of the data at the branch.
        rules: what acts at each step, in this order.
        settings: fields of the recipe by path, as {"optimizer.weight_decay": 0.0}.
        fresh_optimizer: whether the optimizer starts anew, without the moments of the parent.
    """

    name: str
    dose: float | None = None
    reference: str | None = None
    reference_dose: float | None = None
    edits: tuple[AnyEdit, ...] = ()
    donors: Mapping[str, int] = field(default_factory=dict)
    data: tuple[DataEdit, ...] = ()
    rules: tuple[Annotated[AnyRule, pydantic.Discriminator("kind")], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    fresh_optimizer: bool = False

    @property
    def label(self) -> str:
        """Name and dose, as folders and figures have it: "norm-1.15"."""
        return self.name if self.dose is None else f"{self.name}-{self.dose:g}"

    @property
    def is_control(self) -> bool:
        """Whether it changes nothing."""
        parts = (self.edits, self.data, self.rules, self.settings, self.fresh_optimizer)
        return not any(parts)


CONTROL = Arm(name="control")


@dataclass(frozen=True, kw_only=True)
class Branch:
    """How a run left its parent: what stands under "branch" in its config.

    Attributes:
        parent: what decided the numbers of the parent, as a checksum (`interp.runs.belonging`).
        pair: the name of the pair, within which arms are compared.
        jitter: seed of the disturbance of the weights at the branch, None for none.
        until: when it is trained no further; None: to its last step. As its length, no part of what it is.
    """

    arm: Arm
    parent: str
    pair: str = "0"
    jitter: int | None = None
    until: Until | None = None


_adapter = pydantic.TypeAdapter(Arm)
_branch_adapter = pydantic.TypeAdapter(Branch)


def arm_to_json(arm: Arm) -> dict[str, Any]:
    """The arm without what is as in a control."""
    value = {
        known.name: _plain(getattr(arm, known.name))
        for known in dataclasses.fields(arm)
        if getattr(arm, known.name) not in (None, (), {}, False)
    }
    return json.loads(json.dumps(value, allow_nan=False))


def arm_from_json(value: Mapping[str, Any], where: str) -> Arm:
    """The arm in a run.json or a lock file.

    Raises:
        RunError: if it has an edit, a rule or a field that is not known here.
    """
    arm = _checked(_adapter, value, where)
    # A field that is left out would make another arm of it.
    if lacking := _fields(value) - _fields(arm_to_json(arm)):
        raise RunError(f"{where} holds no valid arm: this version does not know {sorted(lacking)[0]}.")
    return arm


def _fields(value: Any, path: str = "") -> set[str]:
    """Where something stands in a JSON value."""
    parts = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    known = [(name, x) for name, x in parts if x not in (None, (), [], {}, False)]
    return {path}.union(*(_fields(x, f"{path}.{name}".lstrip(".")) for name, x in known))


def branch_to_json(branch: Branch) -> dict[str, Any]:
    """What the config of a branch holds of it."""
    value = {name: _plain(x) for name, x in vars(branch).items() if x is not None}
    return json.loads(json.dumps(value | {"arm": arm_to_json(branch.arm)}, allow_nan=False))


def branch_from_json(value: Mapping[str, Any], where: str) -> Branch:
    """How a run left its parent.

    Raises:
        RunError: as `arm_from_json`.
    """
    return _checked(_branch_adapter, value, where)


def branch_of(run: Run) -> Branch | None:
    """How a run left its parent, None for one that is no branch.

    Raises:
        RunError: if its run.json does not say it in a way that is known here.
    """
    if run.config.branch is None:
        return None
    return branch_from_json(run.config.branch, str(run.path / "run.json"))


def has_shown(run: Run) -> bool:
    """Whether a run is an arm that has shown what it was trained for."""
    branch = branch_of(run)
    if branch is None or branch.until is None:
        return False
    evaluated = run.history().dropna(subset=["test_accuracy"]).to_dict("records")
    return branch.until.is_reached(evaluated, run.config.first_step)  # type: ignore[arg-type]


def _checked(adapter: pydantic.TypeAdapter, value: Mapping[str, Any], where: str) -> Any:
    try:
        return adapter.validate_python(dict(value))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "arm"
        raise RunError(f"{where} holds no valid arm: {place}: {first['msg'].rstrip('.')}.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(x) for x in value]
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]


def jittered(weights: Weights, seed: int, size: float = JITTER) -> Weights:
    """The weights times (1 + size xi), xi standard normal: the same xi for every arm of a pair.

    A rerun that equals its first to the last bit has no variance, and is no evidence. What a disturbance of this size
    changes is what chance decides.
    """
    generator = torch.Generator().manual_seed(seed)
    return {name: w * (1 + size * torch.randn(w.shape, generator=generator)) for name, w in weights.items()}
