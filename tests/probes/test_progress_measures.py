"""Losses and progress measures: exact on hand-built networks, equal to dense projectors on arbitrary logits."""

import math
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch

from interp.mathematics import fourier
from interp.measurement import measure as measurement
from interp.networks.network import DescribedNetwork
from interp.probes.answers.losses import losses
from interp.probes.fourier.progress_measures import (
    losses_without,
    progress_measures,
)
from interp.runs.config import RunConfig
from interp.runs.record import RunRecord
from interp.runs.saving import create_run, save_checkpoint
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tables.key_frequencies import run_key_frequencies
from tests import hand_built

module = import_module("interp.probes.fourier.progress_measures")

CHANCE = math.log(13)


def by_split(snapshot):
    return losses(snapshot).set_index("split")


def value(table, measure, selection, split="train", column="loss", frequency=0):
    columns = ["measure", "selection", "split", "frequency"]
    found = table.set_index(columns)[column]
    assert found.index.is_unique
    return found.loc[(measure, selection, split, frequency)]


def with_logits(logits, p=13, **task_changes):
    """A snapshot whose logits are what we say (kept from the start); its weights play no part."""
    task = hand_built.addition(p, **task_changes)
    config = hand_built.config_for(task, d_model=4, n_heads=1, d_mlp=4)
    snapshot = Snapshot(0, hand_built._zeros(config), DescribedNetwork(config), task)
    snapshot.activation.kept["hook_unembed"] = logits(task) if callable(logits) else logits
    return snapshot


def random_logits(task, scale=3.0):
    draws = torch.Generator().manual_seed(1)
    # With a part that depends on a+b, so that key frequencies matter.
    noise = torch.randn(task.n_examples, task.config.p, generator=draws) * scale
    return (noise + 2 * scale * torch.nn.functional.one_hot(task.true_labels, task.config.p)).float()


def sum_logits(table, task):
    """Logits that depend on a+b alone, by a table (s, c)."""
    return table[task.config.pairs().sum(1) % task.config.p]


# --- losses


def test_a_silent_network_is_at_chance():
    table = by_split(with_logits(lambda task: torch.zeros(task.n_examples, 13)))
    np.testing.assert_allclose(table["loss"], CHANCE, rtol=1e-15)
    np.testing.assert_allclose(table["confidence"], 1 / 13, rtol=1e-14)  # exp of a rounded logarithm
    assert (table[["margin_mean", "margin_min", "logit_scale"]] == 0).all(axis=None)


def test_clock_has_the_margin_of_its_formula():
    table = by_split(hand_built.clock([2, 5], amplitudes=[1.0, 3.0]))
    d = np.arange(13)
    logits = np.cos(2 * np.pi * 2 * d / 13) + 3 * np.cos(2 * np.pi * 5 * d / 13)
    margin = logits[0] - logits[1:].max()
    # 1e-5: float32 weights.
    for split in ("train", "test", "all"):
        assert table.loc[split, "margin_mean"] == pytest.approx(margin, abs=1e-5)
        assert table.loc[split, "margin_min"] == pytest.approx(margin, abs=1e-5)
        assert table.loc[split, "logit_scale"] == pytest.approx((1 / 2 + 9 / 2) ** 0.5, abs=1e-5)
        assert table.loc[split, "loss"] == pytest.approx(-np.log(np.exp(logits[0]) / np.exp(logits).sum()))
        assert table.loc[split, "accuracy"] == 1


def test_losses_below_float32_are_resolved():
    table = by_split(hand_built.memorizer(scale=20.0))
    # 12 exp(-20) = 2.5e-8 is less than half of what float32 can tell from 0 beside 1; 1e-7 is half of the loss's own
    # relative size, dropped in log(1+x) = x, and float64 rounding of 1 + x.
    assert table.loc["train", "loss"] == pytest.approx(12 * math.exp(-20), rel=1e-7, abs=0)
    assert table.loc["test", "loss"] == pytest.approx(CHANCE, rel=1e-12)
    assert table.loc["train", ["accuracy", "margin_min", "margin_mean"]].tolist() == [1, 20, 20]
    assert table.loc["test", "margin_mean"] == 0
    assert table.loc["all", "n"] == table.loc["train", "n"] + table.loc["test", "n"] == 169


def test_margins_are_negative_where_the_answer_is_wrong():
    def logits(task):
        wrong = (task.true_labels + 1) % 13
        return 5.0 * torch.nn.functional.one_hot(wrong, 13)

    table = by_split(with_logits(logits))
    assert table.loc["test", ["accuracy", "margin_mean", "margin_min"]].tolist() == [0, -5, -5]


