"""Labelled images that need no download: where they come from, and that they are the same everywhere.

"digits" is the file of scikit-learn's `load_digits`, which lies beside this module byte for byte (57 kB), so that 1797
small images do not cost a dependency of thirty megabytes: the test set of the UCI "Optical recognition of handwritten
digits" (Alpaydin and Kaynak 1998, CC BY 4.0), 8 x 8 pixels, each the number of black pixels of 16. "mnist1d" is made by
the package of its authors (Greydanus and Kobak 2020, Apache 2.0): 40 numbers a row.
"""

import gzip
import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

Source = Literal["digits", "mnist1d"]

DIGITS = Path(__file__).with_name("optical_digits.csv.gz")
# Of the file as scikit-learn has it.
DIGITS_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
# Of what mnist1d 0.0.2.post1 makes: of the classes as 64-bit integers; of the features, whose last digits depend on the
# machine, the sum of each times the cosine of its number, which a change of one of them by some millionths moves.
MNIST1D_CLASSES_SHA256 = "6feec4a017698c7fe237c8854cbd2e338c6dd5c16240f6fa79daefaaa129e169"
MNIST1D_SUM = 445.7184519659719


class Shape(NamedTuple):
    """Of a source: rows, features of each, classes; height and width where the features are pixels."""

    n_rows: int
    n_features: int
    n_classes: int
    picture: tuple[int, int] | None


SHAPES: dict[Source, Shape] = {
    "digits": Shape(1797, 64, 10, (8, 8)),
    "mnist1d": Shape(5000, 40, 10, None),
}


@cache
def labelled_images(source: Source) -> tuple[Float[Tensor, "row feature"], Int[Tensor, " row"]]:
    """Features and classes of all rows, in the order of the source.

    Features of the source as a whole have mean 0 and standard deviation 1, over all rows and pixels together: two
    numbers that no split changes. Pixels stay in proportion to each other, and those that are always white stay equal.

    Raises:
        ValueError: if the package of the source is not installed, or its data are others.
    """
    features, classes = _digits() if source == "digits" else _mnist1d()
    wanted = SHAPES[source]
    if features.shape != (wanted.n_rows, wanted.n_features):
        raise ValueError(
            f"Images of {source!r} are {wanted.n_rows} rows of {wanted.n_features} features, got {features.shape}. "
            "Another version of the package makes other data."
        )
    scaled = (features - features.mean()) / features.std()
    return torch.from_numpy(scaled).float(), torch.from_numpy(classes).long()


def _digits() -> tuple[np.ndarray, np.ndarray]:
    content = DIGITS.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != DIGITS_SHA256:
        raise ValueError(
            f"{DIGITS} needs the SHA-256 {DIGITS_SHA256[:12]}..., got {found[:12]}.... It was changed: install the "
            "package again."
        )
    table = np.loadtxt(gzip.decompress(content).decode().splitlines(), delimiter=",")
    return table[:, :-1], table[:, -1].astype(int)


def _mnist1d() -> tuple[np.ndarray, np.ndarray]:
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ImportError as error:
        raise ValueError(
            "Images of 'mnist1d' need the package mnist1d, which is not installed. Install it "
            "(pip install 'grokscope[mnist1d]'), or use source 'digits'."
        ) from error
    with _generators_restored():
        made = make_dataset(get_dataset_args())
    features = np.concatenate([made["x"], made["x_test"]])
    classes = np.concatenate([made["y"], made["y_test"]]).astype("<i8")
    found = hashlib.sha256(classes.tobytes()).hexdigest()
    is_same = found == MNIST1D_CLASSES_SHA256 and abs(_checked_sum(features) - MNIST1D_SUM) < 1e-6
    if features.shape == SHAPES["mnist1d"][:2] and not is_same:
        raise ValueError(
            "Images of 'mnist1d' need the rows that its version 0.0.2.post1 makes, and the version here makes others:"
            " numbers would not be those of anybody else. Install that one."
        )
    return features, classes.astype(int)


def _checked_sum(features: np.ndarray) -> float:
    return float(np.vdot(features.ravel(), np.cos(np.arange(features.size))))


@contextmanager
def _generators_restored() -> Iterator[None]:
    """The global generators as before: the package seeds them all."""
    of_python, of_numpy, of_torch = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        torch.random.set_rng_state(of_torch)
