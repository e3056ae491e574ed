"""Series of weights: what is wrong is found and named, what is right stays silent."""

import itertools
import pickle
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.checks.findings import listed
from interp.checks.series import SeriesCheck, missing_steps
from interp.runs.schedule import make_schedule
from interp.training.train import train
from tests.thinned import of_several
from tests.tiny import tiny_config


def drifting(steps, seed=0, shapes=(("W", (30, 20)), ("V", (8, 8)), ("b", (20,)))):
    """A walk of weights with a direction: one checkpoint a step, as training gives them."""
    generator = torch.Generator().manual_seed(seed)
    now = {name: torch.randn(shape, generator=generator) for name, shape in shapes}
    drift = {name: torch.randn(shape, generator=generator) for name, shape in shapes}
    out = {}
    for step in steps:
        out[step] = {name: w.clone() for name, w in now.items()}
        for name, w in now.items():
            w += 0.01 * drift[name] + 0.005 * torch.randn(w.shape, generator=generator)
    return out


def check(series, **how):
    taken = SeriesCheck()
    for step, weights in series.items() if isinstance(series, dict) else series:
        taken.add(step, weights)
    return taken.findings(**how)


def kinds(findings):
    return {(f.level, f.kind) for f in findings}


STEPS = range(0, 2000, 100)


def test_a_drifting_walk_is_clean():
    assert check(drifting(STEPS)) == []


def test_a_copy_of_one_step_under_the_name_of_another_is_named():
    series = drifting(STEPS)
    series[1500] = series[700]
    found = {f.kind: f for f in check(series)}
    assert found["same weights"].steps == (700, 1500) and found["same weights"].level == "problem"
    assert found["outlier"].steps == (1500,)
    assert set(found) == {"same weights", "outlier"}  # not every tensor once more


def test_a_range_that_serves_the_final_weights_is_named_as_a_range():
    series = drifting(STEPS)
    for step in (1200, 1300, 1400):
        series[step] = series[1900]
    (same,) = (f for f in check(series) if f.kind == "same weights")
    assert same.steps == (1200, 1300, 1400, 1900)


def test_one_tensor_that_was_served_twice_is_named():
    series = drifting(STEPS)
    series[800]["W"] = series[700]["W"]
    (found,) = check(series)
    assert (found.level, found.kind, found.where, found.steps) == ("problem", "same tensor", "W", (700, 800))


def test_a_vector_may_stand_still_between_neighbours_but_not_come_back():
    series = drifting(STEPS)
    series[800]["b"] = series[700]["b"]
    assert kinds(check(series)) == {("note", "same tensor")}
    series = drifting(STEPS)
    series[1200]["b"] = series[700]["b"]
    assert ("problem", "same tensor") in kinds(check(series))


def test_frozen_tensors_are_a_note_that_names_them():
    series = drifting(STEPS)
    for weights in series.values():
        weights["mask"] = torch.tril(torch.ones(3, 3))
    (found,) = check(series)
    assert (found.level, found.kind, found.where) == ("note", "never changes", "mask")


def test_steps_that_are_known_to_be_still_are_a_note():
    series = drifting([0, 1, 2, 3, 10, 20])
    series[1] = series[0]
    assert kinds(check(series)) == {("problem", "same weights")}
    assert kinds(check(series, still=[(0, 1)])) == {("note", "same weights")}
    series[20] = series[0]
    assert ("problem", "same weights") in kinds(check(series, still=[(0, 1)]))


def test_weights_of_another_run_are_an_outlier_and_nothing_else_is():
    series = drifting(STEPS)
    series[900] = drifting(STEPS, seed=1)[900]
    assert [(f.kind, f.steps) for f in check(series)] == [("outlier", (900,))]


def test_swapped_neighbours_are_outliers():
    series = drifting(STEPS)
    series[900], series[1000] = series[1000], series[900]
    assert {f.steps for f in check(series)} == {(900,), (1000,)}


def test_outliers_are_found_whatever_the_spacing():
    series = drifting(range(40))
    uneven = {step: weights for step, weights in series.items() if step < 8 or step % 4 == 0}
    assert check(uneven) == []
    uneven[16] = drifting(range(40), seed=1)[16]
    assert [(f.kind, f.steps) for f in check(uneven)] == [("outlier", (16,))]


def test_weights_that_oscillate_have_no_outlier():
    # Period two with a small drift: every way through is many times the way around.
    generator = torch.Generator().manual_seed(0)
    base, swing = torch.randn(50, 50, generator=generator), torch.randn(50, 50, generator=generator)
    series = {s: {"W": base * (1 + 0.01 * s) + swing * (-1) ** s} for s in range(20)}
    assert check(series) == []


