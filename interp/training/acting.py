"""Rules at work: where in a step each acts, what they remember, and what is recorded of a branch.

A run without rules takes none of these places: its numbers are those of a loop that knows no rules.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from interp.networks.config import Weights
from interp.runs.run import Run
from interp.runs.tensor_files import RunError
from interp.training.arms import Branch
from interp.training.optimizer import Optimizer
from interp.training.paths import Paths, read_paths
from interp.training.rules.base import Now, Rule
from interp.training.rules.recorded import mean_margin, norms_of, update_norm

_MEMORY = "rule"


class Acting:
    """The rules of one run, and what they remember.

    Attributes:
        records: whether each step's norms, margin and update are recorded, as in every branch.
        changes_loss: whether a rule acts on the logits or adds a penalty.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        weights: Weights,
        first_step: int,
        *,
        paths: Paths | None = None,
        memory: Weights | None = None,
        records: bool = False,
    ):
        self.rules, self.first_step = tuple(rules), first_step
        self.paths = paths or Paths({})
        self.records = records
        self.changes_loss = any(
            type(rule).logits is not Rule.logits or type(rule).penalty is not Rule.penalty for rule in rules
        )
        self._looks_back = records or any(rule.looks_back for rule in rules)
        self.memory = [rule.start(detached(weights)) for rule in self.rules]
        for key, tensor in (memory or {}).items():
            kind, name = key.split("/", 1)
            _, i, what = kind.split(".", 2)
            held = self.memory[int(i)].setdefault(what, {})
            held[name] = tensor.to(weights[name].device)

    def now(self, step: int) -> Now:
        """The step as the rules see it."""
        since = step - self.first_step
        if not self.paths.columns:
            return Now(step, since)
        return Now(step, since, self.paths.at(since), self.paths.at(since + 1))

    def logits(self, logits: Tensor, labels: Tensor, now: Now) -> Tensor:
        """What the loss is taken of; the margin that it sees is recorded."""
        for rule in self.rules:
            logits = rule.logits(logits, labels, now)
        if self.records:
            now.records["margin"] = mean_margin(logits.detach(), labels)
        return logits

    def objective(self, loss: Tensor, weights: Weights, now: Now) -> Tensor:
        """What is minimised: the loss and the penalties."""
        for rule in self.rules:
            penalty = rule.penalty(weights, now)
            loss = loss if penalty is None else loss + penalty
        return loss

    @property
    def is_idle(self) -> bool:
        """Whether an update is the optimizer's alone, and nothing of it is recorded."""
        return not self.rules and not self.records

    def update(self, optimizer: Optimizer, weights: Weights, now: Now) -> None:
        """The optimizer's step, with what the rules do to gradients and weights."""
        if self.is_idle:
            optimizer.step(now.step)
            return
        if self.rules:
            given = {name: w.grad for name, w in weights.items() if w.grad is not None}
            gradients = self.gradients(given, weights, optimizer.forget, now)
            for name, w in weights.items():
                w.grad = gradients.get(name)
        before = self.before(weights)
        optimizer.step(now.step)
        self.updated(before, weights, now)

    def gradients(
        self, gradients: Weights, weights: Weights, forget: Callable[[Iterable[str]], None], now: Now
    ) -> Weights:
        """What the optimizer sees; a weight that has no gradient there is not updated.

        Args:
            forget: sets the moments of weights back to zero.
        """
        current, names = detached(weights), tuple(weights)
        for rule, memory in zip(self.rules, self.memory, strict=True):
            gradients = rule.gradients(gradients, current, memory, now)
            forget(rule.forgets(names, now))
        return gradients

    def before(self, weights: Weights) -> Weights:
        """The weights as they are before the update, where something looks back at them."""
        return {name: w.detach().clone() for name, w in weights.items()} if self._looks_back else {}

    @torch.no_grad()
    def updated(self, before: Weights, weights: Weights, now: Now) -> None:
        """Change the weights after the optimizer's step, in place, and record how far they went."""
        after = detached(weights)
        for rule, memory in zip(self.rules, self.memory, strict=True):
            after = rule.updated(before, after, memory, now)
        for name, w in weights.items():
            if after[name] is not w and after[name].data_ptr() != w.data_ptr():
                w.copy_(after[name])
        if self.records:
            now.records["update_norm"] = update_norm(before, detached(weights))

    def norms(self, weights: Weights) -> dict[str, float]:
        """The norm of each tensor, for the row of a step; none where nothing is recorded."""
        if not self.records:
            return {}
        return {f"norm/{name}": norm.item() for name, norm in norms_of(detached(weights)).items()}

    def state(self) -> Weights:
        """What the rules remember, to be saved beside the optimizer's state."""
        return {
            f"{_MEMORY}.{i}.{what}/{name}": tensor.clone()
            for i, memory in enumerate(self.memory)
            for what, held in memory.items()
            for name, tensor in held.items()
        }


def acting_in(run: Run, branch: Branch | None, weights: Weights, memory: Weights) -> Acting:
    """The rules of a run, none for one that is no branch.

    Raises:
        RunError: if the path that a rule follows is damaged, or shorter than the run is to be.
        ValueError: if a rule makes no sense in this run.
    """
    if branch is None:
        return Acting((), weights, 0)
    rules, first = branch.arm.rules, run.config.first_step
    for rule in rules:
        rule.check(weights, run.config.recipe())
    paths = read_paths(run)
    n_steps = (run.config.n_steps or first) - first
    if paths.columns and paths.n_rows <= n_steps:
        raise RunError(
            f"Arm {run.name!r} follows a recorded path of {paths.n_rows - 1} steps, and is to have {n_steps}. Make the "
            "arm that it follows longer first, then this one by interp.training.branches.extend; interp battery "
            "--longer does both."
        )
    return Acting(rules, weights, first, paths=paths, memory=memory, records=True)


def detached(weights: Weights) -> Weights:
    """The same weights, outside of the graph of gradients."""
    return {name: w.detach() for name, w in weights.items()}


def split_state(state: Weights | None) -> tuple[Weights | None, Weights]:
    """The optimizer's own state, and what rules remembered beside it."""
    if state is None:
        return None, {}
    of_rules = {key: x for key, x in state.items() if key.startswith(f"{_MEMORY}.")}
    return {key: x for key, x in state.items() if key not in of_rules}, of_rules


def recorded(now: Now) -> dict[str, float]:
    """What was recorded of a step, as numbers."""
    return {name: float(x) for name, x in now.records.items()}
