"""Double descent where it has a closed form: random Fourier features and their minimum-norm solution, in a second."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from interp.tables.interpolation import MODEL, ONE_SETTING, SAMPLE

NAME = "random features"
N_TRAIN, N_TEST, N_INPUTS, N_FEATURES, BANDWIDTH = 100, 500, 20, 100, 5.0
NOISES, DRAWS = (0.0, 0.15), 6
WIDTHS = (5, 10, 20, 30, 40, 60, 80, 90, 95, 100, 105, 110, 130, 170, 250, 500, 1000, 2000)
ROWS = (10, 20, 40, 60, 80, 90, 95, 100, 105, 110, 130, 170, 250, 500, 1000)
# Sizes whose descent is followed, and its steps: of the rate 1 / (largest singular value)^2.
FOLLOWED, STEPS = (40, 100, 2000), tuple(float(round(10 ** (i / 4))) for i in range(33))
PENALTIES = tuple(10.0**e for e in range(-5, 3))
# Mean squared train error below which labels of size 1 are fitted: rounding leaves 1e-8 where the matrix is worst.
FITTED = 1e-6


def random_features() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs over widths and over train rows, and the descent of some; columns as of `interp.analyses.double_descent`.

    A draw has its own rows, features, noise and teacher. `ridge_error` is the test error with the penalty that is best
    on the mean over draws, chosen on the test rows: how much better any ridge could be.
    """
    grid = [(MODEL, N_TRAIN, width) for width in WIDTHS]
    grid += [(SAMPLE, rows, N_FEATURES) for rows in ROWS]
    runs = pd.DataFrame(
        [
            {**row, "size": width if axis == MODEL else rows}
            for noise in NOISES
            for axis, rows, width in grid
            for row in _draws(axis, rows, width, noise)
        ]
    )
    along = pd.DataFrame(
        [
            row
            for noise in NOISES
            for width in FOLLOWED
            for draw in range(DRAWS)
            for row in _steps(width, noise, draw)
        ]
    )
    return runs, along


def _draws(axis: str, n_train: int, width: int, noise: float) -> list[dict[str, Any]]:
    from interp.mathematics.random_features import decomposed, effective_rank, minimum_norm, ridge

    found, ridged = [], []
    for draw in range(DRAWS):
        train, test, labels = _problem(n_train, width, noise, draw)
        split = decomposed(train, labels[0])
        solution = minimum_norm(split)
        answers = train @ solution
        fit = float(np.square(answers - labels[0]).mean())
        norm = float(np.linalg.norm(solution))
        ridged.append([_error(test @ ridge(split, penalty), labels[1]) for penalty in PENALTIES])
        found.append(
            {
                **_curve(axis, noise),
                "run": f"draw {draw}",
                "interpolates": _error(answers, labels[0]) == 0,
                "fits_exactly": fit < FITTED,
                "train_error": _error(answers, labels[0]),
                "test_error": _error(test @ solution, labels[1]),
                "test_loss": float(np.square(test @ solution - labels[1]).mean()),
                "norm": norm,
                "effective_rank": effective_rank(split.values),
                "margin": float((answers * labels[0]).min()),
            }
        )
    best = int(np.mean(ridged, axis=0).argmin())
    return [{**row, "ridge_error": errors[best]} for row, errors in zip(found, ridged, strict=True)]


def _steps(width: int, noise: float, draw: int) -> Iterator[dict[str, Any]]:
    from interp.mathematics.random_features import decomposed, descended

    train, test, labels = _problem(N_TRAIN, width, noise, draw)
    split = decomposed(train, labels[0])
    for step in STEPS:
        solution = descended(split, step, 1 / float(split.values[0]) ** 2)
        yield {
            **_curve(MODEL, noise),
            "size": width,
            "run": f"draw {draw}",
            "step": step,
            "train_error": _error(train @ solution, labels[0]),
            "test_error": _error(test @ solution, labels[1]),
        }


def _problem(n_train: int, width: int, noise: float, draw: int) -> tuple[Any, ...]:
    from interp.mathematics.random_features import fourier_features, problem

    of = problem(n_train=n_train, n_test=N_TEST, n_inputs=N_INPUTS, corrupted_fraction=noise, seed=draw)
    train, test = (
        fourier_features(x, width, bandwidth=BANDWIDTH, seed=draw) for x in (of.train_inputs, of.test_inputs)
    )
    return train, test, (of.train_labels, of.test_labels)


def _error(answers: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows on the wrong side; an answer of 0 is on none."""
    return float((answers * labels <= 0).mean())


def _curve(axis: str, noise: float) -> dict[str, Any]:
    return {"experiment": NAME, "axis": axis, "setting": ONE_SETTING, "noise": noise}
