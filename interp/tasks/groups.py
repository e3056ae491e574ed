"""Composition in a finite group: which element is a∘b?

The order of composition is that of `interp.mathematics.groups`: permutations are functions, and in a∘b the second
operand is applied first. A group that has no name there comes as its Cayley table, which the config then holds: a run
explains itself without the file that the table was read from.

References: Chughtai et al. 2023, "A toy model of universality", section 3; Stander et al. 2023, "Grokking group
multiplication with cosets", section 4.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from interp.ground.choices import check_choices, check_seed
from interp.mathematics.cayley_tables import group_from_table
from interp.mathematics.groups import Group, named_group
from interp.tasks.recognition import NO_SPLIT, UNSPLIT, Sizes, check_can_be_made_again
from interp.tasks.splits import Split, check_split, corrupted_labels, drawn_split
from interp.tasks.structure import Cyclic, FiniteGroup
from interp.tasks.task import OMITTED, Task, one_question_each, relabelled


@dataclass(frozen=True, kw_only=True)
class GroupConfig:
    """What decides a task of group composition, down to the last label.

    Attributes:
        group: a name of `interp.mathematics.groups.named_group` ("S5", "D7", "C113", "S3xC4"), or what to call the
            group of `cayley_table`.
        train_fraction: share of the ordered pairs that are train, in (0, 1). None where an imported run has lost its
            split and the fraction with it.
        equals_token: whether a third token "=" follows the pair.
        separate_vocabularies: whether the second operand has tokens of its own, as the two embeddings of Chughtai et
            al. are.
        corrupted_fraction: share of the train rows whose label is replaced by a uniformly drawn other one, in [0, 1].
        split: how train is drawn (`interp.tasks.splits.drawn_split`).
        split_seed: seed of the split (and of corrupted labels).
        cayley_table: rows of the Cayley table of a group without a name, elements numbered from 0; None for a named
            one.
    """

    group: str
    train_fraction: float | None
    equals_token: bool
    separate_vocabularies: bool
    corrupted_fraction: float
    split: Split
    split_seed: int
    family: Literal["groups"] = "groups"
    cayley_table: tuple[tuple[int, ...], ...] | None = field(default=None, metadata=OMITTED, repr=False)

    def __post_init__(self):
        check_choices(self)
        check_split(self.split, self.train_fraction)
        check_seed("split_seed", self.split_seed)
        if not 0 <= self.corrupted_fraction <= 1:
            raise ValueError(f"A task needs corrupted_fraction in [0, 1], got {self.corrupted_fraction}.")
        if self.cayley_table is not None:
            self._check_name()
        if self.finite_group.order < 2:
            raise ValueError(f"A task needs a group of at least two elements, got {self.group}.")

    def _check_name(self) -> None:
        """Refuse a table under the name of another group."""
        try:
            known = named_group(self.group)
        except ValueError:
            return
        if not torch.equal(known.table, self.finite_group.table):
            raise ValueError(
                f"The Cayley table is not that of {self.group}, which is a group of {known.order} elements in an order "
                "of its own. Give the table another name (task.group)."
            )

    @cached_property
    def finite_group(self) -> Group:
        """The group, its Cayley table checked."""
        if self.cayley_table is None:
            return named_group(self.group)
        rows = {len(row) for row in self.cayley_table}
        if rows != {len(self.cayley_table)}:
            raise ValueError(
                f"A Cayley table is square, that of {self.group!r} has {len(self.cayley_table)} rows of lengths "
                f"{sorted(rows)}."
            )
        return group_from_table(torch.tensor(self.cayley_table), self.group)

    @property
    def n_answers(self) -> int:
        return self.finite_group.order

    @property
    def n_pos(self) -> int:
        return 2 + self.equals_token

    @property
    def n_tokens(self) -> int:
        """Size of the input vocabulary: the elements (twice with separate vocabularies), then "="."""
        return self.n_answers * (2 if self.separate_vocabularies else 1) + self.equals_token

    @property
    def n_examples(self) -> int:
        """Number of rows."""
        return self.n_answers**2

    @property
    def description(self) -> str:
        return f"composition in {self.group}"

    @classmethod
    def example(cls) -> "GroupConfig":
        """Permutations of five, as in Chughtai et al. 2023, from which settings vary."""
        return cls(
            group="S5", train_fraction=0.4, equals_token=False, separate_vocabularies=True, corrupted_fraction=0.0,
            split="shuffle", split_seed=0,
        )  # fmt: skip

    @classmethod
    def fitted(cls, sizes: Sizes, known: Mapping[str, Any]) -> dict[str, Any] | None:
        """What is known of a task that a network of these sizes learned; None where neither group nor family is named.

        Raises:
            ValueError: if the family is named without a group, the sizes and what is known cannot both hold, or another
                program drew the labels.
        """
        if "group" not in known:
            if "family" in known:
                raise ValueError(
                    f"A task of family {cls.family!r} needs its group, which no tensor shows. State it too, as "
                    "group='S5' or --group S5."
                )
            return None
        check_can_be_made_again(known, is_drawn=False)
        out = {"equals_token": sizes.n_pos == 3, "separate_vocabularies": False} | dict(known)
        shape = cls(**UNSPLIT | out)
        if "separate_vocabularies" not in known and sizes.n_tokens >= shape.n_tokens + shape.n_answers:
            out["separate_vocabularies"] = True
            shape = cls(**UNSPLIT | out)
        found = (sizes.n_pos, sizes.n_tokens, sizes.n_outputs)
        if found[:2] != (shape.n_pos, shape.n_tokens) or sizes.n_outputs < shape.n_answers:
            raise ValueError(
                f"A task of {shape.description} needs {shape.n_pos} positions, {shape.n_tokens} tokens and "
                f"{shape.n_answers} logits; the network has {', '.join(map(str, found))}. State the group and the rows "
                "(equals_token, separate_vocabularies) that it was trained with."
            )
        return out

    @classmethod
    def candidates(cls, fields: Mapping[str, Any]) -> "dict[str, GroupConfig]":
        """The one task that the fields describe, without a split."""
        return {fields["group"]: cls(**{**UNSPLIT, **fields, **NO_SPLIT})}

    def pairs(self) -> Int[Tensor, "example 2"]:
        """All ordered pairs of elements, in lexicographic order."""
        return torch.cartesian_prod(torch.arange(self.n_answers), torch.arange(self.n_answers))

    def task(self, is_train: Tensor | None = None) -> Task:
        """The data.

        Args:
            is_train: the recorded split, one boolean an example, for `split == "explicit"` only.

        Raises:
            ValueError: as `drawn_split`.

        >>> task = GroupConfig(group="S3", train_fraction=0.5, equals_token=True, separate_vocabularies=False,
        ...     corrupted_fraction=0.0, split="shuffle", split_seed=0).task()
        >>> task.inputs[8].tolist(), task.labels[8].item(), task.n_train
        ([1, 2, 6], 4, 18)
        """
        pairs = self.pairs()
        is_train = drawn_split(self.split, self.train_fraction, self.split_seed, pairs, is_train)
        operand_tokens = torch.arange(self.n_answers).expand(2, -1)
        if self.separate_vocabularies:
            operand_tokens = operand_tokens + torch.tensor([[0], [self.n_answers]])
        inputs = torch.stack([operand_tokens[i][pairs[:, i]] for i in (0, 1)], 1)
        if self.equals_token:
            inputs = torch.nn.functional.pad(inputs, (0, 1), value=self.n_tokens - 1)
        answers = self.finite_group.table[pairs[:, 0], pairs[:, 1]]
        structure = self._structure(pairs, operand_tokens)
        task = one_question_each(self, inputs, answers, is_train, structure)
        shown = corrupted_labels(answers, is_train, self.corrupted_fraction, self.n_answers, self.split_seed)
        return relabelled(task, shown)

    def _structure(
        self, pairs: Int[Tensor, "example 2"], operand_tokens: Int[Tensor, "2 n"]
    ) -> Cyclic | FiniteGroup:
        is_residues = self.cayley_table is None and self.group.startswith("C") and self.group[1:].isdigit()
        if is_residues:  # addition: Fourier probes apply, and so do those of groups
            names = torch.arange(self.n_answers)
            return Cyclic(self.n_answers, pairs, operand_tokens, names, names, names)
        return FiniteGroup(self.finite_group, pairs, operand_tokens)
