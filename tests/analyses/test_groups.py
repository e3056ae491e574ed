"""The analysis of groups: what was planted is what it answers, and a run that has not generalised is told as one."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from interp.analyses import frame, groups
from interp.networks.config import initial_weights
from interp.probes.answers.losses import losses
from interp.probes.groups.character_similarity import character_similarity
from interp.probes.groups.coset_concentration import coset_concentration
from interp.probes.groups.representation_losses import representation_losses
from interp.probes.groups.representation_spectrum import representation_spectrum
from interp.probes.weights.weight_norms import weight_norms
from interp.runs.presets import s5, variation
from interp.snapshots.snapshot import Snapshot
from interp.tables.key_representations import followed_representations, run_key_representations
from tests import hand_built


def tables_of(snapshots):
    """What `compute` gives, of snapshots by step instead of a run."""

    def along(probe):
        return pd.concat([probe(x).assign(step=step) for step, x in snapshots.items()], ignore_index=True)

    tables = {
        probe.__name__: along(probe)
        for probe in (
            losses,
            character_similarity,
            representation_spectrum,
            coset_concentration,
            weight_norms,
        )
    }
    names, chosen_by = followed_representations(tables)
    are_key = bool(run_key_representations(tables))
    return {
        **tables,
        "representation_losses": along(lambda x: representation_losses(x, representations=names)),
        "key_representations": pd.DataFrame(
            {"representation": names, "is_key": are_key, "chosen_by": chosen_by}
        ),
        "history": pd.DataFrame(),
    }


def untrained(step):
    planted = hand_built.characters({"sign": 1.0, "standard": 1.0})
    return Snapshot(step, initial_weights(planted.config, 0), planted.network, planted.task)


@pytest.fixture(scope="module")
def generalising():
    """Nothing, then the sign, then the standard representation with it."""
    sign_first = hand_built.characters({"sign": 4.0})
    both = hand_built.characters({"sign": 2.0, "standard": 4.0})
    memorized = hand_built.group_memorizer()
    return tables_of({0: untrained(0), 10: memorized, 20: sign_first, 30: both, 40: both})


def test_the_planted_representations_are_named_with_their_order(generalising):
    summary = groups.summarize(generalising)
    assert summary["generalised"] is True
    assert summary["accuracy_all"] == summary["test_accuracy"] == 1
    found = {entry["name"]: entry for entry in summary["key_representations"]}
    assert list(found) == ["standard", "sign"]
    assert found["standard"]["dimension"] == 3
    assert found["standard"]["share"] == pytest.approx(16 / 20, abs=1e-5)
    assert found["sign"]["share"] == pytest.approx(4 / 20, abs=1e-5)
    assert found["standard"]["excluded_loss"] > found["sign"]["excluded_loss"]
    assert found["sign"]["restricted_loss"] == pytest.approx(2.5, abs=0.1)
    assert summary["key_set"]["level"] == "hidden"
    assert summary["key_set"]["restricted_loss"] == pytest.approx(summary["loss_all"], abs=1e-6)
    assert (summary["grokking"]["before"], summary["grokking"]["step"]) == (20, 30)
    assert summary["coset_concentration"]["share_below_1"] > 0


def test_the_order_is_that_of_the_embeddings(generalising):
    summary = groups.summarize(generalising)
    assert summary["order_of_emergence"] == ["sign", "standard"]
    found = {entry["name"]: entry["emergence"] for entry in summary["key_representations"]}
    assert [(found[name]["before"], found[name]["step"]) for name in ("sign", "standard")] == [
        (10, 20),
        (20, 30),
    ]
    assert summary["answer"].endswith("in the order in which they came: sign, then standard.")


def test_a_run_that_has_not_generalised_is_told_as_one():
    tables = tables_of({0: untrained(0), 10: hand_built.group_memorizer()})
    summary = groups.summarize(tables)
    assert summary["generalised"] is False
    assert summary["answer"].startswith("The run has not generalised by step 10: its test accuracy is 0.0")
    assert summary["followed_representations_chosen_by"] == (
        "strength at the last checkpoint, since no checkpoint has test accuracy 0.95: not key representations"
    )
    assert (summary["key_representations"], summary["key_set"]) == ([], None)
    followed = {entry["name"]: entry for entry in summary["followed_representations"]}
    assert list(followed) == ["standard", "standard_sign"]
    # Each explains more than half a percent of the logits, and less than by chance.
    assert all(0.005 < entry["share"] < entry["null"] for entry in followed.values())
    # Nothing that was picked for being large has a date.
    assert all(entry["emergence"] is None for entry in summary["followed_representations"])
    random = summary["followed_set"]["random_sets_accuracy"]
    assert random["lowest"] <= random["mean"] <= random["highest"]
    assert summary["circuit_formation"]["step"] is None
    assert summary["grokking"]["step"] is None


def answer(run, out):
    frame.main(
        "groups", "", groups.compute, groups.draw, groups.summarize,
        ["--run", str(run.path), "--out", str(out), "--device", "cpu"],
    )  # fmt: skip
    return json.loads((out / "summary.json").read_text())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as the paper's"),
        pytest.param(
            {"model": {"n_heads": 2, "positions": "learned"}}, id="a transformer", marks=pytest.mark.slow
        ),
        pytest.param(
            {"model": {"n_heads": 2, "positions": "learned", "d_mlp": 0}},
            id="attention only",
            marks=pytest.mark.slow,
        ),
        pytest.param({"task": {"group": "C5"}}, id="prime order", marks=pytest.mark.slow),
    ],
)
def test_every_network_and_group_has_a_figure(changes, tmp_path):
    from interp.training.train import train

    base = variation(
        s5(20),
        task={"group": "S3", "train_fraction": 0.5},
        model={"d_model": 8, "d_mlp": 8},
        evaluation_interval=5,
    )
    recipe = variation(base, **changes)
    recipe = replace(recipe, schedule=replace(recipe.schedule, steps=(0, 10, 20), optimizer_steps=()))
    summary = answer(train(recipe, tmp_path / "run", threads=1), tmp_path / "out")
    assert summary["generalised"] is False
    has_cosets = recipe.model.is_mlp and recipe.task.group == "S3"
    assert (summary["coset_concentration"] is not None) == has_cosets
    assert summary["followed_set"]["level"] == ("hidden" if recipe.model.d_mlp else "logits")


def test_of_what_is_no_group_the_losses_are_drawn(tmp_path):
    from interp.training.train import train
    from tests.tiny import tiny_config

    run = train(tiny_config(5, task={"operation": "x2+xy+y2"}), tmp_path / "run", threads=1)
    summary = answer(run, tmp_path / "out")
    assert len(summary["does_not_apply"]) == 1 and "no product in a group" in summary["does_not_apply"][0]
    assert summary["answer"].endswith("Its answers are no product in a group known here.")
    assert summary["followed_representations"] == [] and summary["loss_all"] > 0
