"""Random Fourier features and their exact solutions: the network whose double descent has a closed form.

f(x) = sum of coefficient_k phi_k(x) with phi_k(x) = sqrt(2 / N) cos(w_k x + b_k): a network of N neurons whose first
layer is never trained. Then least squares has one answer for every width, without an optimizer that could be blamed:
the coefficients of the smallest norm among those that fit best, by the pseudo-inverse. Every other solution here is the
same one with its singular directions weighted: gradient descent from zero takes the large ones first,
ridge holds the small ones down.

References: Rahimi and Recht 2007, "Random features for large-scale kernel machines" (the features); Belkin, Hsu, Ma and
Mandal 2019, "Reconciling modern machine-learning practice and the classical bias-variance trade-off", section 2 (their
double descent); Ali, Kolter and Tibshirani 2019, "A continuous-time view of early stopping for least squares
regression" (gradient descent as a weighting of singular directions).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

# Singular values below this share of the largest are rounding: as numpy's and MATLAB's pinv, of matrices of hundreds.
CUTOFF = 1e-13


class Problem(NamedTuple):
    """Which side of a random curved surface is a point on? Labels are +1 and -1.

    Attributes:
        train_inputs, test_inputs: (row, input), independent standard normal.
        train_labels, test_labels: a share of those of train is wrong, none of those of test.
    """

    train_inputs: Float[np.ndarray, "train input"]
    train_labels: Float[np.ndarray, " train"]
    test_inputs: Float[np.ndarray, "test input"]
    test_labels: Float[np.ndarray, " test"]


def problem(
    *, n_train: int, n_test: int, n_inputs: int, corrupted_fraction: float, seed: int, n_teacher: int = 8
) -> Problem:
    """Rows and labels of a teacher: the sign of a sum of `n_teacher` ReLUs of random projections, weighted at random.

    Teacher, train rows, test rows and noise have generators of their own: problems of one seed have the same teacher
    and the same test rows (as many as are asked), and the train rows of a smaller one are the first of a larger one's.
    Which labels are wrong is drawn for each number of train rows anew.

    Raises:
        ValueError: if the share is not in [0, 1].
    """
    if not 0 <= corrupted_fraction <= 1:
        raise ValueError(f"Label noise needs corrupted_fraction in [0, 1], got {corrupted_fraction}.")
    of_teacher, of_train, of_test, of_noise = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4)
    )
    planes = of_teacher.standard_normal((n_inputs, n_teacher)) / math.sqrt(n_inputs)
    weights = of_teacher.standard_normal(n_teacher)

    def labels(inputs: np.ndarray) -> np.ndarray:
        # Without the mean over inputs one of the labels would be the rarer.
        return np.where((np.maximum(inputs @ planes, 0) - mean) @ weights >= 0, 1.0, -1.0)

    # Of a normal variable of variance v the mean of its positive part is sqrt(v / 2 pi).
    mean = np.linalg.norm(planes, axis=0) / math.sqrt(2 * math.pi)
    train_inputs = of_train.standard_normal((n_train, n_inputs))
    test_inputs = of_test.standard_normal((n_test, n_inputs))
    true = labels(train_inputs)
    is_wrong = np.zeros(n_train, dtype=bool)
    is_wrong[of_noise.permutation(n_train)[: int(corrupted_fraction * n_train)]] = True
    return Problem(train_inputs, np.where(is_wrong, -true, true), test_inputs, labels(test_inputs))


def fourier_features(
    inputs: Float[np.ndarray, "row input"], n_features: int, *, bandwidth: float, seed: int
) -> Float[np.ndarray, "row feature"]:
    """sqrt(2 / N) cos(w x / bandwidth + b), w standard normal and b uniform: the product of two rows' features is, in
    the mean, the Gaussian kernel exp(-|x - y|^2 / 2 bandwidth^2).

    Features of one seed are nested: those of N are the first N of any more, up to the factor.
    """
    rng = np.random.default_rng([seed, 1])
    n_inputs = inputs.shape[1]
    # One row a feature, so that more features leave the first ones as they are.
    drawn = rng.standard_normal((n_features, n_inputs + 1))
    # Uniform on the circle, of a normal number: by its distribution function.
    phases = np.array([math.pi * (1 + math.erf(z / math.sqrt(2))) for z in drawn[:, -1]])
    return math.sqrt(2 / n_features) * np.cos(inputs @ (drawn[:, :-1] / bandwidth).T + phases)


class Decomposed(NamedTuple):
    """Train features by their singular directions, and the labels in them.

    Attributes:
        values: singular values above `CUTOFF`, descending.
        directions: (feature, singular).
        projected: the labels along each direction of the rows.
    """

    values: Float[np.ndarray, " singular"]
    directions: Float[np.ndarray, "feature singular"]
    projected: Float[np.ndarray, " singular"]


def decomposed(features: Float[np.ndarray, "row feature"], labels: Float[np.ndarray, " row"]) -> Decomposed:
    """The singular value decomposition that all solutions below share."""
    if features.shape[1] <= features.shape[0]:
        left, values, right = np.linalg.svd(features, full_matrices=False)
    else:
        # Of many features: the triangle has the same singular values, and is as small as the rows are few.
        basis, triangle = np.linalg.qr(features.T)
        right, values, left = np.linalg.svd(triangle)
        right, left = (basis @ right).T, left.T
    kept = values > CUTOFF * values[0]
    return Decomposed(values[kept], right[kept].T, left[:, kept].T @ labels)


def minimum_norm(of: Decomposed) -> Float[np.ndarray, " feature"]:
    """The least-squares coefficients of the smallest norm: the pseudo-inverse times the labels.

    As soon as there are as many features as rows it interpolates; what it does to the rest of the space is what double
    descent is about.
    """
    return of.directions @ (of.projected / of.values)


def ridge(of: Decomposed, penalty: float) -> Float[np.ndarray, " feature"]:
    """Minimises |Phi c - y|^2 + penalty |c|^2: each direction has s / (s^2 + penalty) in place of 1 / s.

    Raises:
        ValueError: if the penalty is not above 0.
    """
    if not penalty > 0:
        raise ValueError(f"A ridge needs a penalty above 0, got {penalty}. minimum_norm is its limit at 0.")
    return of.directions @ (of.projected * of.values / (of.values**2 + penalty))


def descended(of: Decomposed, n_steps: float, rate: float) -> Float[np.ndarray, " feature"]:
    """Where gradient descent from zero is after n steps: each direction has come 1 - (1 - rate s^2)^n of its way.

    Of the loss |Phi c - y|^2 / 2. It tends to the minimum-norm solution: it never leaves the span of the rows.

    Raises:
        ValueError: if the rate is so large that the first direction does not settle.
    """
    largest = rate * float(of.values[0]) ** 2
    if not 0 < largest < 2:
        raise ValueError(
            f"Gradient descent needs 0 < rate * (largest singular value)^2 < 2, got {largest:.3g}. Use another rate."
        )
    factor = 1 - rate * of.values**2
    # |factor|^n underflows to 0 where it should; its sign matters where the rate overshoots.
    left = np.sign(factor) ** np.round(n_steps) * np.exp(n_steps * np.log(np.abs(factor).clip(1e-300)))
    return of.directions @ (of.projected / of.values * (1 - left))


def effective_rank(values: Float[np.ndarray, " singular"]) -> float:
    """exp of the entropy of the singular values over their sum (Roy and Vetterli 2007), as in `weight_spectra`."""
    share = values / values.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))