def test_large_tensors_are_sampled_well_enough():
    big = (("W", (300, 200)),)
    series = drifting(STEPS, shapes=big)
    assert check(series) == []
    series[500], series[600] = series[600], series[500]
    assert {f.steps for f in check(series)} == {(500,), (600,)}


def test_nan_and_infinity_are_counted_and_do_not_hide_what_follows():
    series = drifting(STEPS)
    series[400]["W"][3, 4] = float("nan")
    series[500]["b"][:2] = float("inf")
    series[1200] = series[700]
    found = check(series)
    assert {(f.where, f.steps) for f in found if f.kind == "not finite"} == {("W", (400,)), ("b", (500,))}
    assert any("1 NaN and 0 infinite of 600" in f.message for f in found)
    assert ("problem", "same weights") in kinds(found)


def test_changes_of_shape_and_dtype_are_named():
    series = drifting(STEPS)
    series[300]["W"] = series[300]["W"].half()
    for step in STEPS:
        if step >= 1000:
            series[step]["V"] = series[step]["V"][:4]
            del series[step]["b"]
    found = [f for f in check(series) if f.kind == "shape"]
    assert [(f.where, f.steps) for f in found] == [
        ("W", (300,)),
        ("W", (400,)),
        ("V", (1000,)),
        ("b", (1000,)),
    ]
    assert "float16" in found[0].message and "not there" in found[3].message


def test_steps_out_of_order_and_twice_are_named():
    series = drifting(STEPS)
    order = [(step, series[step]) for step in (0, 100, 300, 200, 400, 400)]
    found = check(order)
    assert [(f.level, f.kind, f.steps) for f in found if f.kind == "order"] == [
        ("problem", "order", (300, 200)),
        ("note", "order", (400,)),
    ]
    assert ("problem", "order") in kinds(check([(0, series[0]), (100, series[100]), (100, series[200])]))


def test_missing_steps_by_schedule_and_by_spacing():
    series = drifting(STEPS)
    del series[500], series[600]
    assert [(f.kind, f.steps) for f in check(series)] == [("missing step", (500, 600))]
    assert [f.steps for f in check(series, expected=[*STEPS, 2000])] == [(500, 600, 2000)]


@given(st.integers(1, 200_000), st.integers(1, 300), st.integers(1, 500))
def test_no_schedule_of_ours_has_missing_steps(n_steps, n_log, every):
    for text in (f"log:{n_log}", f"every:{max(every, n_steps // 500 + 1)}"):
        assert missing_steps(make_schedule(n_steps, [text], []).steps) == []


def test_the_schedule_of_pythia_has_no_gap_until_one_is_made():
    steps = [0, *(2**i for i in range(10)), *range(1000, 143_001, 1000)]
    assert missing_steps(steps) == []
    for absent in (16, 64_000):
        assert missing_steps([s for s in steps if s != absent]) == [absent]


@pytest.mark.parametrize(
    ("change", "save"),
    of_several(
        itertools.product(
            [
                {},
                {"optimizer": {"lr": 0.1}},  # unstable: the loss spikes
                {
                    "optimizer": {
                        "name": "sgd",
                        "lr": 0.02,
                        "momentum": 0.9,
                        "weight_decay": 0.0,
                        "batch_size": 8,
                    }
                },
                {"optimizer": {"batch_size": 8}},
                {"model": {"n_heads": 0}},
            ],
            [["every:10"], ["log:60"]],
        ),
        3,
    ),
)
def test_no_alarm_on_real_training(tmp_path, change, save):
    run = train(
        tiny_config(200, schedule=make_schedule(200, save, []), **change), tmp_path / "run", threads=1
    )
    series = {step: run.step_weights(step) for step in run.steps}
    assert [f for f in check(series, still=[(0, 1)]) if f.level == "problem"] == []


def test_no_weights_are_kept():
    taken, generator, sizes = SeriesCheck(), torch.Generator().manual_seed(0), []
    for step in range(20):
        tensor = torch.randn(300, 300, generator=generator)
        kept = weakref.ref(tensor)
        taken.add(step, {"W": tensor})
        del tensor
        assert kept() is None
        sizes.append(len(pickle.dumps(taken)))
    # 360 kB of weights a step; a checksum and a detour remain.
    assert sizes[-1] - sizes[4] < 15 * 1000


def test_listed_shortens():
    assert listed([1, 2]) == "1, 2"
    assert listed(range(20)) == "0, 1, 2, 3, 4, ... 19 (20 in all)"
