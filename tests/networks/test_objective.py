"""One definition of loss and accuracy: written out by hand, and the same wherever a number is made of logits."""

import dataclasses
import math

import pytest
import torch

from interp.checks.recorded_losses import RecordedLossCheck
from interp.networks import objective
from interp.networks.config import initial_weights
from interp.probes import losses
from interp.probes.landscape.loss import mean_loss, questions_of
from interp.runs.record import RunRecord
from interp.runs.saving import create_run, save_checkpoint
from interp.snapshots.snapshot import Snapshot
from interp.training.data import Data
from tests.tiny import tiny_config


def test_by_hand():
    logits, labels = torch.tensor([[0.0, 1.0, 3.0], [2.0, 2.0, 0.0]]), torch.tensor([2, 1])
    by_hand = [
        math.log(math.exp(0) + math.exp(1) + math.exp(3)) - 3,
        math.log(2 * math.exp(2) + 1) - 2,
    ]
    # 1e-12: float64 throughout.
    assert objective.losses(logits, labels, torch.float64).tolist() == pytest.approx(by_hand, abs=1e-12)
    assert objective.loss(logits, labels, torch.float64).item() == pytest.approx(sum(by_hand) / 2, abs=1e-12)
    assert objective.is_right(logits, labels).tolist() == [True, False]  # of equal logits the first counts
    assert objective.scores(logits, labels) == {"loss": pytest.approx(sum(by_hand) / 2), "accuracy": 0.5}


def test_the_stated_precision_is_that_of_the_result():
    logits, labels = torch.tensor([[0.0, 30.0]]), torch.tensor([1])
    assert objective.loss(logits, labels, torch.float32).item() == 0  # collapsed
    assert objective.loss(logits, labels, torch.float64).item() == pytest.approx(math.exp(-30), rel=1e-3)


DTYPES = [torch.float64, torch.float32, torch.float16]
# Relative rounding of one operation; losses of a few nats go through some ten.
ROUNDING = {torch.float64: 1e-15, torch.float32: 1e-7, torch.float16: 1e-3}


def squared_error(row, label):
    return sum((z - (1.0 if k == label else 0.0)) ** 2 for k, z in enumerate(row))


def stablemax(row, label):
    shares = [z + 1 if z >= 0 else 1 / (1 - z) for z in row]
    return -math.log(shares[label] / sum(shares))


def hinge(row, label):
    return max(0.0, 1 - (row[label] - max(z for k, z in enumerate(row) if k != label)))


def cross_entropy(row, label):
    return math.log(sum(math.exp(z - max(row)) for z in row)) + max(row) - row[label]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("kind", "by_hand"),
    [
        ("squared-error", squared_error),
        ("stablemax", stablemax),
        ("cross-entropy", cross_entropy),
        ("hinge", hinge),
    ],
)
def test_every_kind_of_loss_by_hand_in_every_precision(kind, by_hand, dtype):
    torch.manual_seed(0)
    # Numbers that float16 holds, with zero and one, where StableMax changes its branch and has a pole on the other.
    logits = (torch.randn(40, 7) * 4).half().float()
    logits[0] = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.0, -3.0, 5.0])
    labels = torch.arange(40) % 7
    wanted = [by_hand(row, label) for row, label in zip(logits.tolist(), labels.tolist(), strict=True)]
    found = objective.losses(logits, labels, dtype, kind)
    total = objective.loss(logits, labels, dtype, kind)
    assert found.dtype == total.dtype == dtype
    assert found.tolist() == pytest.approx(wanted, rel=20 * ROUNDING[dtype], abs=20 * ROUNDING[dtype])
    assert total.item() == pytest.approx(sum(wanted) / 40, rel=20 * ROUNDING[dtype])


@pytest.mark.parametrize("kind", ["squared-error", "stablemax", "cross-entropy"])
def test_slopes_are_those_of_finite_differences_and_never_nan(kind):
    logits = torch.tensor([[0.5, -2.0, 3.0], [-0.25, 1.0, -4.0]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([2, 0])
    assert torch.autograd.gradcheck(lambda x: objective.loss(x, labels, torch.float64, kind), logits)
    edge = torch.tensor([[0.0, 1.0, -1.0]], dtype=torch.float64, requires_grad=True)
    objective.loss(edge, labels[:1], torch.float64, kind).backward()
    assert edge.grad.isfinite().all()
    if kind == "stablemax":
        # s has the slope 1 at zero from both sides: s = 1, 2, 1/2 and the label is the last.
        assert edge.grad.tolist() == [pytest.approx([1 / 3.5, 1 / 3.5, 0.25 / 3.5 - 0.25 / 0.5])]


def test_a_mean_over_thousands_of_questions_does_not_overflow_in_float16():
    logits, labels = torch.zeros(5000, 2), torch.zeros(5000, dtype=torch.long)
    logits[:, 1] = 100
    assert objective.loss(logits, labels, torch.float16).item() == 100


@pytest.mark.parametrize("kind", ["squared-error", "stablemax"])
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_training_minimises_what_the_recipe_says_and_records_cross_entropy(kind, dtype):
    config = tiny_config(optimizer={"loss": kind, "loss_dtype": dtype})
    data = Data(config.task.task(), config.recipe(), "cpu")
    weights = initial_weights(config.model, 0)
    logits = data.train_logits(weights)
    minimised = data.loss(logits, data.train.labels)
    assert minimised == objective.loss(logits, data.train.labels, getattr(torch, dtype), kind)
    plain = objective.loss(logits, data.train.labels, torch.float64)
    assert data.evaluate(weights)["train_loss"] == plain.item() != minimised.item()


def test_trainer_probes_and_checks_agree_where_a_network_has_more_outputs_than_answers(tmp_path):
    """As openai/grok's networks, whose softmax runs over a vocabulary of 239 with 97 answers."""
    config = tiny_config(1)
    model = dataclasses.replace(config.model, d_vocab_out=30)
    config = dataclasses.replace(config, model=model)
    task, weights = config.task.task(), initial_weights(model, 0)
    weights["unembed.W_U"][:, 11:] *= 20  # the other outputs take nearly all of the probability
    run = create_run(tmp_path / "run", config, RunRecord(status="complete", unit="step"), task)
    save_checkpoint(run, 0, weights)
    snapshot = Snapshot.of(run, 0)

    trained = Data(task, config.recipe(), "cpu").evaluate(weights)
    check = RecordedLossCheck(run)
    check.add(0, weights)
    table = losses(snapshot).set_index("split")
    for split in ("train", "test"):
        wanted = trained[f"{split}_loss"]
        rows = task.split if split == "train" else ~task.split
        logits = snapshot.model(task.tokens)[rows, -1].double()
        by_hand = -logits.log_softmax(-1).gather(1, task.labels[rows][:, None]).mean().item()
        # 1e-6: float32 logits of two forward passes.
        assert wanted == pytest.approx(by_hand, rel=1e-6)
        assert check.recomputed[0] == {k: pytest.approx(v, rel=1e-12) for k, v in trained.items()}
        assert table.loc[split, "loss"] == pytest.approx(wanted, rel=1e-12)
        assert table.loc[split, "accuracy"] == trained[f"{split}_accuracy"]
        assert mean_loss(model, questions_of(snapshot, split))(weights).item() == pytest.approx(
            wanted, rel=1e-12
        )
    assert trained["test_loss"] > 2 * math.log(11)
