"""Random features against their kernel, and every solution against the definition that it minimises."""

import re

import numpy as np
import pytest

from interp.mathematics.random_features import (
    decomposed,
    descended,
    effective_rank,
    fourier_features,
    minimum_norm,
    problem,
    ridge,
)

# Of 30 rows; features fewer, as many, and more.
N_TRAIN, WIDTHS = 30, (8, 30, 90)


def setting(n_features, corrupted_fraction=0.0, seed=0, n_test=400):
    p = problem(n_train=N_TRAIN, n_test=n_test, n_inputs=10, corrupted_fraction=corrupted_fraction, seed=seed)
    features = [
        fourier_features(x, n_features, bandwidth=4.0, seed=seed) for x in (p.train_inputs, p.test_inputs)
    ]
    return p, *features


def test_features_approach_the_gaussian_kernel():
    rows = np.random.default_rng(0).standard_normal((6, 3))
    features = fourier_features(rows, 200_000, bandwidth=2.0, seed=1)
    squares = np.square(rows[:, None] - rows[None]).sum(-1)
    # Each product is a mean of 200,000 numbers of spread below 1: 5 standard errors.
    np.testing.assert_allclose(features @ features.T, np.exp(-squares / 8), rtol=0, atol=5 / np.sqrt(200_000))


def test_features_of_one_seed_are_nested():
    rows = np.random.default_rng(0).standard_normal((4, 3))
    few, many = (fourier_features(rows, n, bandwidth=2.0, seed=1) * np.sqrt(n) for n in (5, 12))
    np.testing.assert_allclose(few, many[:, :5], rtol=1e-12)


def test_problems_of_one_seed_differ_in_noise_alone_and_are_balanced():
    clean, noisy = (
        problem(n_train=40, n_test=4000, n_inputs=10, corrupted_fraction=x, seed=3) for x in (0.0, 0.25)
    )
    np.testing.assert_array_equal(clean.train_inputs, noisy.train_inputs)
    np.testing.assert_array_equal(clean.test_labels, noisy.test_labels)
    assert (clean.train_labels != noisy.train_labels).sum() == 10
    fewer = problem(n_train=20, n_test=4000, n_inputs=10, corrupted_fraction=0.0, seed=3)
    np.testing.assert_array_equal(fewer.train_labels, clean.train_labels[:20])
    # The sign of a centred quantity that is no normal one: near a half, never a constant.
    assert abs(clean.test_labels.mean()) < 0.5


@pytest.mark.parametrize("n_features", WIDTHS)
def test_the_minimum_norm_solution_is_that_of_numpy(n_features):
    p, train, _ = setting(n_features)
    ours = minimum_norm(decomposed(train, p.train_labels))
    theirs = np.linalg.lstsq(train, p.train_labels, rcond=1e-13)[0]
    # At the threshold the matrix has a condition number of thousands: relative to the largest coefficient.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())


def test_of_all_that_interpolate_it_is_the_smallest():
    p, train, _ = setting(90)
    ours = minimum_norm(decomposed(train, p.train_labels))
    np.testing.assert_allclose(train @ ours, p.train_labels, atol=1e-9)
    null_space = np.linalg.svd(train)[2][N_TRAIN:]
    # It has nothing in the directions that no row sees, so that adding any of them makes it longer.
    assert np.abs(null_space @ ours).max() < 1e-10 * np.linalg.norm(ours)


@pytest.mark.parametrize("n_features", WIDTHS)
def test_ridge_solves_its_normal_equations_and_tends_to_the_minimum_norm(n_features):
    p, train, _ = setting(n_features)
    of = decomposed(train, p.train_labels)
    by_hand = np.linalg.solve(train.T @ train + 0.1 * np.eye(n_features), train.T @ p.train_labels)
    np.testing.assert_allclose(ridge(of, 0.1), by_hand, rtol=0, atol=1e-10 * np.abs(by_hand).max())
    near = np.linalg.norm(ridge(of, 1e-16 * of.values[-1] ** 2) - minimum_norm(of))
    assert near < 1e-9 * np.linalg.norm(minimum_norm(of))


