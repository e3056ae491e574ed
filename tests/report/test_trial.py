"""A trial folder is read whole, or refused with what is wrong."""

import json

import pandas as pd
import pytest

from interp.report.account import account
from interp.report.sentences import answer
from interp.report.trial import (
    check_run,
    lock_in,
    no_trial,
    read_observed,
    read_trial,
    runs_of,
    texts_of,
)
from interp.tables.folder import read_tables, write_tables
from tests.report.trials import RUN, make_trial
from tests.theories import worlds


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_trial(tmp_path_factory.mktemp("trial"), worlds.null_world, n_pairs=2)


@pytest.fixture
def folder(made, tmp_path):
    """A copy that a test may damage."""
    import shutil

    return shutil.copytree(made, tmp_path / "trial")


def test_a_trial_comes_back_with_its_lock(made):
    tables = read_trial(made)
    assert set(tables) == {"arms", "levels", "checks", "curves", "trial"}
    lock = lock_in(texts_of(tables), made)
    assert lock is not None and (lock.run["name"],) == (RUN,) == runs_of(tables)
    observed = read_observed(made)
    assert observed is not None and {"history", "losses"} <= set(observed[0])


def test_the_lock_survives_being_kept_as_a_table(made, tmp_path):
    """Its text goes through CSV, bit for bit: the hash still fits."""
    tables = read_trial(made)
    write_tables(tmp_path, tables, {"run": RUN})
    kept, _ = read_tables(tmp_path)
    assert texts_of(kept) == texts_of(tables)
    assert lock_in(texts_of(kept), tmp_path) == lock_in(texts_of(tables), made)


def test_an_edited_lock_is_refused(folder):
    file = folder / "predictions.json"
    value = json.loads(file.read_text())
    value["n_pairs"] += 1
    file.write_text(json.dumps(value))
    with pytest.raises(ValueError, match=r"predictions.json was edited after it was written: its hash is"):
        read_trial(folder)


def test_without_a_lock_nothing_is_known_before(folder):
    (folder / "predictions.json").unlink()
    tables = read_trial(folder)
    assert lock_in(texts_of(tables), folder) is None
    assert runs_of(tables) == (RUN,)


def test_a_folder_that_holds_no_trial_is_named(tmp_path):
    with pytest.raises(
        ValueError, match="needs a trial folder, got .*, which holds neither predictions.json nor"
    ):
        read_trial(tmp_path)


@pytest.mark.parametrize("name", ["arms", "curves"])
def test_a_table_that_is_missing_is_named(folder, name):
    (folder / f"{name}.csv").unlink()
    with pytest.raises(
        ValueError, match=rf"{name}.csv is missing, which about.json names. Gather the tables again"
    ):
        read_trial(folder)


def test_a_missing_table_of_the_run_is_named(folder):
    (folder / "observed" / "losses.csv").unlink()
    with pytest.raises(ValueError, match=r"losses.csv is missing"):
        read_observed(folder)


def test_tables_of_another_run_are_refused(folder):
    about = json.loads((folder / "observed" / "about.json").read_text())
    (folder / "observed" / "about.json").write_text(json.dumps(about | {"run": "other"}))
    with pytest.raises(
        ValueError, match=r"tables of one run: the trial is of run 'made', .*observed of 'other'"
    ):
        read_observed(folder)
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps(about | {"run": "third"}))
    with pytest.raises(
        ValueError, match=r"tables of one run: the trial is of run 'made', .*about.json of 'third'"
    ):
        read_trial(folder)


def test_arms_of_another_lock_are_refused(folder):
    about = json.loads((folder / "about.json").read_text())
    about["lock"]["hash"] = "0" * 64
    (folder / "about.json").write_text(json.dumps(about))
    with pytest.raises(
        ValueError, match=r"needs the lock under which its arms were trained, hash 0000000000000000"
    ):
        read_trial(folder)


@pytest.mark.parametrize(
    ("text", "said"), [("{", "needs to hold JSON, but"), ("[1]", "needs to hold a JSON object")]
)
def test_an_about_that_is_none_is_told(folder, text, said):
    (folder / "about.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_trial(folder)


def test_a_run_that_does_not_say_its_name_is_taken():
    assert runs_of(no_trial()) == ()
    check_run((), "one", "there")
    check_run(("one",), None, "there")


def test_a_locked_trial_of_which_nothing_is_trained_yet(folder):
    for name in ("arms", "levels", "checks", "curves"):
        (folder / f"{name}.csv").unlink()
    (folder / "about.json").unlink()
    tables = read_trial(folder)
    assert set(tables) == {"trial"} and isinstance(tables["trial"], pd.DataFrame)


def test_a_trial_of_a_recipe_is_told_beside_any_of_its_runs(tmp_path):
    """Seeds of one recipe are its pairs; the page shows the run whose tables are there, and counts the others."""
    folder = make_trial(tmp_path / "recipe", kind="seed", n_pairs=3, run="p59-0", others=("p59-1", "p59-2"))
    tables = read_trial(folder)
    assert runs_of(tables) == ("p59-0", "p59-1", "p59-2")
    observed = read_observed(folder)
    assert observed is not None
    told = account({**observed[0], **tables}, {"run": "p59-0", "path": "runs/p59-0"})
    assert told.title == "Run p59-0 and 2 of other seeds"
    assert told.command("interp battery RUN --theories x") == (
        "interp battery runs/p59-0 runs/p59-1 runs/p59-2 --theories x"
    )
    assert told.command("interp measure RUN --probes losses") == "interp measure runs/p59-0 --probes losses"
    said = " ".join(sentence.text for sentence in answer(told))
    assert "branches of 3 runs of one recipe were trained" in said
    assert {row.status for row in told.rows if row.prediction.arms and row.found is not None} == {
        "this recipe"
    }
    with pytest.raises(ValueError, match="the trial is of runs 'p59-0', 'p59-1', 'p59-2', the run of 'p31'"):
        check_run(runs_of(tables), "p31", "the run")
