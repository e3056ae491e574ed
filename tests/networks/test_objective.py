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