@pytest.mark.parametrize("n_features", WIDTHS)
def test_gradient_descent_takes_the_steps_that_it_says(n_features):
    p, train, _ = setting(n_features)
    of = decomposed(train, p.train_labels)
    rate, stepped = float(1.5 / of.values[0] ** 2), np.zeros(n_features)
    for _ in range(500):
        stepped -= rate * train.T @ (train @ stepped - p.train_labels)
    np.testing.assert_allclose(descended(of, 500.0, rate), stepped, rtol=0, atol=1e-9 * np.abs(stepped).max())
    # An odd number of steps, where a direction overshoots at each.
    np.testing.assert_allclose(descended(of, 1.0, rate), rate * train.T @ p.train_labels, rtol=1e-9)


@pytest.mark.parametrize("n_features", WIDTHS)
def test_gradient_descent_from_zero_tends_to_the_minimum_norm_solution(n_features):
    p, train, _ = setting(n_features)
    of = decomposed(train, p.train_labels)
    rate = 1 / of.values[0] ** 2
    # Steps after which the slowest direction has e^-30 of its way left.
    n_steps = 30 / (rate * of.values[-1] ** 2)
    end = minimum_norm(of)
    assert np.linalg.norm(descended(of, n_steps, rate) - end) < 1e-9 * np.linalg.norm(end)
    assert np.linalg.norm(descended(of, n_steps / 1000, rate)) < np.linalg.norm(end)


def errors(n_features, penalty=None, corrupted_fraction=0.15):
    """Mean train and test error over eight draws, of the labels' signs, and the mean squared test error."""
    found = []
    for seed in range(8):
        p, train, test = setting(n_features, corrupted_fraction, seed)
        of = decomposed(train, p.train_labels)
        solution = minimum_norm(of) if penalty is None else ridge(of, penalty)
        residual = train @ solution - p.train_labels
        found.append((np.square(residual).mean(), np.square(test @ solution - p.test_labels).mean()))
    return np.mean(found, 0)


def test_the_interpolation_threshold_is_where_there_are_as_many_features_as_rows_and_the_peak_is_there():
    by_width = {n: errors(n) for n in (4, 8, 15, 22, 29, 30, 31, 45, 90, 300)}
    # In squares: 1 is what answering 0 has, rounding leaves 1e-15.
    interpolates = [n for n, (train, _) in by_width.items() if train < 1e-8]
    assert interpolates == [30, 31, 45, 90, 300]
    test = {n: e for n, (_, e) in by_width.items()}
    assert max(test, key=test.__getitem__) == 30
    # A descent, a rise, a second descent: each by more than a factor of two.
    assert min(test[4], test[8]) < test[29] / 2 and test[300] < test[45] < test[31] < test[30] / 2


def test_ridge_removes_the_peak():
    ridged = {n: errors(n, penalty=0.3)[1] for n in (15, 22, 30, 45, 90, 300)}
    assert errors(30)[1] > 10 * ridged[30]
    # Within a tenth of both neighbours' mean: nothing is left of a peak of more than tenfold.
    assert ridged[30] < 1.1 * (ridged[22] + ridged[45]) / 2


def test_random_labels_leave_nothing_to_descend_to():
    p, train, test = setting(300, n_test=4000)
    labels = np.random.default_rng(1).permutation(p.train_labels)
    right = (test @ minimum_norm(decomposed(train, labels))) * p.test_labels > 0
    # By chance up to what 30 shuffled labels still share with the true ones.
    assert abs(right.mean() - 0.5) < 0.1


def test_effective_rank_of_known_spectra():
    assert effective_rank(np.ones(7)) == pytest.approx(7)
    assert effective_rank(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda of: ridge(of, 0.0), "A ridge needs a penalty above 0, got 0.0. minimum_norm is its limit at 0."),
        (lambda of: descended(of, 5.0, float(2.1 / of.values[0] ** 2)), "< 2, got 2.1. Use another rate."),
        (lambda of: problem(n_train=1, n_test=1, n_inputs=1, corrupted_fraction=2.0, seed=0), "in [0, 1], got 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(call, message):
    p, train, _ = setting(8)
    with pytest.raises(ValueError, match=re.escape(message)):
        call(decomposed(train, p.train_labels))