def test_margins_of_arbitrary_logits():
    snapshot = with_logits(random_logits)
    test = ~snapshot.is_train
    margins = []
    for logits, label in zip(snapshot.logits[test].tolist(), snapshot.labels[test].tolist(), strict=True):
        margins.append(logits[label] - max(x for c, x in enumerate(logits) if c != label))
    table = by_split(snapshot)
    # 1e-6: margins are differences of float32 logits.
    assert table.loc["test", "margin_min"] == pytest.approx(min(margins), rel=1e-6)
    assert table.loc["test", "margin_mean"] == pytest.approx(np.mean(margins), rel=1e-5)


def test_corrupted_rows_stand_apart_and_train_means_correct_labels():
    snapshot = hand_built.memorizer(corrupted_fraction=0.25)
    table = by_split(snapshot)
    n_train = snapshot.task.n_train
    assert table.loc["corrupted", "n"] == int(0.25 * n_train)
    assert table.loc["train", "n"] + table.loc["corrupted", "n"] == n_train
    assert table.loc["corrupted", "accuracy"] == 1  # the shown labels, by heart
    assert table.loc["corrupted", "true_accuracy"] == 0
    assert table.loc["train", "true_accuracy"] == 1
    generaliser = by_split(
        Snapshot(0, hand_built.clock([2, 5]).weights, hand_built.clock([2, 5]).network, snapshot.task)
    )
    assert generaliser.loc["corrupted", ["accuracy", "true_accuracy"]].tolist() == [0, 1]


def test_without_a_split_only_all_rows_are_reported():
    snapshot = with_logits(random_logits, split="unknown")
    assert losses(snapshot)["split"].tolist() == ["all"]
    table = progress_measures(snapshot, frequencies=[1, 2])
    assert set(table["split"]) == {"all"}
    assert set(table["measure"]) == {"restricted_loss", "trig_loss"}


def test_calibration_error_against_a_loop_over_bins():
    snapshot = with_logits(lambda task: random_logits(task, scale=1.0), p=23)
    probability = snapshot.logits.double().softmax(1)
    confidence, answer = probability.max(1)
    is_right = (answer == snapshot.labels).double()
    expected = 0.0
    for i in range(15):
        rows = (confidence >= i / 15) & (confidence < (i + 1) / 15)
        if rows.any():
            expected += rows.double().mean().item() * abs((is_right - confidence)[rows].mean().item())
    assert expected > 0.01
    # 1e-12: float64 sums of 529 numbers.
    assert by_split(snapshot).loc["all", "calibration_error"] == pytest.approx(expected, abs=1e-12)


def test_doubt_and_overconfidence_do_not_cancel():
    def logits(task):
        right = torch.nn.functional.one_hot(task.true_labels, 13).float()
        is_sure = (torch.arange(169) % 2 == 0)[:, None]
        # Sure and wrong, or right without conviction (1 / (1 + 12 exp(-1e-3)), next to 1/13).
        return torch.where(is_sure, 1e3 * right.roll(1, 1), 1e-3 * right)

    doubt, n_sure = 1 - 1 / (1 + 12 * math.exp(-1e-3)), 85
    error = by_split(with_logits(logits)).loc["all", "calibration_error"]
    # 1e-6: logits are float32.
    assert error == pytest.approx((n_sure + (169 - n_sure) * doubt) / 169, rel=1e-6)


def test_certain_answers_belong_to_the_last_bin():
    assert by_split(hand_built.memorizer(scale=1000.0)).loc["train", "calibration_error"] == 0


# --- progress measures: against dense projectors


def dense(snapshot, frequencies):
    """Restricted, excluded, trig and trig-excluded logits (named rows, p), by explicit unit vectors over residues."""
    task, algebra = snapshot.task, snapshot.task.structure
    n = algebra.order
    x, y = algebra.first[task.config.pairs()[:, 0]], algebra.second[task.config.pairs()[:, 1]]
    named = (x >= 0) & (y >= 0)
    s, logits = (x + y)[named].double(), snapshot.logits[named].double()
    in_2d, in_3d = torch.zeros_like(logits), torch.zeros_like(logits)
    for k in frequencies:
        w = 2 * torch.pi * k / n
        for wave in (torch.cos(w * s), torch.sin(w * s)) if 2 * k != n else (torch.cos(w * s),):
            u = wave / wave.norm()
            in_2d += torch.outer(u, u @ logits)
        cube = torch.cos(w * (s[:, None] - algebra.answer[None, :])) * (algebra.answer >= 0)
        cube /= cube.norm()
        in_3d += (cube * logits).sum() * cube
    bias = (logits - in_2d).mean(0)
    found = {
        "restricted_loss": in_2d + bias,
        "excluded_loss": logits - in_2d,
        "trig_loss": in_3d,
        "trig_excluded_loss": logits - in_3d,
    }
    rows = {
        "all": torch.ones_like(named),
        "train": task.is_train & ~task.is_corrupted,
        "test": ~task.is_train,
    }
    return found, {split: mask[named] for split, mask in rows.items()}, task.true_labels[named]


