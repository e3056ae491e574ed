"""The tensors of a stack: weights, gradients, data and optimizer of several runs of one architecture side by side."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks import stacked_head
from interp.networks.config import ModelConfig, Weights
from interp.networks.stacked import Answer, Asked, Rows, answer_logits, is_factorized, residual
from interp.networks.stacked_head import Found, Head
from interp.runs.checkpoint import Checkpoint
from interp.runs.config import Recipe
from interp.runs.run import Run
from interp.training.acting import split_state
from interp.training.data import Data, without_subnormal
from interp.training.member import Member, Row
from interp.training.rules.base import Now
from interp.training.stacked_optimizer import Layout, StackedOptimizer

# What of a network decides nothing but its initial weights.
_INITIAL = ("init", "init_scale")


def check_alike(recipes: Mapping[str, Recipe]) -> None:
    """Refuse unless the runs can be members of one stack: networks of one architecture on inputs of one size.

    Args:
        recipes: by the name of the run.

    Raises:
        ValueError: with the first field that differs.
    """
    (first_name, first), *others = ((name, architecture(recipe)) for name, recipe in recipes.items())
    for name, other in others:
        for place, ours in first.items():
            if other[place] != ours:
                raise ValueError(
                    f"The runs of a stack need one architecture, and {place} is {ours} in {first_name} and "
                    f"{other[place]} in {name}. Train them in stacks of their own."
                )


def architecture(recipe: Recipe) -> dict[str, object]:
    """What all members of a stack have in common, by the path of each field."""
    model, task = recipe.model, recipe.task
    found: dict[str, object] = {
        f"model.{f.name}": getattr(model, f.name) for f in fields(ModelConfig) if f.name not in _INITIAL
    }
    sizes = {"n_pos": task.n_pos, "n_tokens": task.n_tokens, "n_answers": task.n_answers}
    return found | {f"task.{name}": size for name, size in sizes.items()}


class Stack:
    """Several runs in training, as one tensor program.

    Attributes:
        members: the runs, in the order of the first axis of all tensors.
    """

    def __init__(
        self,
        members: Sequence[Member],
        layout: Layout,
        rows: Float[Tensor, "member place"],
        states: Sequence[Weights],
    ):
        """
        Args:
            rows: the weights, on the device of training; trained in place.
            states: of the members' optimizers.
        """
        self.members, self._layout, self._rows = tuple(members), layout, rows
        self._config = members[0].recipe.model
        self._gradients = torch.zeros_like(rows)
        self._optimizer = StackedOptimizer(
            [m.recipe.optimizer for m in members],
            layout,
            rows,
            self._gradients,
            states,
            [bool(m.acting.rules) for m in members],
        )
        self._live = {name: w.detach().requires_grad_() for name, w in layout.stacked(rows).items()}
        self._of_live = layout.stacked(self._gradients)
        self._data = [Data(m.run.task, m.recipe, str(rows.device)) for m in members]
        self._asked = {
            split: Asked.of([getattr(data, split) for data in self._data]) for split in ("train", "test")
        }
        self._is_full_batch = all(data.part(0) is data.train for data in self._data)
        self._is_ordinary = (
            self._is_full_batch
            and rows.device.type == "cpu"
            and all(data.is_judged_by_all for data in self._data)
            and _is_ordinary(members, self._asked)
        )
        # Whatever the others' batches hold: all batches are as large, and read the rows that there are.
        self._batch = max(m.recipe.optimizer.batch_size or 0 for m in members)
        self._inputs = self._all_inputs()
        self._rows_read: dict[str, Rows] = {}
        self._heads: dict[str, Head] = {}
        self._answers: dict[str, Answer] = {}
        for split, asked in self._asked.items():
            if self._is_ordinary:
                self._rows_read[split] = Rows.of(asked.inputs, self._config.n_heads, self._inputs)
                self._heads[split] = Head(layout.stacked(rows), self._of_live, asked)
            else:
                self._answers[split] = answer_logits(self._config, asked, self._inputs)

    def _all_inputs(self) -> Tensor:
        """Inputs with every row (token, position) that a step can read."""
        if any(m.recipe.optimizer.fresh for m in self.members) and not self._config.reads_features:
            return torch.arange(self._config.d_vocab, device=self._rows.device)[:, None].expand(
                -1, self._config.n_ctx
            )
        return torch.cat([one.inputs.flatten(0, 1) for one in self._asked.values()])

    @classmethod
    def of(cls, starts: Sequence[tuple[Run, Checkpoint]], device: str) -> "Stack":
        """The stack of these runs, each where it goes on.

        Raises:
            ValueError: if they are not of one architecture, or a rule makes no sense in its run.
            RunError: if rows of a history, or a path that a rule follows, are missing.
        """
        check_alike({run.name: run.config.recipe() for run, _ in starts})
        layout = Layout.of(starts[0][1].weights)
        rows = torch.stack([layout.row(start.weights) for _, start in starts]).to(device)
        members, states = [], []
        for (run, start), row in zip(starts, rows, strict=True):
            own, memory = split_state(start.optimizer)
            members.append(Member(run, start.step, layout.of_row(row), memory))
            states.append(own or {})
        return cls(members, layout, rows, states)

    def without(self, gone: Collection[int]) -> "Stack | None":
        """The stack of those that stay, None if none does."""
        stay = [i for i in range(len(self.members)) if i not in gone]
        if not stay:
            return None
        members, states = [self.members[i] for i in stay], [self._optimizer.state(i) for i in stay]
        return Stack(members, self._layout, self._rows[stay], states)

    def weights(self, i: int) -> Weights:
        """Those of a member, as they are trained: views that change with the next step."""
        return self._layout.of_row(self._rows[i])

    def state(self, i: int) -> Weights:
        """A member's optimizer state, and what its rules remember."""
        return self._optimizer.state(i) | self.members[i].acting.state()

    def share_below_eps(self, i: int) -> float:
        """As `interp.training.optimizer.Optimizer.share_below_eps`."""
        return self._optimizer.share_below_eps(i)

    def gradients(self, now: Sequence[Now], *, scores: bool) -> tuple[list[float], list[Row]]:
        """Compute the gradient of what each member minimises, at its step.

        Args:
            scores: whether losses and accuracies on train and test are wanted too.

        Returns:
            What each minimises, and its scores or nothing.
        """
        if self._is_ordinary:
            objectives, train = self._ordinary_gradients(now, scores)
        else:
            objectives, train = self._general_gradients(now, scores)
        if not scores:
            return objectives, [{} for _ in self.members]
        return objectives, [a | b for a, b in zip(train, self._scores("test"), strict=True)]

    def scores(self) -> list[Row]:
        """Losses and accuracies of each member on train and test."""
        return [a | b for a, b in zip(self._scores("train"), self._scores("test"), strict=True)]

    def update(self, now: Sequence[Now]) -> None:
        """The optimizers' step, with what the rules do to gradients and weights."""
        left_out: list[Collection[str]] = [()] * len(self.members)
        # Most runs have no rules and record nothing: no view of their weights is made.
        acting = {i: member.acting for i, member in enumerate(self.members) if not member.acting.is_idle}
        before = {}
        for i, one in acting.items():
            before[i] = one.before(self.weights(i))
            if one.rules:
                left_out[i] = self._act_on_gradients(i, now[i])
        self._optimizer.step([member.step for member in self.members], left_out)
        for i, one in acting.items():
            one.updated(before[i], self.weights(i), now[i])

    def _act_on_gradients(self, i: int, now: Now) -> Collection[str]:
        """Let a member's rules change its gradient, in place; the weights that are left out of this update."""
        given = self._layout.of_row(self._gradients[i])
        forget = partial(self._optimizer.forget, i)
        changed = self.members[i].acting.gradients(given, self.weights(i), forget, now)
        for name in changed.keys() & given.keys():
            if changed[name] is not given[name]:
                given[name].copy_(changed[name])
        return given.keys() - changed.keys()

    def _ordinary_gradients(self, now: Sequence[Now], scores: bool) -> tuple[list[float], list[Row]]:
        head = self._heads["train"]
        stream = residual(self._config, self._live, self._rows_read["train"])
        found, of_stream = head.gradients(stream.detach(), counts=scores)
        names = [name for name in self._live if name not in head.names]
        gradients = torch.autograd.grad(stream, [self._live[name] for name in names], of_stream)
        for name, gradient in zip(names, gradients, strict=True):
            self._of_live[name].copy_(gradient)
        for i, member in enumerate(self.members):
            if member.acting.records:
                # No rule changes the logits here; the margin is recorded.
                labels = self._data[i].train.labels
                member.acting.logits(head.logits[i, : len(labels)], labels, now[i])
        return found.losses.tolist(), self._found("train", found) if scores else []

    def _general_gradients(self, now: Sequence[Now], scores: bool) -> tuple[list[float], list[Row]]:
        if self._is_full_batch:
            questions = [data.train for data in self._data]
            logits = self._answers["train"](self._live)
        else:
            questions = [data.part(at.step) for data, at in zip(self._data, now, strict=True)]
            padded = Asked.of(questions, self._batch)
            logits = answer_logits(self._config, padded, self._inputs)(self._live)
        logits.register_hook(without_subnormal)
        objectives = []
        for i, (member, data, asked) in enumerate(zip(self.members, self._data, questions, strict=True)):
            own = logits[i, : len(asked.labels)]
            loss = data.loss(member.acting.logits(own, asked.labels, now[i]), asked.labels)
            weights = {name: w[i] for name, w in self._live.items()} if member.acting.changes_loss else {}
            objectives.append(member.acting.objective(loss, weights, now[i]))
        # Losses may be of several precisions: none is rounded to another's.
        together = torch.stack([x.double() for x in objectives])
        gradients = torch.autograd.grad(together.sum(), list(self._live.values()))
        for name, gradient in zip(self._live, gradients, strict=True):
            self._of_live[name].copy_(gradient)
        if not scores:
            return together.tolist(), []
        return together.tolist(), self._scores("train", logits.detach() if self._is_full_batch else None)

    @torch.no_grad()
    def _scores(self, split: str, logits: Tensor | None = None) -> list[Row]:
        if self._is_ordinary:
            stream = residual(self._config, self._live, self._rows_read[split])
            return self._found(split, self._heads[split].scores(stream))
        if logits is None:
            logits = self._answers[split](self._live)
        rows = []
        for i, data in enumerate(self._data):
            rows.append(data.scores(split, logits[i, : len(getattr(data, split).labels)]))
        return rows

    def _found(self, split: str, found: Found) -> list[Row]:
        n = [len(getattr(data, split).labels) for data in self._data]
        each = zip(found.losses.tolist(), found.n_right.tolist(), n, strict=True)
        return [{f"{split}_loss": loss, f"{split}_accuracy": right / n} for loss, right, n in each]


def _is_ordinary(members: Sequence[Member], asked: Mapping[str, Asked]) -> bool:
    """Whether `interp.networks.stacked_head` computes what all members minimise."""
    config = members[0].recipe.model
    if stacked_head.obstacle(config) or not all(is_factorized(config, one) for one in asked.values()):
        return False
    wanted = ("cross-entropy", "float64")
    return all(
        (m.recipe.optimizer.loss, m.recipe.optimizer.loss_dtype) == wanted and not m.acting.changes_loss
        for m in members
    )
