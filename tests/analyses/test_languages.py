"""The analysis of several languages: crossing, dictionary, one circuit or two, on networks whose answer is known."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from interp.analyses import frame, languages
from interp.probes.answers.losses import losses
from interp.probes.languages.circuit_removal import circuit_removal
from interp.probes.languages.component_effects import component_effects
from interp.probes.languages.language_alignment import language_alignment
from interp.probes.languages.language_losses import language_losses
from interp.probes.languages.language_patching import language_patching
from interp.probes.languages.language_spectra import language_spectra
from interp.probes.languages.unit_removal import unit_removal
from interp.runs.presets import languages as preset
from interp.runs.presets import variation
from tests.hand_built_languages import bilingual, languages_task, lookup, untrained

ALONG = (losses, language_losses, language_alignment, language_spectra)
AT_END = (circuit_removal, unit_removal, language_patching, component_effects)


def tables_of(snapshots):
    """What `compute` gives, of snapshots by step instead of a run."""

    def along(probe, steps):
        return pd.concat([probe(snapshots[step]).assign(step=step) for step in steps], ignore_index=True)

    tables = {probe.__name__: along(probe, snapshots) for probe in ALONG}
    tables |= {probe.__name__: along(probe, [max(snapshots)]) for probe in AT_END}
    return {**tables, "history": pd.DataFrame()}


def losses_alone(snapshots):
    """The same without the tables that are about circuits."""
    rows = pd.concat(
        [language_losses(one).assign(step=step) for step, one in snapshots.items()], ignore_index=True
    )
    others = (probe.__name__ for probe in (*ALONG, *AT_END))
    return {name: pd.DataFrame() for name in others} | {"language_losses": rows, "history": pd.DataFrame()}


@pytest.mark.parametrize("language_in", ["heads", "stream"])
def test_one_core_crosses_over_and_is_one_circuit(language_in):
    task = languages_task(fact_fraction=0.0)
    one = bilingual([[2, 3]], task, language_in=language_in)
    summary = languages.summarize(tables_of({0: untrained(task), 10: one, 20: one}))
    of_b = summary["further_languages"]["B"]
    assert (of_b["crossing"]["before"], of_b["crossing"]["step"]) == (0, 10)
    assert of_b["crosses_over"] is True and of_b["other_sources"] == [] and of_b["strata"] == {}
    assert of_b["circuits"] == {"embedding": "one circuit", "neurons": "one circuit"}
    # Where the heads say in which language, sentences are answered in that of the question, and patches of heads too.
    comes = language_in == "stream"
    assert of_b["sentences"] == {"A-B": comes, "B-A": comes}
    assert of_b["patching"]["A into B"]["heads"] == {
        "number": 1,
        "number_in_its_language": comes,
        "with_means_exchanged": 1,
    }
    assert of_b["patching"]["B into B"]["heads"]["number_in_its_language"] == 1
    assert of_b["reads_alike"] == {"after the heads": True, "after the neurons": True}
    assert of_b["shared_components"]["neuron"]["variance_rank_correlation"] == pytest.approx(1)
    assert all(row["beyond_null"] for row in of_b["alignment"])
    assert summary["answer"] == (
        "What A was taught crosses over to B: its unseen facts stay at 0.95 or above from step 10 on (0 was below). By "
        "removal: one circuit in the embedding, one circuit in the neurons. Of 16 neurons A needs 11 and B 11, 11 of "
        "them the same (by chance 8). What comes after the heads and after the neurons reads both languages alike: "
        "with the languages' means exchanged a patch brings the number of one in the words of the other."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(
            {"fact_fraction": 0.8, "n_translations": 0},
            "facts of B are train and nothing is translated",
            id="own facts",
        ),
        pytest.param(
            {"fact_fraction": 0.3, "other_operation": "subtract"},
            "facts of B are train and its right answers are not those of A",
            id="own facts of another operation",
        ),
        pytest.param(
            {"n_translations": 0}, "facts of B are train and nothing is translated", id="no translation"
        ),
        pytest.param(
            {"fact_fraction": 0.0, "n_translations": 0}, "nothing is translated", id="nothing shown"
        ),
        pytest.param({}, "facts of B are train", id="translations and own facts"),
    ],
)
def test_what_is_answered_without_a_crossing_is_not_said_to_cross(changes, said):
    """All facts are known by heart, however they came to be: B's are answered, and nothing crossed over."""
    task = languages_task(7, **{"n_translations": 7} | changes)
    known = lookup(task, is_known=torch.ones_like(task.is_train))
    summary = languages.summarize(losses_alone({0: untrained(task), 10: known}))
    of_b = summary["further_languages"]["B"]
    assert of_b["crossing"]["step"] == 10 and of_b["crosses_over"] is None
    assert summary["answer"].startswith(
        "B's unseen facts stay at 0.95 or above from step 10 on (0 was below). Whether anything crossed over this does "
        f"not say: {said}. One circuit"
    )


