"""Curves on common places: what was seen last, medians, and no more than a group reaches."""

import numpy as np
import pandas as pd
import pytest

from interp.tables.overlays import overlay, relative_places, step_places


def curves(**runs):
    parts = [pd.DataFrame({"run": name, "step": list(v), "x": list(v.values())}) for name, v in runs.items()]
    return pd.concat(parts, ignore_index=True)


def test_a_value_is_the_last_seen_and_the_group_its_median():
    table = curves(
        a={0: 1.0, 100: 2.0, 200: 4.0}, b={0: 3.0, 100: 6.0, 200: 8.0}, c={0: 9.0, 100: 10.0, 200: 12.0}
    )
    found = overlay(table, "x", {"all": ["a", "b", "c"], "one": ["b"]}, np.array([0.0, 99.0, 100.0, 250.0]))
    of = {group: rows.set_index("x") for group, rows in found.groupby("group")}
    assert of["all"]["median"].to_dict() == {0.0: 3.0, 99.0: 3.0, 100.0: 6.0}
    assert of["all"].loc[0.0, ["low", "high", "n"]].tolist() == [2.0, 6.0, 3]
    assert (of["one"]["median"] == of["one"]["low"]).all() and (of["one"]["n"] == 1).all()


def test_what_few_of_a_group_reach_is_left_out():
    long, short = {0: 1.0, 100: 1.0, 1000: 1.0}, {0: 0.0, 100: 0.0}
    found = overlay(
        curves(a=long, b=short, c=short), "x", {"g": ["a", "b", "c"]}, np.array([50.0, 100.0, 500.0])
    )
    assert found["x"].tolist() == [50.0, 100.0] and found["n"].tolist() == [3, 3]


def test_against_the_event_runs_that_differ_by_pace_alone_fall_on_each_other():
    shape = {0.1: 0.0, 0.5: 0.2, 1.0: 0.95, 2.0: 1.0}
    table = curves(
        **{name: {round(k * at): v for k, v in shape.items()} for name, at in (("a", 100), ("b", 5000))}
    )
    events = {"a": 100.0, "b": 5000.0}
    places = relative_places(table, events)
    assert places[-1] == pytest.approx(2.0) and places[0] == pytest.approx(0.02)
    found = overlay(table, "x", {"a": ["a"], "b": ["b"]}, places, events)
    one, two = (rows["median"].to_numpy() for _, rows in found.groupby("group"))
    assert len(one) > 50 and np.array_equal(one, two)
    # Without the event there is no such axis.
    assert set(overlay(table, "x", {"a": ["a"], "b": ["b"]}, places, {"a": 100.0})["group"]) == {"a"}
    assert not len(relative_places(table, {}))


def test_places_begin_at_the_first_evaluation_after_the_start():
    places = step_places(curves(a={0: 0.0, 10: 0.0, 1000: 1.0}))
    assert places[[0, -1]] == pytest.approx([10, 1000]) and (np.diff(np.log(places)) > 0).all()
