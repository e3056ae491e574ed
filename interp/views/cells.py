"""The questions of a task as a map over its two operands, all of them or every n-th."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from interp.analyses.attention import operand_labels, plain_label
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.structure import Cyclic
from interp.tasks.task import UnknownSplit


@dataclass(frozen=True, eq=False)
class Cells:
    """Which question lies in each cell.

    Attributes:
        questions: (side, side), rows by first operand, in the order of the task's algebra where it has one.
        n: operands there are; every: of them each so many-th is shown.
        labels: what rows and columns are in the order of.
        operands: (2, side): the first operand of each row, and the second of each column.
    """

    questions: torch.Tensor
    n: int
    every: int
    labels: tuple[str, str]
    operands: torch.Tensor

    @property
    def side(self) -> int:
        return len(self.questions)

    @classmethod
    def of(cls, snapshot: Snapshot, most: int) -> "Cells":
        """The cells of a task of two operands, at most so many on a side.

        Raises:
            NotApplicable: if its questions are no table over two operands.
        """
        task = snapshot.known_task
        n_questions = len(task.labels)
        everything = torch.arange(n_questions, device=snapshot.device)
        if isinstance(task.structure, Cyclic):
            table = snapshot.once(Residues).table(everything)
        else:
            table = _plain_table(snapshot, everything)
        every = max(math.ceil(len(table) / max(most, 1)), 1)
        shown = table[::every, ::every].contiguous()
        pairs = getattr(task.structure, "pairs", task.inputs[:, :2])
        sides = torch.stack([task.example[shown[:, 0].cpu()], task.example[shown[0].cpu()]])
        operands = torch.stack([pairs[side, i] for i, side in enumerate(sides)])
        first, second = map(plain_label, operand_labels(task.structure))
        return cls(shown, len(table), every, (first, second), operands)

    def _of_questions(self, x: torch.Tensor) -> torch.Tensor:
        return x[self.questions.flatten()].reshape(self.side, self.side, *x.shape[1:])

    def _right(self, snapshot: Snapshot) -> torch.Tensor:
        return snapshot.known_task.true_labels.to(snapshot.device)[self.questions.flatten()]

    def right(self, snapshot: Snapshot) -> np.ndarray:
        """Probability of the right answer, and its logit minus the largest other one, (2, side, side)."""
        logits, right = (
            snapshot.logits[self.questions.flatten()].to(snapshot.double),
            self._right(snapshot)[:, None],
        )
        own = logits.gather(1, right)
        log_probability = own - logits.logsumexp(1, keepdim=True)
        margin = own - logits.scatter(1, right, -torch.inf).amax(1, keepdim=True)
        return np.stack([self._map(log_probability.exp()), self._map(margin)])

    def error(self, snapshot: Snapshot) -> np.ndarray:
        """How far the answer is from the right one in the cyclic group, or 1 for a wrong one where there is none."""
        answer = snapshot.logits[self.questions.flatten()].argmax(-1)
        right = self._right(snapshot)
        structure = snapshot.known_task.structure
        if not isinstance(structure, Cyclic):
            return self._map((answer != right).long())
        element = torch.as_tensor(structure.answer, device=snapshot.device)
        is_residue = answer < len(element)
        named = element[answer.clamp(max=len(element) - 1)]
        off = (named - element[right]) % structure.order
        # An answer that is no residue is as far off as can be.
        return self._map(torch.where(is_residue, off, structure.order // 2))

    def attention(self, snapshot: Snapshot) -> np.ndarray:
        """To the first operand, (head, side, side), heads layer by layer."""
        pattern = self._of_questions(snapshot.pattern[..., 0]).flatten(2)
        return pattern.permute(2, 0, 1).float().cpu().numpy()

    def is_train(self, snapshot: Snapshot) -> np.ndarray | None:
        """1 for train questions, (side, side); None where the split is not known."""
        try:
            return self._map(snapshot.is_train[self.questions.flatten()].long())
        except UnknownSplit:
            return None

    def _map(self, flat: torch.Tensor) -> np.ndarray:
        return flat.reshape(self.side, self.side).cpu().numpy()


def _plain_table(snapshot: Snapshot, everything: torch.Tensor) -> torch.Tensor:
    """The questions by their first two tokens, if each pair of tokens is asked once.

    Raises:
        NotApplicable: if not.
    """
    task = snapshot.known_task
    inputs = task.inputs
    if (
        inputs.ndim == 2
        and inputs.shape[1] >= 2
        and not inputs.is_floating_point()
        and len(task.labels) == len(inputs)
    ):
        first, a = inputs[:, 0].unique(return_inverse=True)
        second, b = inputs[:, 1].unique(return_inverse=True)
        if len(first) == len(second) and len(first) * len(second) == len(inputs):
            cell = a * len(second) + b
            if len(cell.unique()) == len(cell):
                return everything[cell.argsort().to(everything.device)].reshape(len(first), len(second))
    raise NotApplicable(
        f"The questions of this task ({task.config.description}) are no table over two operands, so that maps over "
        "pairs do not apply."
    )
