"""What decides a run's numbers, and its form in run.json."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pydantic

from interp.ground.choices import check_choices, check_seed
from interp.ground.plain_text import shown
from interp.networks.config import ModelConfig
from interp.networks.objective import Kind
from interp.runs.schedule import LARGEST_STEP, Schedule
from interp.runs.tensor_files import RunError
from interp.tasks.families import AnyTaskConfig
from interp.tasks.task import OMITTED, DrawsFresh


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """What decides an update.

    Attributes:
        name: "adamw" (decoupled weight decay), "adam" (L2 in the gradient) or "sgd".
        lr: learning rate after warm-up.
        weight_decay: on every parameter, biases and embeddings included, as in Nanda et al. 2023.
        betas, eps: of Adam. Below about 1e-8 gradients no longer see eps (it can decide whether a run groks).
        momentum: of SGD.
        warmup_steps: update s (from 0) has lr * min(s / warmup_steps, 1), so the first update does nothing.
        batch_size: rows a step, or None for the full batch.
        batch_seed: seed of the mini-batch order.
        loss_dtype: precision of log-softmax and loss; the logits stay float32.
        loss: what is minimised, as `interp.networks.objective` defines it. Recorded losses are cross-entropies.
        fresh: whether the rows of every step are drawn anew by the task's family ("infinite data"), of (batch_seed,
            step). The rows of the task are then evaluated alone: those of train are no more seen than those of test.
    """

    name: Literal["adamw", "adam", "sgd"]
    lr: float
    weight_decay: float
    betas: tuple[float, float]
    eps: float
    momentum: float
    warmup_steps: int
    batch_size: int | None
    batch_seed: int
    loss_dtype: Literal["float64", "float32", "float16"]
    loss: Kind = field(default="cross-entropy", metadata=OMITTED)
    fresh: bool = field(default=False, metadata=OMITTED)

    def __post_init__(self):
        check_choices(self)
        if not (0 < self.lr < math.inf and 0 <= self.weight_decay < math.inf):
            raise ValueError(
                f"An optimizer needs finite lr > 0 and weight_decay >= 0, got {self.lr} and {self.weight_decay}."
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"An optimizer needs betas of at least 0 and below 1, got {list(self.betas)}.")
        for name in ("eps", "momentum"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"An optimizer needs {name} finite and at least 0, got {name}={getattr(self, name)}."
                )
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"A mini-batch needs at least one row, got batch_size={self.batch_size}.")
        check_seed("batch_seed", self.batch_seed)
        if self.batch_size is not None and self.batch_seed < 0:
            raise ValueError(f"Mini-batches need batch_seed of at least 0, got {self.batch_seed}.")
        if self.fresh and self.batch_size is None:
            raise ValueError(
                "Fresh data need a number of rows a step: set batch_size (optimizer.batch_size)."
            )
        if self.warmup_steps < 0:
            raise ValueError(f"Warm-up needs warmup_steps of at least 0, got {self.warmup_steps}.")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What is known of all that decides a run's numbers (device and thread count stand beside it, in the record).

    Of a run that was trained here everything is known, and `recipe` gives what trains it again. What is known must fit
    together in any case.

    Attributes:
        task, model: what is learned by what. None in imported runs where they cannot be expressed here.
        optimizer, n_steps, seed: how; None in imported runs that did not record it. `seed` is that of the
            initialization; the split has its own in `task`.
        schedule: which steps are saved.
        evaluation_interval: steps between evaluations of test loss and accuracies.
        first_step: of a branch, the step at which it left its parent; its checkpoint there is where it starts.
        branch: what makes a branch another run than its parent, as `interp.training.arms` writes it; None otherwise.
    """

    task: AnyTaskConfig | None
    model: ModelConfig | None
    optimizer: OptimizerConfig | None
    n_steps: int | None
    schedule: Schedule | None
    seed: int | None
    evaluation_interval: int | None
    first_step: int = field(default=0, metadata=OMITTED)
    branch: Mapping[str, Any] | None = field(default=None, metadata=OMITTED)

    def __post_init__(self):
        if self.task and self.model:
            expected = (self.task.n_pos, self.task.n_tokens)
            found = (self.model.n_ctx, self.model.d_vocab)
            if expected != found or self.model.d_vocab_out < self.task.n_answers:
                raise ValueError(
                    f"The task ({self.task.description}) needs a model with n_ctx={expected[0]}, d_vocab={expected[1]} "
                    f"and at least {self.task.n_answers} logits, got n_ctx={found[0]}, d_vocab={found[1]} and "
                    f"{self.model.d_vocab_out} logits."
                )
        if self.task and self.model and getattr(self.task, "shows_answers", False):
            sees_all = self.model.is_mlp or self.model.attention_dir == "bidirectional"
            if sees_all:
                what = "an attention-free MLP" if self.model.is_mlp else "bidirectional attention"
                raise ValueError(
                    f"The rows of the task ({self.task.description}) hold their answers behind each question, and "
                    f"{what} would read them there. It needs causal attention (attention_dir='causal', n_heads of at "
                    "least 1)."
                )
        for name in ("n_steps", "evaluation_interval"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= LARGEST_STEP:
                bound = "least 1" if value < 1 else f"most {LARGEST_STEP:,}"
                raise ValueError(f"A run needs {name} of at {bound}, got {shown(value)}.")
        if self.seed is not None:
            check_seed("seed", self.seed)
        if self.schedule and self.n_steps is not None and self.schedule.steps[-1] > self.n_steps:
            raise ValueError(
                f"The schedule saves step {self.schedule.steps[-1]}, but the run ends at {self.n_steps}."
            )
        if self.first_step < 0 or (self.n_steps is not None and self.first_step >= self.n_steps):
            raise ValueError(
                f"A branch needs a first_step of at least 0 and before its end, got {self.first_step} of "
                f"{self.n_steps}."
            )

    @property
    def sees_fresh_rows(self) -> bool:
        """Whether it is trained on rows that are new at every step: of those none is memorized."""
        return self.optimizer is not None and self.optimizer.fresh

    def recipe(self) -> "Recipe":
        """All that training needs.

        Raises:
            ValueError: if something is unknown; everything that is gets named.
        """
        _check_whole(self)
        return Recipe(**vars(self))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that `train` takes: the fields of a `RunConfig`, none of them unknown."""

    task: AnyTaskConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    n_steps: int
    schedule: Schedule
    seed: int
    evaluation_interval: int
    first_step: int = 0
    branch: Mapping[str, Any] | None = None

    def __post_init__(self):
        _check_whole(self)
        if self.optimizer.fresh and not isinstance(self.task, DrawsFresh):
            raise ValueError(
                f"Fresh data need a family of tasks that draws them, {self.task.family!r} has all its rows in one "
                "table. Set optimizer.fresh to false."
            )
        # A branch has the data of its parent, which are beside it.
        if self.branch is None and self.task.split in ("explicit", "unknown"):
            raise ValueError(
                f"Training draws its own split, but this task's is {self.task.split!r}, as an imported run has it. Use "
                "one of shuffle, unordered, torch."
            )
        self.config()  # refuses parts that do not fit together

    def config(self) -> RunConfig:
        """The config that is stored with the run."""
        return RunConfig(**vars(self))


def _check_whole(config: RunConfig | Recipe) -> None:
    """Refuse unless every field is known."""
    if lacking := [name for name, value in vars(config).items() if value is None and name != "branch"]:
        raise ValueError(
            f"Training needs a whole config, this one has no {', '.join(lacking)}. Configs of imported runs may lack "
            "some: start from another one, as interp.runs.presets.mainline()."
        )


_config_adapter = pydantic.TypeAdapter(RunConfig)


def config_from_json(value: Any, where: Path | str) -> RunConfig:
    """The config in a run.json.

    Raises:
        RunError: if fields are missing, unknown or of the wrong type; they are named.
    """
    try:
        config = _config_adapter.validate_python(value)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        # A field of the task is said without the family that pydantic puts between: task.p, not task.modular.p.
        place = (
            ".".join(map(str, [x for i, x in enumerate(first["loc"]) if (i, x) != (1, _family(value))]))
            or "config"
        )
        what = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
        raise RunError(f"{where} holds no valid config: {place}: {what}.") from error
    if config_to_json(config) != value:
        raise RunError(f"{where} holds fields that this version does not know, or values of another type.")
    return config


def config_to_json(config: RunConfig) -> dict[str, Any]:
    """The config as run.json holds it."""
    value = json.loads(json.dumps(dataclasses.asdict(config)))
    parts = {"task": config.task, "model": config.model, "optimizer": config.optimizer}
    for part, holder in ((config, value), *((part, value[name]) for name, part in parts.items() if part)):
        for known in dataclasses.fields(part):  # type: ignore[arg-type]
            if known.metadata.get("omitted") and getattr(part, known.name) == known.default:
                del holder[known.name]
    return value


def _family(value: Any) -> Any:
    task = value.get("task") if isinstance(value, dict) else None
    return task.get("family") if isinstance(task, dict) else None
