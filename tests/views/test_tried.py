"""What the page says of a trial: numbers are those of the tables, and thinning loses no event."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from interp.figures.branches import median_curve
from interp.report.pictures import label_of
from interp.theories.statistic import THRESHOLD
from interp.views.tried import MOST_POINTS, thinned, trial_tables, tried
from tests.report.test_sentences import of_world
from tests.report.trials import make_trial


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("circuit")


@pytest.fixture(scope="module")
def told(folder):
    return of_world(folder)


@pytest.fixture(scope="module")
def trial(told):
    return tried(told)


@pytest.mark.slow
def test_curves_are_those_of_the_file(trial, folder, told):
    rows = pd.read_csv(folder / "curves.csv")
    n_curves = 0
    for arm in trial["arms"]:
        for curve in arm["pairs"]:
            there = rows[(rows["arm"] == arm["arm"]) & (rows["kind"] == arm["kind"])]
            there = there[
                (there["branch_step"] == arm["branch_step"]) & (there["pair"].astype(str) == curve["pair"])
            ]
            dosed = [d for d in there["dose"].unique() if pd.isna(d) or arm["label"].endswith(f"dose {d:g}")]
            there = there[there["dose"].isin(dosed)].set_index("since").loc[curve["since"]]
            for name in ("test_accuracy", "norm", "test_loss"):
                np.testing.assert_allclose(curve[name], there[name], rtol=1e-4)
            n_curves += 1
    assert n_curves == len(rows.groupby(["arm", "dose", "pair", "kind", "branch_step"], dropna=False))


@pytest.mark.parametrize("event", [1, 123, 4321, 4999])
def test_thinning_keeps_first_last_and_both_sides_of_the_event(event):
    accuracy = np.where(np.arange(5000) < event, 0.1, 1.0)
    kept = thinned(pd.DataFrame({"test_accuracy": accuracy}))
    assert len(kept) <= MOST_POINTS and kept == sorted(set(kept))
    assert {0, 4999, event - 1, event} <= set(kept)


def test_thinning_keeps_short_curves_and_those_without_an_event():
    assert thinned(pd.DataFrame({"test_accuracy": [0.1] * MOST_POINTS})) == list(range(MOST_POINTS))
    never = thinned(pd.DataFrame({"test_accuracy": [THRESHOLD / 2] * 5000}))
    assert never[0] == 0 and never[-1] == 4999 and len(never) <= MOST_POINTS


def test_every_prediction_stands_once_with_its_verdict(trial, told):
    found = trial["predictions"]
    assert len({one["id"] for one in found}) == len(found) == len(told.rows)
    assert [one["verdict"] for one in found] == [row.verdict for row in told.rows]
    assert [one["statement"] for one in found] == [row.prediction.statement for row in told.rows]
    assert {one["column"] for one in found} == set(trial["columns"])
    assert {one["theory"] for one in found} == {one["name"] for one in trial["theories"]}


def test_lock_is_that_of_the_folder(trial, told):
    assert trial["lock"]["hash"] == told.lock.hash and trial["lock"]["time"] == told.lock.time
    assert trial["lock"]["said"].startswith(f"{len(told.lock.predictions)} predictions")


@pytest.mark.slow
def test_checks_that_fail_say_so_and_lead_to_the_worst_of_their_rows(told):
    checks = told.checks.copy()
    mine = checks[(checks["arm"] == "norm") & (checks["dose"] == 1.15) & (checks["allowed"] == 0.05)].index
    checks["holds"] = True
    checks.loc[mine[1:4], "holds"] = False
    checks.loc[mine[1:4], "found"] = [0.3, 0.9, 0.4]
    changed = dataclasses.replace(told, checks=checks)
    found = tried(changed)["checks"]
    assert len(found) == len(checks.drop_duplicates(["arm", "dose", "check"]))
    (failed,) = [one for one in found if one["holds"] != "yes"]
    assert failed["label"] == "norm at dose 1.15" and failed["holds"] == f"no, in 3 of {len(mine)}"
    rows = trial_tables(changed)["trial_checks"]
    assert rows.loc[failed["row"], ["arm", "dose", "found"]].tolist() == ["norm", 1.15, 0.9]
    for one in found:
        there = rows.loc[one["row"]]
        assert (there["check"], there["found"], there["allowed"]) == (
            one["check"],
            one["found"],
            one["allowed"],
        )


def test_medians_are_those_of_figures(trial, told):
    n_medians = 0
    for arm in trial["arms"]:
        (table,) = [
            table for (name, dose, kind), table in told.curves.items()
            if (label_of(name, dose), kind) == (arm["label"], arm["kind"])
        ]  # fmt: skip
        table = table[table["branch_step"] == arm["branch_step"]].sort_values("since")
        pairs = [
            (rows["since"].to_numpy(float), rows["test_accuracy"].to_numpy(float))
            for _, rows in table.groupby("pair")
        ]
        grid, values = median_curve(pairs)
        shown = arm["median"]["test_accuracy"]
        assert shown["since"][0] == grid[0] and shown["since"][-1] == grid[-1]
        assert len(shown["since"]) <= MOST_POINTS
        np.testing.assert_allclose(shown["y"], pd.Series(values, grid)[shown["since"]], rtol=1e-4)
        n_medians += len(pairs) > 1
    assert n_medians


def test_numbers_lead_to_tables(trial, told):
    tables = trial_tables(told)
    assert {"trial_arms", "trial_checks", "trial_levels", "trial_effects"} == set(tables)
    pd.testing.assert_frame_equal(tables["trial_arms"], told.arms.reset_index(drop=True))
    assert [one["label"] for one in trial["effects"]] == list(tables["trial_effects"]["label"])


@pytest.mark.slow
def test_without_lock_all_is_exploratory(tmp_path):
    trial = tried(of_world(tmp_path, is_locked=False))
    assert trial["lock"] is None and trial["arms"]
    assert {one["status"] for one in trial["predictions"]} <= {"exploratory", "observed", "not tested"}


def test_an_edited_lock_is_refused(tmp_path):
    path = make_trial(tmp_path) / "predictions.json"
    text = path.read_text("utf-8")
    path.write_text(text.replace("test_accuracy", "test_accuracies", 1), "utf-8")
    from interp.report.trial import read_trial

    with pytest.raises(ValueError, match="hash|edited|changed"):
        read_trial(tmp_path)
