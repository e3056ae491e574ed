"""The analysis of digits: the order that was planted is what it answers, and a run of another task is told as one."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from interp.analyses import digits, frame
from interp.probes.answers.losses import losses
from interp.probes.digits.carry_patching import carry_patching
from interp.probes.digits.carry_readout import carry_readout
from interp.probes.digits.digit_attention import digit_attention
from interp.probes.digits.digit_losses import digit_losses
from interp.probes.digits.digit_spectrum import digit_spectrum
from interp.runs.presets import named, variation
from interp.snapshots.snapshot import Snapshot
from tests.hand_built_digits import adder


@pytest.fixture(scope="module")
def tables():
    """Nothing, then sums without carries, then with them, as `compute` would give them."""
    whole, without = adder(n_train=200, n_test=500), adder(carries=False, n_train=200, n_test=500)
    silent = {name: w * (name != "unembed.W_U") for name, w in whole.weights.items()}
    along = {(0,): Snapshot(0, silent, whole.network, whole.task), (10, 20): without, (30, 40): whole}
    probes = (losses, digit_losses, digit_attention, digit_spectrum, carry_readout, carry_patching)
    found = {}
    for probe in probes:
        by_steps = {steps: probe(snapshot) for steps, snapshot in along.items()}
        parts = [table.assign(step=step) for steps, table in by_steps.items() for step in steps]
        found[probe.__name__] = pd.concat(parts, ignore_index=True)
    return {**found, "history": pd.DataFrame()}


def test_the_order_that_was_planted(tables):
    summary = digits.summarize(tables)
    assert summary["generalised"] is True
    assert summary["order_of_digits"] == [["0"], ["1", "2", "3"]]
    assert summary["order_of_carries"] == [["no carry", "no carry through 1"], ["carry", "carry through 1"]]
    assert [summary["by_digit"][digit]["step"] for digit in "0123"] == [10, 30, 30, 30]
    made = summary["by_carry"]["carry"]
    assert (made["before"], made["step"], made["accuracy"]) == (20, 30, 1.0)
    moved = summary["carry_moves_the_answer"]
    assert (moved["layer"], moved["site"], moved["moved"], moved["null"]) == (0, "mlp", 1.0, 0.0)
    assert (moved["moves"]["before"], moved["moves"]["step"]) == (20, 30)
    assert {(entry["digit"], entry["accuracy"]) for entry in summary["carry_read"]} == {
        (1, 1.0),
        (2, 1.0),
        (3, 1.0),
    }
    looks = {(entry["digit"], entry["group"]): entry["head"] for entry in summary["heads"]}
    assert looks == {(0, "own"): 0, **{(d, "own"): 0 for d in (1, 2)}, **{(d, "below"): 2 for d in (1, 2, 3)}}
    assert summary["answer"].count("between steps 20 and 30") == 2
    assert "(layer 0, mlp): from step 30 on more than half of them" in summary["answer"]


def test_what_held_and_was_lost_is_not_said_never_to_have_been(tables):
    """At the end answers move by less than half; at steps 30 and 40 by more. Likewise an accuracy."""
    moved, digit = tables["carry_patching"], tables["digit_losses"]
    later = [t[t["step"] == 40].assign(step=50) for t in (moved, digit)]
    later[0] = later[0].assign(moved=0.4 * later[0]["moved"])
    later[1] = later[1].assign(accuracy=0.5)
    lost = {
        **tables,
        "carry_patching": pd.concat([moved, later[0]]),
        "digit_losses": pd.concat([digit, later[1]]),
    }
    summary = digits.summarize(lost)
    assert summary["carry_moves_the_answer"]["had_moved"] == (30, 40)
    assert (
        "(layer 0, mlp): from step 30 to 40, and not by the end, more than half of them" in summary["answer"]
    )
    assert "Accuracy with carry: from step 30 to 40, and has lost it (accuracy 0.95)." in summary["answer"]
    never = {**lost, "carry_patching": pd.concat([moved.assign(moved=0.4 * moved["moved"]), later[0]])}
    assert "(layer 0, mlp): never more than half of them" in digits.summarize(never)["answer"]


def test_what_came_is_drawn_in_its_order(tables):
    figure = digits.draw(tables)
    rows = [text.get_text().replace("\n", " ") for text in figure.axes[3].get_yticklabels()]
    assert rows[:3] == ["digit 0", "no carry", "no carry through 1"] and rows[-1] in (
        "carry",
        "carry through 1",
    )
    assert all(ax.get_ylabel() and ax.get_xlabel() for ax in figure.axes)


def answer(run, out):
    frame.main(
        "digits", "", digits.compute, digits.draw, digits.summarize,
        ["--run", str(run.path), "--out", str(out), "--device", "cpu"],
    )  # fmt: skip
    return json.loads((out / "summary.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as the preset's"),
        pytest.param(
            {"task": {"operation": "subtract", "padding": True}, "model": {"n_layers": 2}},
            id="two layers, differences",
        ),
    ],
)
def test_a_run_from_training_to_the_answer(changes, tmp_path):
    from interp.training.train import train

    base = variation(
        named("digits", n_steps=10),
        task={"n_digits": 2, "base": 5, "n_train": 60, "n_test": 60},
        model={"d_model": 8, "d_mlp": 8},
        evaluation_interval=5,
    )
    recipe = variation(base, **changes)
    recipe = replace(recipe, schedule=replace(recipe.schedule, steps=(0, 10), optimizer_steps=()))
    summary = answer(train(recipe, tmp_path / "run", threads=1), tmp_path / "out")
    assert summary["generalised"] is False and set(summary["by_digit"]) == {"0", "1", "2"}
    assert summary["does_not_apply"] == [] and len(summary["carry_read"]) == 2


def test_without_what_probes_need_there_is_still_a_figure(tables):
    nothing = {name: table if name == "losses" else pd.DataFrame() for name, table in tables.items()}
    summary = digits.summarize(nothing)
    assert summary["answer"].endswith("Its answers are no numbers in digits.")
    assert summary["order_of_digits"] == [] == summary["carry_read"] and summary["digit_spectrum"] is None
    assert [ax.axison for ax in digits.draw(nothing).axes] == [True, *[False] * 5]


@pytest.mark.slow
def test_of_what_is_not_written_in_digits_the_losses_are_drawn(tmp_path):
    from interp.training.train import train
    from tests.tiny import tiny_config

    run = train(tiny_config(5), tmp_path / "run", threads=1)
    summary = answer(run, tmp_path / "out")
    assert (
        len(summary["does_not_apply"]) == 1
        and "not numbers written in digits" in summary["does_not_apply"][0]
    )
    assert summary["answer"].endswith("Its answers are no numbers in digits.")
    assert summary["order_of_digits"] == [] and summary["carry_read"] == []
