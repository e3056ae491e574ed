"""Modular tasks against plain Python integers and against the procedures of the papers."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.mathematics.residues import discrete_logarithms, is_prime
from interp.tasks.modular import OPERATIONS, ModularConfig
from interp.tasks.task import Task

FIELDS = {
    "operation": "add",
    "p": 13,
    "train_fraction": 0.3,
    "equals_token": True,
    "separate_vocabularies": False,
    "corrupted_fraction": 0.0,
    "split": "shuffle",
    "split_seed": 0,
}


def make(is_train=None, **changes) -> Task:
    return ModularConfig(**FIELDS | changes).task(is_train)


def quotient(a, b, p):
    return next(c for c in range(p) if c * b % p == a)


# Written from Power et al. 2022, appendix A.1.1, and Nanda et al. 2023, with Python's own integers.
BY_HAND = {
    "add": lambda a, b, p: (a + b) % p,
    "subtract": lambda a, b, p: (a - b) % p,
    "multiply": lambda a, b, p: a * b % p,
    "divide": quotient,
    "divide-or-subtract": lambda a, b, p: quotient(a, b, p) if b % 2 == 1 else (a - b) % p,
    "x2+y2": lambda a, b, p: (a * a + b * b) % p,
    "x2+xy+y2": lambda a, b, p: (a * a + a * b + b * b) % p,
    "x2+xy+y2+x": lambda a, b, p: (a * a + a * b + b * b + a) % p,
    "x3+xy": lambda a, b, p: (a**3 + a * b) % p,
    "x3+xy2+y": lambda a, b, p: (a**3 + a * b * b + b) % p,
}


def test_every_operation_is_tested():
    assert set(BY_HAND) | {"random"} == set(OPERATIONS)


@pytest.mark.parametrize("p", [5, 12, 13, 31])
@pytest.mark.parametrize("operation", BY_HAND)
def test_labels_by_brute_force(operation, p):
    if OPERATIONS[operation].needs_prime and p == 12:
        pytest.skip("needs a prime; the error is tested below")
    task = make(operation=operation, p=p)
    pairs = [(a, b) for a in range(p) for b in range(p) if operation != "divide" or b]
    assert [tuple(pair) for pair in task.config.pairs().tolist()] == pairs
    assert task.labels.tolist() == [BY_HAND[operation](a, b, p) for a, b in pairs]
    assert torch.equal(task.labels, task.true_labels)
    assert task.tokens.tolist() == [[a, b, p] for a, b in pairs]


@pytest.mark.parametrize(("equals", "separate"), [(True, True), (True, False), (False, True), (False, False)])
def test_tokens(equals, separate):
    task = make(equals_token=equals, separate_vocabularies=separate)
    p, config = task.config.p, task.config
    assert config.n_tokens == p * (1 + separate) + equals
    assert task.tokens.shape == (p * p, config.n_pos) == (p * p, 2 + equals)
    for residue in range(p):
        rows = task.config.pairs()[:, 0] == residue
        assert (task.tokens[rows, 0] == task.structure.operand_tokens[0, residue]).all()
        rows = task.config.pairs()[:, 1] == residue
        assert (task.tokens[rows, 1] == task.structure.operand_tokens[1, residue]).all()
    first, second = set(task.tokens[:, 0].tolist()), set(task.tokens[:, 1].tolist())
    assert (first == second) is not separate
    assert not separate or not first & second
    assert set(task.tokens.unique().tolist()) == set(range(config.n_tokens))


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
@pytest.mark.parametrize("p", [3, 7, 13, 31])
def test_algebra_makes_the_answer_a_sum(operation, p):
    task = make(operation=operation, p=p, train_fraction=0.5)
    algebra = task.structure
    first, second = algebra.first[task.config.pairs()[:, 0]], algebra.second[task.config.pairs()[:, 1]]
    answer, named = algebra.answer[task.labels], (first >= 0) & (second >= 0)
    assert torch.equal((first + second)[named] % algebra.order, answer[named])
    # Exactly the rows with a factor 0 have no name, and the names are all of Z_order, each once.
    has_zero = (task.config.pairs() == 0).any(1) & (algebra.order != p)
    assert torch.equal(~named, has_zero)
    for names in (algebra.first, algebra.second, algebra.answer):
        assert sorted(names[names >= 0].tolist()) == list(range(algebra.order))


WITH_ALGEBRA = ("add", "subtract", "multiply", "divide")


@pytest.mark.parametrize("operation", [*(name for name in BY_HAND if name not in WITH_ALGEBRA), "random"])
def test_no_algebra_where_there_is_none(operation):
    assert make(operation=operation).structure is None


def test_no_algebra_for_products_modulo_a_composite():
    assert make(operation="multiply", p=12).structure is None
    assert make(operation="subtract", p=12).structure.order == 12


@pytest.mark.parametrize("p", [3, 5, 13, 113])
def test_discrete_logarithms_are_a_homomorphism(p):
    logarithm = discrete_logarithms(p)
    assert logarithm[0] == -1
    for a in range(1, p):
        for b in range(1, p, 5):
            assert logarithm[a * b % p] == (logarithm[a] + logarithm[b]) % (p - 1)


def test_shuffled_split_is_that_of_nanda():
    # progress-measures-paper, transformers.py: gen_train_test, to the letter.
    p, fraction, seed = 113, 0.3, 0
    pairs = [(i, j, p) for i in range(p) for j in range(p)]
    random.seed(seed)
    random.shuffle(pairs)
    div = int(fraction * len(pairs))
    want = {(i, j) for i, j, _ in pairs[:div]}
    task = make(p=p, train_fraction=fraction, split_seed=seed)
    assert {tuple(pair) for pair in task.config.pairs()[task.split].tolist()} == want
    assert task.n_train == 3830


def test_torch_split_is_that_of_the_demo():
    # Grokking_Demo: torch.manual_seed(598); indices = torch.randperm(p*p); train_indices = indices[:cutoff]
    task = make(p=113, split="torch", split_seed=598)
    with torch.random.fork_rng():
        torch.manual_seed(598)
        indices = torch.randperm(113 * 113)[: int(113 * 113 * 0.3)]
    assert torch.equal(task.split.nonzero().squeeze(1), indices.sort().values)


@pytest.mark.parametrize("split", ["shuffle", "unordered", "torch"])
def test_split_depends_on_its_seed_alone(split):
    torch.manual_seed(1)
    random.seed(1)
    first = make(split=split)
    torch.manual_seed(2)
    random.seed(2)
    state, torch_state = random.getstate(), torch.get_rng_state()
    assert torch.equal(make(split=split).split, first.split)
    # ... and leaves everyone else's random numbers alone.
    assert random.getstate() == state
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert not torch.equal(make(split=split, split_seed=1).split, first.split)


@given(
    p=st.integers(4, 14),
    fraction=st.floats(0.2, 0.8),
    seed=st.integers(0, 5),
    split=st.sampled_from(["shuffle", "unordered", "torch"]),
    operation=st.sampled_from(["add", "x3+xy"]),
)
def test_split_takes_the_stated_number_of_rows(p, fraction, seed, split, operation):
    task = make(p=p, train_fraction=fraction, split=split, split_seed=seed, operation=operation)
    assert task.n_examples == p * p
    want = int(fraction * (p * p))
    # Whole unordered pairs fill any number: single rows (a, a) are among them, unless all are used up.
    assert task.n_train == want or (split == "unordered" and task.n_train == want - 1)
    if split == "unordered":
        rows = task.split.reshape(p, p)
        assert torch.equal(rows, rows.T)


def test_unordered_split_of_a_domain_that_is_not_symmetric():
    task = make(operation="divide", split="unordered")
    train = {tuple(pair) for pair in task.config.pairs()[task.split].tolist()}
    test = {tuple(pair) for pair in task.config.pairs()[~task.split].tolist()}
    assert not {(b, a) for a, b in train} & test


@pytest.mark.parametrize("operation", ["add", "random"])
@pytest.mark.parametrize("fraction", [0.1, 1.0])
def test_corrupted_labels_are_train_rows_all_wrong_and_recorded(operation, fraction):
    task = make(p=31, operation=operation, corrupted_fraction=fraction)
    clean = make(p=31, operation=operation)
    assert task.is_corrupted.sum() == int(fraction * task.n_train)
    assert not (task.is_corrupted & ~task.split).any()
    assert torch.equal(task.labels != task.true_labels, task.is_corrupted)
    assert torch.equal(task.true_labels, clean.labels)
    assert torch.equal(task.split, clean.split)
    assert task.labels.min() >= 0
    assert task.labels.max() < 31
    shift = (task.labels - task.true_labels)[task.is_corrupted] % 31
    if fraction == 1:
        assert shift.unique().tolist() == list(range(1, 31))  # any other label can come
    again = make(p=31, operation=operation, corrupted_fraction=fraction)
    assert torch.equal(task.labels, again.labels)


def test_random_labels_are_drawn_for_each_pair():
    task, other = make(operation="random", p=31), make(operation="random", p=31, split_seed=1)
    assert task.labels.unique().tolist() == list(range(31))
    assert not torch.equal(task.labels, other.labels)
    # Chance that a fair draw has a cell beyond this: about 1e-5 (961 draws into 31 cells, mean 31, sd 5.5).
    assert task.labels.bincount().max() < 31 + 5 * 5.5


def test_explicit_and_unknown_splits():
    recorded = torch.arange(169) % 4 == 0
    task = make(recorded, split="explicit", corrupted_fraction=0.5)
    assert torch.equal(task.split, recorded)
    assert not (task.is_corrupted & ~recorded).any()
    assert make(split="unknown").is_train is None


def test_is_prime():
    assert [p for p in range(-3, 120) if is_prime(p)] == [
        p for p in range(2, 120) if not any(p % d == 0 for d in range(2, p))
    ]


def test_errors(annotations_off):
    cases = [
        ({"operation": "modulo"}, r"one of the operations add, subtract, .*random, got 'modulo'\."),
        ({"p": 1}, "a modulus p of at least 2, got 1"),
        ({"operation": "divide", "p": 12}, r"needs a prime p, got 12, .*Use p=13, or an operation without"),
        ({"operation": "divide-or-subtract", "p": 14}, "needs a prime p, got 14.*Use p=17"),
        ({"train_fraction": 0.0}, r"strictly between 0 and 1, got 0\.0"),
        ({"train_fraction": 1.0}, r"strictly between 0 and 1, got 1\.0"),
        ({"train_fraction": -0.3}, "strictly between 0 and 1, got -0.3"),
        ({"train_fraction": float("nan")}, "strictly between 0 and 1, got nan"),
        ({"corrupted_fraction": 1.5}, r"corrupted_fraction in \[0, 1\], got 1.5"),
        ({"split": "random"}, "split to be one of 'shuffle', 'unordered', .*, got 'random'"),
    ]
    for changes, message in cases:
        with annotations_off(), pytest.raises(ValueError, match=message):
            ModularConfig(**FIELDS | changes)
    with pytest.raises(ValueError, match=r"Train fraction 0.1 of 9 rows leaves train empty. Use a larger p"):
        make(p=3, train_fraction=0.1)
    with pytest.raises(ValueError, match="one boolean for each of the 169 rows, got nothing"):
        make(split="explicit")
    with pytest.raises(ValueError, match=r"169 rows, got \(4,\) of torch.bool"):
        make(torch.ones(4, dtype=torch.bool), split="explicit")
    with pytest.raises(ValueError, match="goes with split='explicit' only, got split='shuffle'"):
        make(torch.ones(169, dtype=torch.bool))
    with pytest.raises(ValueError, match="Corrupted labels need a known split"):
        make(split="unknown", corrupted_fraction=0.1)
    with pytest.raises(ValueError, match="needs the train/test split, which the run does not have"):
        make(split="unknown").split
    with pytest.raises(ValueError, match="Discrete logarithms need a prime p, got 12"):
        discrete_logarithms(12)
