"""The analysis of parity: what was planted is what it answers, and other runs have an answer too."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from interp.analyses import frame, parity
from interp.networks.config import initial_weights
from interp.probes import effective_sparsity, feature_coordinates, fourier_gap, losses, subnetworks
from interp.runs.presets import named, variation
from interp.snapshots.snapshot import Snapshot
from interp.tables.accuracies import by_split
from interp.tables.outcome import outcome
from tests.hand_built_parity import counter, lookup, parity_task
from tests.thinned import thinned


def tables_of(snapshots):
    """What `compute` gives, of snapshots by step instead of a run."""

    def along(probe):
        return pd.concat([probe(x).assign(step=step) for step, x in snapshots.items()], ignore_index=True)

    from interp.probes.parity.subnetworks import deciding

    neurons = deciding(list(snapshots.values())[-1])
    tables = {p.__name__: along(p) for p in (losses, effective_sparsity, feature_coordinates, fourier_gap)}
    return {
        **tables,
        "subnetworks": along(lambda x: subnetworks(x, neurons=neurons)),
        "chosen_neurons": pd.DataFrame({"neuron": neurons}),
        "history": pd.DataFrame(),
    }


@pytest.fixture(scope="module")
def planted():
    """Untrained, a lookup, then the circuit, all of one width."""
    task = parity_task()
    memorized = lookup(task, n_idle=40)
    width = memorized.config.d_mlp
    circuit = counter(task, n_idle=width - 3)
    untrained = Snapshot(0, initial_weights(circuit.config, 0), circuit.network, task)
    return tables_of({0: untrained, 10: memorized, 20: memorized, 30: circuit, 40: circuit, 50: circuit})


def test_the_planted_circuit_is_named_with_its_moment(planted):
    summary = parity.summarize(planted)
    assert summary["generalised"] is True
    assert summary["effective_sparsity"]["every row"] == 3
    assert len(summary["chosen_neurons"]) == 3
    assert (summary["memorization"]["before"], summary["memorization"]["step"]) == (0, 10)
    assert summary["memorization_first_above_0.98"]["step"] == 10
    for event in ("grokking", "sparsification"):
        assert (summary[event]["before"], summary[event]["step"]) == (20, 30), event
    # One of the three places holds a neuron of the lookup, which is large too.
    assert summary["lead"]["step"] is not None
    assert summary["order"] == "brackets overlap"
    assert "At the end 3 of" in summary["answer"] and "the brackets leave open" in summary["answer"]
    last = summary["subnetworks"]["last"]
    assert (
        last["chosen"]["accuracy_test"] == 1
        and last["chosen"]["mean_norm"] > 10 * last["others"]["mean_norm"]
    )
    assert summary["features"]["last"]["share"] > 0.99
    gaps = summary["fourier_gap"]["last"]
    assert gaps["population, relevant"]["within"] > 5 * gaps["population, random"]["within"]


def test_of_fresh_rows_nothing_is_said_to_be_memorized(planted):
    whole = planted["losses"]
    fresh = by_split(whole).assign(sees_fresh_rows=True)
    summary = parity.summarize({**planted, "history": fresh})
    assert "memorization" not in summary and summary["grokking"]["step"] == 30
    assert summary["memorization_first_above_0.98"]["step"] is None
    assert outcome({**planted, "history": fresh}).summary()["memorization"]["step"] is None
    assert set(parity.events({**planted, "history": fresh})) == {"grokking", "sparsification"}


def test_it_is_drawn(planted):
    figure = parity.draw(planted)
    labels = {ax.get_ylabel() for ax in figure.axes}
    assert {"loss (nats)", "effective sparsity\n(neurons)", "test accuracy alone"} <= labels


def test_a_memorizer_has_not_become_sparse():
    task = parity_task()
    memorized = lookup(task, n_idle=10)
    untrained = Snapshot(0, initial_weights(memorized.config, 0), memorized.network, task)
    summary = parity.summarize(tables_of({0: untrained, 10: memorized}))
    assert summary["generalised"] is False
    assert summary["sparsification"]["step"] is None and summary["order"] == "not both came"
    assert "It has not become sparse" in summary["answer"]


def answer(run, out):
    frame.main(
        "parity", "", parity.compute, parity.draw, parity.summarize,
        ["--run", str(run.path), "--out", str(out), "--device", "cpu"],
    )  # fmt: skip
    return json.loads((out / "summary.json").read_text())


def tiny(preset, n_steps=30):
    recipe = variation(
        named(preset, n_steps=n_steps),
        task={"n_bits": 6, "n_train": 20, "n_test": 20},
        model={"d_mlp": 16},
        evaluation_interval=5,
    )
    return replace(recipe, schedule=replace(recipe.schedule, steps=(0, 10, 20, 30), optimizer_steps=()))


@pytest.mark.parametrize("preset", thinned(["parity", "parity-fresh"], 2))
def test_a_run_of_each_preset_has_an_answer(preset, tmp_path):
    from interp.training.train import train

    summary = answer(train(tiny(preset), tmp_path / "run", threads=1), tmp_path / "out")
    assert summary["effective_sparsity"]["n_width"] == 16
    assert set(summary["fourier_gap"]["last"]) == {
        "population, relevant", "population, random", "train, relevant", "train, random",
    }  # fmt: skip
    assert summary["features"]["first"]["movement"] == 0 < summary["features"]["last"]["movement"]
    # Without neurons that are named, the probe takes those of the last checkpoint, as the analysis does.
    import interp

    run = interp.open_run(tmp_path / "run")
    own = interp.measure(run, ["subnetworks"])["subnetworks"]
    kept = pd.read_csv(tmp_path / "out" / "subnetworks.csv")
    columns = ["subnetwork", "n_neurons", "mean_norm", "accuracy_test", "step"]
    pd.testing.assert_frame_equal(own[columns], kept[columns], check_dtype=False)


@pytest.mark.slow
def test_a_task_of_residues_has_neurons_and_no_features(tmp_path):
    from interp.training.train import train
    from tests.tiny import tiny_config

    run = train(tiny_config(20, evaluation_interval=5), tmp_path / "run", threads=1)
    summary = answer(run, tmp_path / "out")
    assert summary["effective_sparsity"]["n_width"] == 32
    assert summary["features"] == summary["fourier_gap"] == {}
    assert any("features of which some count" in why for why in summary["does_not_apply"])
    assert (tmp_path / "out" / "parity.png").exists()


@pytest.mark.slow
def test_a_network_without_neurons_is_told_as_one(tmp_path):
    from interp.training.train import train
    from tests.tiny import tiny_config

    run = train(tiny_config(20, model={"d_mlp": 0}, evaluation_interval=5), tmp_path / "run", threads=1)
    summary = answer(run, tmp_path / "out")
    assert summary["answer"].endswith("Its neurons cannot be taken apart.")
    assert summary["effective_sparsity"] == {} and summary["chosen_neurons"] == []
