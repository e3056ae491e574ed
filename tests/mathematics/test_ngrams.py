"""Counts of a text against dictionaries and loops, and entropies against what they must be."""

import itertools
from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.mathematics.ngrams import Ngrams, held_out_losses

texts = st.integers(2, 7).flatmap(
    lambda n_pos: st.lists(
        st.lists(st.integers(0, 4), min_size=n_pos, max_size=n_pos), min_size=2, max_size=6
    )
)


def pairs_of(windows):
    return [(int(a), int(b)) for row in windows for a, b in itertools.pairwise(row)]


def oracle_losses(counted, other, n_tokens):
    """Losses of smoothed counts, written with dictionaries and from the formula of Witten and Bell."""
    pairs, after = Counter(pairs_of(counted)), Counter(b for _, b in pairs_of(counted))
    n = sum(after.values())
    total_uni = total_bi = 0.0
    for a, b in pairs_of(other):
        frequency = (after[b] + 1) / (n + n_tokens)
        followers = {y for x, y in pairs if x == a}
        seen = sum(c for (x, _), c in pairs.items() if x == a)
        kinds = len(followers)
        # lambda = N / (N + T): the share of what was seen; Witten and Bell 1991, method C.
        weight = seen / (seen + kinds) if seen else 0.0
        conditional = weight * (pairs[a, b] / seen if seen else 0.0) + (1 - weight) * frequency
        total_uni -= log(frequency)
        total_bi -= log(conditional)
    n_other = len(pairs_of(other))
    return total_uni / n_other, total_bi / n_other


@given(texts)
def test_entropies_are_those_of_dictionaries(rows):
    windows = np.array(rows)
    found = Ngrams.of(windows, 5)
    pairs = Counter(pairs_of(windows))
    after, before = Counter(b for _, b in pairs_of(windows)), Counter(a for a, _ in pairs_of(windows))
    n = sum(pairs.values())
    # 1e-12: sums of at most 36 terms of order 1 in float64.
    assert found.unigram_entropy == pytest.approx(-sum(c / n * log(c / n) for c in after.values()), abs=1e-12)
    want = -sum(c / n * log(c / before[a]) for (a, _), c in pairs.items())
    assert found.bigram_entropy == pytest.approx(want, abs=1e-12)
    assert found.bigram_entropy <= found.unigram_entropy + 1e-12
    assert {tuple(p): c for p, c in zip(found.pairs.tolist(), found.counts.tolist(), strict=True)} == pairs


@given(texts)
def test_losses_of_one_half_on_the_other_are_the_formula(rows):
    windows = np.array(rows)
    there, back = oracle_losses(windows[::2], windows[1::2], 5), oracle_losses(windows[1::2], windows[::2], 5)
    share = len(windows[1::2]) / len(windows)
    want = [share * a + (1 - share) * b for a, b in zip(there, back, strict=True)]
    assert held_out_losses(windows, 5) == pytest.approx(want, abs=1e-12)


def test_shares_of_all_next_tokens_sum_to_one():
    windows = np.random.default_rng(0).integers(0, 6, (5, 9))
    found = Ngrams.of(windows, 6)
    for before in range(6):
        every = np.array([[before, after] for after in range(6)])
        losses = [found.losses_on(pair[None])[1] for pair in every]
        # 1e-12: six terms in float64.
        assert sum(np.exp(-x) for x in losses) == pytest.approx(1.0, abs=1e-12)


def test_a_text_of_pairs_that_are_certain_and_one_without_any():
    certain = Ngrams.of(np.tile(np.arange(4), (10, 3)), 4)
    assert certain.bigram_entropy == 0 and certain.unigram_entropy > 1
    drawn = np.random.default_rng(1).integers(0, 4, (400, 50))
    free = Ngrams.of(drawn, 4)
    # 0.001: 20,000 draws; counting 16 cells lowers the entropy by about 12 / (2 * 20000) nats.
    assert free.bigram_entropy == pytest.approx(log(4), abs=0.001)
    assert held_out_losses(drawn, 4)[1] > free.bigram_entropy


def test_no_windows_and_a_single_one():
    assert held_out_losses(np.array([[0, 1, 2]]), 3) is None
    for windows in (np.zeros((0, 4), dtype=int), np.zeros((4, 1), dtype=int)):
        with pytest.raises(ValueError, match=r"N-grams need windows of at least 2 tokens, got the shape"):
            Ngrams.of(windows, 3)