def cross_entropy(logits, labels, rows):
    return torch.nn.functional.cross_entropy(logits[rows], labels[rows]).item()


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply", "divide"])
@pytest.mark.parametrize("p", [11, 13])
def test_every_measure_equals_the_dense_projector(operation, p):
    # Half of the frequencies, or as near as there are: the random sets of equal size are then the other half.
    key = {10: [2, 3], 11: [1, 5], 12: [2, 3, 6], 13: [1, 4, 6]}
    snapshot = with_logits(random_logits, p=p, operation=operation, corrupted_fraction=0.1)
    n = snapshot.task.structure.order
    table = progress_measures(snapshot, frequencies=key[n], n_random=7)
    wanted, rows, labels = dense(snapshot, key[n])
    assert set(table["split"]) == {"train", "test", "all"}
    for measure, logits in wanted.items():
        for split in ["train"] if "excluded" in measure else ["train", "test", "all"]:
            # 1e-10: two orders of float64 sums of about 10^3 terms, through exp.
            assert value(table, measure, "key", split) == pytest.approx(
                cross_entropy(logits, labels, rows[split]), rel=1e-10
            ), (measure, split)
            if "excluded" not in measure:
                accuracy = (logits.argmax(1) == labels)[rows[split]].double().mean()
                assert value(table, measure, "key", split, "accuracy") == pytest.approx(accuracy.item())
    for k in range(1, n // 2 + 1):
        single = dense(snapshot, [k])[0]["excluded_loss"]
        got = value(table, "excluded_loss", "single", frequency=k)
        assert got == pytest.approx(cross_entropy(single, labels, rows["train"]), rel=1e-10)


def test_random_sets_are_as_large_as_the_key_set_and_disjoint_from_it():
    snapshot = with_logits(random_logits)
    table = progress_measures(snapshot, frequencies=[1, 4, 6], n_random=5)
    # Only 2, 3 and 5 are left: every draw is this set, and the band has no width.
    wanted, rows, labels = dense(snapshot, [2, 3, 5])
    for measure, split in (("restricted_loss", "all"), ("excluded_loss", "train")):
        expected = cross_entropy(wanted[measure], labels, rows[split])
        for column in ("loss", "loss_min", "loss_max"):
            assert value(table, measure, "random", split, column) == pytest.approx(expected, rel=1e-10)
    too_many = progress_measures(snapshot, frequencies=[1, 2, 3, 4])
    assert "random" not in set(too_many["selection"])


def test_random_sets_are_seeded_and_span_a_band():
    snapshot = with_logits(random_logits, p=23)
    first, same, other = (
        progress_measures(snapshot, frequencies=[1, 2], seed=seed).query("selection == 'random'")
        for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, same)
    assert (first["loss"].to_numpy() != other["loss"].to_numpy()).all()
    assert (first["loss_min"] < first["loss"]).all()
    assert (first["loss"] < first["loss_max"]).all()


def test_parts_and_mean_are_the_whole_and_parseval_holds():
    by_sum = torch.randn(12, 13, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for n in (12, 11):
        tables = module._frequency_tables(by_sum[:n])
        # 1e-12: float64 sums of a dozen terms.
        torch.testing.assert_close(tables.sum(0) + by_sum[:n].mean(0), by_sum[:n], atol=1e-12, rtol=0)
        power = fourier.power(by_sum[:n])[1:].sum(1)
        torch.testing.assert_close(tables.square().sum((1, 2)), power, atol=1e-12, rtol=1e-12)


def test_logits_of_the_sum_alone_are_kept_whole_and_logits_without_it_are_not_touched():
    every = range(1, 7)
    table = torch.randn(13, 13, generator=torch.Generator().manual_seed(0)) * 3
    of_sum = with_logits(lambda task: sum_logits(table, task))
    kept = progress_measures(of_sum, frequencies=every)
    for split, loss in losses(of_sum).set_index("split")["loss"].items():
        # 1e-6: the sums are over float32 logits, made float64 first; the mean over 13 equal ones is exact to 1e-15.
        assert value(kept, "restricted_loss", "key", split) == pytest.approx(loss, rel=1e-12)
    cube = random_logits(of_sum.task).double().view(13, 13, 13)
    without = (cube - fourier.mean_over_sum(cube)[fourier.sum_table(13)]).view(169, 13)
    free = with_logits(without)
    left = progress_measures(free, frequencies=every)
    assert value(left, "excluded_loss", "key") == pytest.approx(
        by_split(free).loc["train", "loss"], rel=1e-12
    )
    assert value(left, "restricted_loss", "key", "all") == pytest.approx(CHANCE, rel=1e-12)


def test_what_the_softmax_cannot_see_changes_nothing():
    snapshot = with_logits(random_logits)
    offset = 50 * torch.randn(169, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    shifted = with_logits(snapshot.logits.double() + offset)
    a, b = (progress_measures(s, frequencies=[1, 4]) for s in (snapshot, shifted))
    # 1e-10: offsets of 100 cost two of float64's sixteen digits, and exp and sums some more.
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-10)
    columns = [
        "loss",
        "accuracy",
        "margin_mean",
        "margin_min",
        "logit_scale",
        "confidence",
        "calibration_error",
    ]
    c, d = (losses(s)[columns] for s in (with_logits(snapshot.logits.double()), shifted))
    np.testing.assert_allclose(c, d, rtol=1e-10)
    scale = snapshot.logits.double().numpy().std(axis=1)
    assert c["logit_scale"].iloc[-1] == pytest.approx(
        np.sqrt(np.mean(scale**2)), rel=1e-6
    )  # rounded to float32


# --- progress measures: on networks known by construction


@pytest.mark.parametrize("frequencies", [[6], [2, 5]])
def test_a_clock_is_its_key_frequencies(frequencies):
    snapshot = hand_built.clock(frequencies, amplitudes=[5.0] * len(frequencies))
    table = progress_measures(snapshot, frequencies=frequencies)
    loss = by_split(snapshot)["loss"]
    for selection in ("key", "causal"):
        for split in ("train", "test", "all"):
            for measure in ("restricted_loss", "trig_loss"):
                # 1e-5: float32 weights and activations.
                assert value(table, measure, selection, split) == pytest.approx(loss[split], rel=1e-5)
                assert value(table, measure, selection, split, "accuracy") == 1
        for measure in ("excluded_loss", "trig_excluded_loss"):
            assert value(table, measure, selection) == pytest.approx(CHANCE, rel=1e-5)
        assert value(table, "excluded_loss", selection, column="n_frequencies") == len(frequencies)
    # Random sets never hold a key frequency: without them nothing is lost, with them alone nothing is known.
    assert value(table, "excluded_loss", "random", column="loss_max") == pytest.approx(
        loss["train"], rel=1e-5
    )
    assert value(table, "restricted_loss", "random", "all", "loss_min") == pytest.approx(CHANCE, rel=1e-5)
    for k in range(1, 7):
        changed = value(table, "excluded_loss", "single", frequency=k) > 1.1 * loss["train"]
        assert changed == (k in frequencies)


def test_a_memorizer_needs_no_frequency_more_than_another():
    snapshot = hand_built.memorizer(31, train_fraction=0.3)
    table = progress_measures(snapshot, frequencies=[3, 7, 11])
    loss = by_split(snapshot).loc["train", "loss"]
    # Taking 3 of 15 frequencies takes a little of every answer: about 10 * 0.3 * 6/31 = 0.6 of the 10 logits.
    assert loss < value(table, "excluded_loss", "key") < 2.5 * loss
    assert value(table, "excluded_loss", "key") < 1e-3 * math.log(31)
    # Each row's answer is a vote for its sum, so that the restricted loss falls below chance, at any frequency alike:
    # the random sets say so.
    for measure, split in (("excluded_loss", "train"), ("restricted_loss", "all")):
        band = [value(table, measure, "random", split, column) for column in ("loss_min", "loss_max")]
        assert value(table, measure, "key", split) == pytest.approx(np.mean(band), rel=0.02)
    singles = table[table["selection"] == "single"]["loss"]
    assert singles.max() < 1.01 * singles.min()


def test_an_untrained_network_has_no_causal_set_and_is_at_chance_with_any():
    table = progress_measures(hand_built.random_network(23))
    assert set(table["selection"]) == {"causal", "single"}
    assert value(table, "restricted_loss", "causal", "all", "n_frequencies") == 0
    assert value(table, "trig_loss", "causal", "all") == pytest.approx(math.log(23), rel=1e-12)
    loss = by_split(hand_built.random_network(23)).loc["train", "loss"]
    assert value(table, "excluded_loss", "causal") == pytest.approx(loss, rel=1e-12)


def test_without_a_key_set_random_sets_accompany_the_causal_one():
    table = progress_measures(hand_built.clock([2, 5]))
    assert set(table["selection"]) == {"causal", "random", "single"}
    assert (table[table["selection"] == "random"]["n_frequencies"] == 2).all()


def test_frequencies_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"Frequencies on Z_13 run from 1 to 6, got \[7\]\."):
        progress_measures(hand_built.clock([2]), frequencies=[2, 7])


def test_an_operation_without_algebra_does_not_apply():
    with pytest.raises(NotApplicable, match=r"x2\+y2 mod 13\) are not a sum"):
        progress_measures(with_logits(random_logits, operation="x2+y2"))


# --- the losses without many tables


@pytest.mark.parametrize("scale", [1.0, 40.0, 300.0, 3000.0])
def test_losses_without_tables_equal_the_log_softmax_at_every_scale(scale):
    draws = torch.Generator().manual_seed(0)
    rows = torch.randn(20, 7, dtype=torch.float64, generator=draws) * scale
    sums = torch.randint(5, (20,), generator=draws)
    tables = torch.randn(4, 5, 7, dtype=torch.float64, generator=draws) * scale
    expected = -(rows - tables[:, sums]).log_softmax(2)[:, range(20), sums]
    # Relative 1e-12, or 1e-12 of the scale: where the log-softmax subtracts numbers of that size.
    torch.testing.assert_close(losses_without(rows, sums, tables), expected, rtol=1e-12, atol=1e-12 * scale)


def test_losses_without_tables_resolve_what_the_log_softmax_rounds_to_zero():
    rows = torch.tensor([[50.0, 0.0]], dtype=torch.float64)
    found = losses_without(rows, torch.tensor([0]), torch.zeros(1, 1, 2, dtype=torch.float64))
    assert found.item() == pytest.approx(math.exp(-50), rel=1e-12, abs=0)


# --- the key set of a run


def run_tables(accuracies, fractions):
    rows = [
        {"step": step, "split": split, "accuracy": accuracy if split == "test" else 1.0}
        for step, accuracy in accuracies.items()
        for split in ("train", "test")
    ]
    spectrum = [
        {"step": step, "frequency": k, "fraction_explained": share, "null": 0.001 if k < 7 else 0.5}
        for step, shares in fractions.items()
        for k, share in shares.items()
    ]
    return {"losses": pd.DataFrame(rows), "logit_spectrum": pd.DataFrame(spectrum)}


def test_the_key_set_is_the_union_over_checkpoints_that_generalise():
    tables = run_tables(
        {0: 0.1, 100: 0.94, 200: 0.95, 300: 1.0},
        {
            0: {1: 0.9},
            100: {2: 0.9},
            200: {5: 0.2, 3: 0.07, 6: 0.005},
            300: {5: 0.9, 3: 0.002, 4: 0.006, 7: 0.4},
        },
    )
    # 3 has died by the end; 1 and 2 were large before; 6 is at the threshold, not above it; 7 is below its null.
    assert run_key_frequencies(tables) == [3, 4, 5]
    assert run_key_frequencies(run_tables({0: 0.94}, {0: {1: 0.9}})) == []
    without_split = run_tables({0: 0.5, 100: 1.0}, {0: {1: 0.9}, 100: {2: 0.9}})
    without_split["losses"] = without_split["losses"].query("split == 'test'").assign(split="all")
    assert run_key_frequencies(without_split) == [2]


def test_the_key_set_of_a_run_on_disk(tmp_path):
    clock = hand_built.clock([2, 5])
    config = RunConfig(
        task=clock.task.config, model=clock.config, optimizer=None, n_steps=None, schedule=None, seed=None,
        evaluation_interval=None,
    )  # fmt: skip
    record = RunRecord(status="complete", unit="step")
    run = create_run(tmp_path / "run", config, record, clock.task)
    half = {name: w * 0.5 for name, w in clock.weights.items()}
    for step, weights in ((0, half), (10, clock.weights)):
        save_checkpoint(run, step, weights)
    assert run_key_frequencies(measurement.measure(run, ["losses", "logit_spectrum"])) == [2, 5]
