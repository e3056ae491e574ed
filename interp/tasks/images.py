"""Which digit does an image show? Real data beside the algebra: features in place of tokens, ten classes.

Omnigrok's question is whether grokking is a matter of algorithms at all: on images it comes from too large an initial
network (`model.init_scale`), and goes with it.

References: Liu, Michaud and Tegmark 2023, "Omnigrok: grokking beyond algorithmic data", section 4 and appendix A
(MNIST).
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from interp.tasks.drawn_rows import check_drawn_rows, is_train_of, row_numbers
from interp.tasks.image_sources import SHAPES, Source, labelled_images
from interp.tasks.splits import Split, corrupted_labels
from interp.tasks.task import OMITTED, Task, one_question_each, relabelled


@dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """Images of handwritten digits and the digit 0 .. 9 that each shows.

    Attributes:
        source: "digits" (1797 images of 8 x 8 pixels, in the package) or "mnist1d" (5000 rows of 40 numbers, from its
            package); features as `interp.tasks.image_sources.labelled_images` scales them.
        n_train, n_test: different images that are drawn.
        corrupted_fraction: label noise, the share of the train images that are shown with another digit, in [0, 1].
        split, split_seed: as of `interp.tasks.drawn_rows`.
        nested: whether a smaller n_train with the same seed has the same test rows, and train rows that are a part of
            those of a larger one; as of `interp.tasks.drawn_rows`. Which labels are wrong is drawn anew for each.
    """

    n_train: int
    n_test: int
    split_seed: int
    source: Source = "digits"
    corrupted_fraction: float = 0.0
    split: Split = "drawn"
    nested: bool = field(default=False, metadata=OMITTED)
    family: Literal["images"] = "images"

    def __post_init__(self):
        # Else it has no shape, and the choice is refused by the next line.
        n_rows = SHAPES[self.source].n_rows if self.source in SHAPES else 0
        check_drawn_rows(self, n_rows, f"images of {self.source!r}")

    @property
    def n_examples(self) -> int:
        return self.n_train + self.n_test

    @property
    def n_pos(self) -> int:
        return SHAPES[self.source].n_features

    @property
    def n_tokens(self) -> int:
        """Features have no vocabulary."""
        return 1

    @property
    def n_answers(self) -> int:
        return SHAPES[self.source].n_classes

    @property
    def description(self) -> str:
        return f"the digit in an image of {self.source!r}"

    @classmethod
    def example(cls) -> "ImagesConfig":
        """500 train images, and the other 1297 as test."""
        return cls(n_train=500, n_test=1297, split_seed=0, nested=True)

    def task(self, is_train: Tensor | None = None) -> Task:
        """The data.

        Raises:
            ValueError: as `is_train_of` and `labelled_images`.

        >>> task = ImagesConfig(n_train=3, n_test=1, split_seed=0).task()
        >>> tuple(task.inputs.shape), task.labels.tolist()
        ((4, 64), [3, 2, 7, 1])
        """
        is_train = is_train_of(self, is_train, nested=self.nested)
        features, digits = labelled_images(self.source)
        rows = torch.tensor(row_numbers(self, len(features), nested=self.nested))
        task = one_question_each(self, features[rows], digits[rows], is_train, structure=None)
        return relabelled(
            task,
            corrupted_labels(task.labels, is_train, self.corrupted_fraction, self.n_answers, self.split_seed),
        )
