"""The analysis of sequences: planted heads are named and dated, what depends on them is said, nulls are told."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from interp.analyses import sequences
from interp.probes.answers.losses import losses
from interp.probes.attention.induction_scores import induction_scores
from interp.probes.sequences.head_ablations import head_ablations
from interp.probes.sequences.head_composition import head_composition
from interp.probes.sequences.in_context_learning import in_context_learning
from interp.probes.sequences.part_losses import part_losses
from interp.runs.presets import named, variation
from interp.runs.schedule import make_schedule
from interp.snapshots.snapshot import Snapshot
from interp.tables.folder import clean
from tests.hand_built_sequences import bigram, induction


def tables_of(snapshots):
    """What `compute` gives, of snapshots by step instead of a run."""
    made = {}

    def along(probe):
        # Snapshots stand at several steps.
        name = str(probe)
        for x in snapshots.values():
            if (name, id(x)) not in made:
                made[name, id(x)] = probe(x)
        return pd.concat(
            [made[name, id(x)].assign(step=step) for step, x in snapshots.items()], ignore_index=True
        )

    probes = (losses, part_losses, in_context_learning, induction_scores, head_composition)
    tables = {probe.__name__: along(probe) for probe in probes}
    heads = sequences.kinds_of_heads(tables["induction_scores"])
    sets = {
        kind: tuple(zip(rows["layer"], rows["head"], strict=True))
        for kind, rows in heads.groupby("kind", sort=False)
    }
    return {
        **tables,
        "heads": heads,
        "chance": pd.DataFrame({"loss": [np.log(8)]}),
        "head_ablations": along(partial(head_ablations, patterns=("free",), how="zero")),
        "set_ablations": along(partial(head_ablations, sets=sets, how="zero")),
        "history": pd.DataFrame(),
    }


@pytest.fixture(scope="module")
def formed():
    """A bigram model that becomes one of induction between steps 10 and 20."""
    # Long copies of many tokens, so that little is in doubt.
    task = {"vocabulary": 24, "length": 24, "repeated_length": 10, "n_train": 12, "n_test": 12}
    before, after = bigram(**task), induction(**task)
    return tables_of({0: before, 10: before, 20: after, 40: after})


def test_the_planted_heads_are_named_and_dated(formed):
    summary = sequences.summarize(formed)
    kinds = {entry["name"]: entry["kind"] for entry in summary["heads"]}
    assert kinds["L1H0"] == "induction heads" and kinds["L0H1"] == "previous-token heads"
    assert kinds["L0H0"] == kinds["L1H1"] == "other heads"
    assert list(summary["formation"]["induction heads"]) == ["L1H0"]
    for kind, head in (("induction heads", "L1H0"), ("previous-token heads", "L0H1")):
        found = summary["formation"][kind][head]
        assert (found["before"], found["step"]) == (10, 20)
    # Both between the same two checkpoints.
    assert summary["previous_token_heads_came_first"] is None
    composed = {entry["name"]: entry["is_above"] for entry in summary["composition"]}
    assert composed["L0H1"] is True


def test_the_fall_has_its_bracket_and_the_heads_carry_it(formed):
    summary = sequences.summarize(formed)
    for when in ("begun", "done", "steepest"):
        assert (summary["fall"][when]["before"], summary["fall"][when]["step"]) == (10, 20)
    assert summary["fall"]["times_as_many_steps"] == [1.0, 2.0]
    assert summary["followed_part"] == "predictable"
    of_induction, of_previous = (
        summary["ablations"][kind] for kind in ("induction heads", "previous-token heads")
    )
    for effects in (of_induction, of_previous):
        assert effects["free"]["largest_effect_before_the_fall"] == 0
        undone = effects["free"]["undoes_half_of_the_gain"]
        assert (undone["before"], undone["step"]) == (10, 20)
    assert of_induction["free"]["loss_at_end"] == pytest.approx(np.log(24), abs=1e-5)
    assert of_induction["kept"] == of_induction["free"]
    assert of_previous["kept"]["effect_at_end"] == 0
    assert summary["ablations"]["other heads"]["free"]["effect_at_end"] == 0
    assert "1.0 to 2.0 times as many" in summary["answer"] and "induction heads: L1H0" in summary["answer"]


def test_a_run_that_foresees_nothing_is_told_as_one():
    tables = tables_of({0: bigram(), 10: bigram()})
    summary = sequences.summarize(tables)
    assert summary["fall"] is None
    assert {entry["kind"] for entry in summary["heads"]} == {"other heads"}
    assert "less than half of its way to zero" in summary["answer"]
    assert "induction heads: none; previous-token heads: none" in summary["answer"]
    sequences.draw(tables)


def answer(run):
    """Not by the frame, which is the same for all and writes files: `test_analyses.py` has it."""
    tables = sequences.compute(run, "cpu")
    sequences.draw(tables)
    return json.loads(json.dumps(clean(sequences.summarize(tables))))


def tiny(**changes):
    task = {
        "vocabulary": 12,
        "length": 16,
        "repeated_length": 4,
        "n_copies": 2,
        "n_trigrams": 3,
        "n_train": 8,
        "n_test": 8,
    }
    recipe = variation(
        named("sequences", n_steps=20),
        task=task | changes.pop("task", {}),
        model={"d_model": 8, "n_heads": 2} | changes.pop("model", {}),
        optimizer={"batch_size": 4} | changes.pop("optimizer", {}),
        evaluation_interval=10,
    )
    return replace(recipe, schedule=make_schedule(20, ["every:10"], []))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="attention only, fresh rows"),
        pytest.param(
            {
                "task": {"kind": "skip-trigrams"},
                "model": {"n_layers": 1, "d_mlp": 8},
                "optimizer": {"fresh": False, "batch_size": None},
            },
            id="one layer with neurons, finite",
        ),
    ],
)
def test_every_network_and_kind_has_a_figure(changes, tmp_path):
    from interp.training.train import train

    run = train(tiny(**changes), tmp_path / "run", threads=1)
    summary = answer(run)
    assert summary["fall"] is None
    assert summary["answer"].startswith("The loss of the part 'predictable' goes from")
    assert len(summary["heads"]) == 2 * run.config.model.n_layers
    assert len(summary["composition"]) == 2 * (run.config.model.n_layers - 1)


def test_of_a_task_that_asks_once_all_questions_are_followed(tmp_path):
    from interp.training.train import train
    from tests.tiny import tiny_config

    summary = answer(train(tiny_config(5), tmp_path / "run", threads=1))
    assert summary["followed_part"] == "all" and summary["heads"] == []


@pytest.mark.slow
@pytest.mark.parametrize(("n_layers", "falls"), [(1, False), (2, True)])
def test_one_layer_cannot_do_it(n_layers, falls, tmp_path):
    """One layer cannot know what stood before a token it attends to; two can (Olsson et al. 2022)."""
    from interp.tables.falls import fall
    from interp.training.train import train

    recipe = variation(named("sequences", n_steps=800), model={"n_layers": n_layers}, evaluation_interval=800)
    run = train(replace(recipe, schedule=make_schedule(800, ["every:200"], [])), tmp_path / "run", threads=1)
    rows = [
        part_losses(Snapshot.of(run, step))
        .query("split == 'test' and part == 'predictable'")
        .assign(step=step)
        for step in run.steps
    ]
    assert (fall(pd.concat(rows), "loss", floor=0.0) is not None) == falls