def test_two_cores_are_two_circuits():
    tables = tables_of({0: bilingual([[2, 3], [1, 4]])})
    summary = languages.summarize(tables)
    of_b = summary["further_languages"]["B"]
    neurons = of_b["units_needed"]["neurons"]
    assert neurons["both"] == [] and neurons["circuits"] == "two circuits"
    assert "Of 32 neurons A needs 11 and B 11, 0 of them the same (by chance 4)." in summary["answer"]
    assert "crosses over" not in summary["answer"] and of_b["strata"] == {"mirrored": 1, "unmirrored": 1}
    assert of_b["circuits"] == {"embedding": "two circuits", "neurons": "two circuits"}
    assert of_b["patching"]["A into B"]["neurons"]["number_in_its_language"] < 0.2
    assert of_b["reads_alike"] == {"after the heads": False, "after the neurons": False}
    assert of_b["shared_components"]["neuron"]["variance_rank_correlation"] < 0
    assert not any(row["beyond_null"] for row in of_b["alignment"] if row["part"] == "embedding")
    # Every panel has its table: 8 with something drawn.
    panels = languages.draw(tables).axes
    assert len(panels) == 8 and all(ax.axison and ax.has_data() for ax in panels)


def test_a_shuffled_dictionary_is_what_crosses_over():
    snapshot = bilingual([[2, 3]], languages_task(dictionary="shuffled"))
    summary = languages.summarize(tables_of({0: snapshot, 10: snapshot}))
    of_b = summary["further_languages"]["B"]
    assert of_b["crossing"]["step"] is None and of_b["dictionary_accuracy"] == 1
    # B does not answer its own facts: whether they are read as A's are cannot be told.
    assert of_b["circuits"]["embedding"] is None and of_b["reads_alike"]["after the heads"] is None
    assert {row["numbering"] for row in of_b["alignment"]} == {"dictionary"}
    assert "has not crossed over to B by step 10" in summary["answer"]
    assert "B answers as the dictionary has it instead." in summary["answer"]


def test_random_labels_do_not_cross_over():
    """All train rows known by heart, in whichever words are asked for, and no arithmetic behind them."""
    task = languages_task(7, operation="random", fact_fraction=0.0, sentence_fraction=0.5, sentences="both")
    known = {tuple(row[:2]) for row in task.inputs[task.is_train].tolist()}
    snapshot = lookup(task, is_known=torch.tensor([tuple(row[:2]) in known for row in task.inputs.tolist()]))
    summary = languages.summarize(losses_alone({0: untrained(task), 10: snapshot}))
    of_b = summary["further_languages"]["B"]
    assert of_b["strata"] == {"said": 1, "unsaid": 0}
    assert of_b["unseen_accuracy"] == pytest.approx(24 / 49)
    assert of_b["crosses_over"] is False and of_b["other_sources"] == []
    assert summary["answer"].startswith("What A was taught has not crossed over to B by step 10")


def test_of_a_crossing_it_is_said_what_a_table_could_not_know():
    task = languages_task(fact_fraction=0.0, sentence_fraction=0.5, sentences="both")
    summary = languages.summarize(losses_alone({0: untrained(task), 10: bilingual([[2, 3]], task)}))
    assert (
        "(0 was below). Of those whose question no sentence asks 1.000 are answered in the end."
        in summary["answer"]
    )


def test_an_untrained_network_has_no_circuit():
    summary = languages.summarize(tables_of({0: untrained()}))
    assert summary["further_languages"]["B"]["circuits"] == {"embedding": None, "neurons": None}
    assert set(summary["further_languages"]["B"]["reads_alike"].values()) == {None}
    assert summary["answer"].endswith(
        "One circuit or two cannot be told: a language without key frequencies has none."
    )


def answer(run, out):
    frame.main(
        "languages", "", languages.compute, languages.draw, languages.summarize,
        ["--run", str(run.path), "--out", str(out), "--device", "cpu"],
    )  # fmt: skip
    return json.loads((out / "summary.json").read_text())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as the preset", marks=pytest.mark.slow),
        pytest.param(
            {"task": {"n_languages": 3, "dictionary": "shuffled"}},
            id="three, shuffled",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"task": {"other_operation": "subtract", "n_translations": 0, "sentence_fraction": 0.0}},
            id="unrelated",
            marks=pytest.mark.slow,
        ),
        pytest.param({"task": {"operation": "x2+y2"}}, id="without frequencies", marks=pytest.mark.slow),
        pytest.param({"model": {"d_mlp": 0}}, id="attention only", marks=pytest.mark.slow),
        pytest.param(
            {"model": {"n_heads": 0, "positions": "none", "d_head": 0}}, id="an MLP", marks=pytest.mark.slow
        ),
    ],
)
def test_every_network_and_task_has_a_figure(changes, tmp_path):
    from interp.training.train import train

    base = variation(
        preset(20), task={"p": 7, "n_translations": 5}, model={"d_model": 8, "n_heads": 2, "d_mlp": 8}
    )
    recipe = variation(base, **changes)
    recipe = replace(recipe, schedule=replace(recipe.schedule, steps=(0, 20), optimizer_steps=()))
    summary = answer(train(recipe, tmp_path / "run", threads=1), tmp_path / "out")
    assert summary["generalised"] is False
    assert set(summary["further_languages"]) == (
        {"B", "C"} if changes.get("task", {}).get("n_languages") else {"B"}
    )
    assert "has not crossed over to B by step 20" in summary["answer"]


def test_without_languages_there_is_an_answer():
    tables = losses_alone({0: untrained()}) | {"language_losses": pd.DataFrame()}
    assert languages.summarize(tables)["answer"] == "The task is not one in several languages."


@pytest.mark.slow
def test_of_one_language_it_is_said_that_there_is_one(tmp_path):
    from interp.training.train import train
    from tests.tiny import tiny_config

    summary = answer(train(tiny_config(5), tmp_path / "run", threads=1), tmp_path / "out")
    assert summary["answer"] == "The task is not one in several languages."
    assert len(summary["does_not_apply"]) == 1 and "nothing can cross over" in summary["does_not_apply"][0]
