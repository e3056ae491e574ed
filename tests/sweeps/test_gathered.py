"""Runs side by side: a sweep, its published tables, a folder of anybody's runs, and several."""

import pandas as pd
import pytest

from interp.runs.tensor_files import RunError
from interp.sweeps.gathered import differing, gathered, publish
from interp.sweeps.opened import NotMeasured
from interp.sweeps.sweep import sweep
from interp.training.train import train
from tests.sweeps.test_sweep import BASE, HERE, OVER
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two decays, two seeds, with norms."""
    return sweep(tmp_path_factory.mktemp("g") / "s", BASE, OVER, seeds=2, probes=("weight_norms",), **HERE)


def test_a_sweep_has_its_fields_rows_and_evaluations(made):
    found = gathered(made.path)
    assert (found.name, found.fields) == ("s", ("optimizer.weight_decay",))
    pd.testing.assert_frame_equal(found.runs, made.runs)
    histories = found.histories()
    # At the steps that were evaluated: every tenth of 60.
    assert list(histories) == ["run", "step", "train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    assert histories.groupby("run")["step"].apply(list).tolist() == [list(range(0, 61, 10))] * 4
    assert set(found.measured("weight_norms")["run"]) == set(made.names)


def test_a_folder_of_the_same_runs_tells_the_same(made):
    of_sweep, of_folder = gathered(made.path), gathered(made.path / "runs")
    assert of_folder.fields == of_sweep.fields
    pd.testing.assert_frame_equal(of_folder.runs, of_sweep.runs)
    one, two = of_sweep.histories(), of_folder.histories()
    pd.testing.assert_frame_equal(one, two)
    norms = [g.measured("weight_norms").sort_values(["run", "step", "matrix"]) for g in (of_sweep, of_folder)]
    pd.testing.assert_series_equal(*(table["l2"].reset_index(drop=True) for table in norms))


def test_published_tables_are_small_and_tell_the_same(made, tmp_path):
    dest = publish(made, tmp_path / "published", n_points=4)
    assert sorted(p.relative_to(dest).as_posix() for p in dest.rglob("*.*")) == [
        "histories.parquet", "measured/weight_norms.parquet", "runs.parquet", "sweep.json",
    ]  # fmt: skip
    found, whole = gathered(dest), gathered(made.path)
    assert found.fields == whole.fields
    pd.testing.assert_frame_equal(found.runs, whole.runs)
    thinned, histories = found.histories(), whole.histories()
    assert thinned["test_loss"].dtype == "float32" and len(thinned) < len(histories)
    merged = thinned.astype({"run": str}).merge(histories, on=["run", "step"], suffixes=("", "_whole"))
    assert len(merged) == len(thinned)
    # To the seven digits of float32.
    assert merged["test_loss"].to_numpy() == pytest.approx(merged["test_loss_whole"].to_numpy(), rel=1e-6)
    for row in whole.runs.to_dict("records"):
        steps = set(thinned.loc[thinned["run"] == row["run"], "step"])
        kept = {row[f"{event}_{end}"] for event in ("memorization", "grokking") for end in ("before", "step")}
        assert {0, 60} <= steps and {int(step) for step in kept if not pd.isna(step)} <= steps
    assert found.measured("weight_norms")["l2"].max() == pytest.approx(
        whole.measured("weight_norms")["l2"].max()
    )
    with pytest.raises(NotMeasured, match="has no table of 'losses'. It has weight_norms"):
        found.measured("losses")
    few = publish(made, tmp_path / "few", rows={"weight_norms": "matrix == 'total'"})
    assert set(gathered(few).measured("weight_norms")["matrix"]) == {"total"}
    (few / "sweep.json").write_text("{")
    with pytest.raises(RunError, match="sweep.json cannot be read"):
        gathered(few)
    (dest / "runs.parquet").write_bytes(b"damaged")
    with pytest.raises(RunError, match="runs.parquet is not a readable table"):
        gathered(dest)


def test_runs_side_by_side_keep_names_of_their_own(made, tmp_path):
    other = train(tiny_config(20, optimizer={"lr": 3e-3}), tmp_path / "other", threads=1)
    name = made.names[0]
    twin = train(tiny_config(20, optimizer={"lr": 2e-3}), tmp_path / "x" / name, threads=1)
    found = gathered(made.path, [other.path, twin.path])
    assert len(found.runs) == 6 and {f"s/{name}", f"{name}/{name}", "other"} < set(found.runs["run"])
    assert found.fields == ("optimizer.lr", "optimizer.weight_decay")
    assert set(found.histories()["run"]) == set(found.runs["run"])
    with pytest.raises(ValueError, match="Two runs are called other/other: runs side by side need names"):
        gathered(other.path, [other.path])


def test_what_follows_from_the_task_is_no_field_of_its_own(tmp_path):
    for p in (7, 11):
        train(tiny_config(5, task={"p": p, "split_seed": p}, seed=p), tmp_path / f"p{p}", threads=1)
    assert gathered(tmp_path).fields == ("task.p",)
    runs = pd.DataFrame(
        {"run": ["a", "b"], "optimizer.betas": ["[0.9, 0.98]", "[0.9, 0.99]"], "seed": [0, 1]}
    )
    assert differing(runs) == ("optimizer.betas",)


@pytest.mark.parametrize(
    ("heads", "widths", "fields"),
    [
        ((2, 2), (8, 16), ("model.d_model",)),
        ((0, 0), (0, 0), ("model.d_model",)),
        ((2, 4), (8, 8), ("model.d_model", "model.n_heads")),
        # Of a width of their own, as in imported networks.
        ((2, 2), (8, 10), ("model.d_model", "model.d_head")),
    ],
)
def test_the_width_of_heads_is_a_field_where_it_does_not_follow(heads, widths, fields):
    runs = pd.DataFrame({"model.d_model": (16, 32), "model.n_heads": heads, "model.d_head": widths})
    assert differing(runs) == fields
    # Unknown of a network, it follows from nothing.
    unknown = pd.DataFrame({"model.d_model": [None], "model.n_heads": [None], "model.d_head": [3.0]})
    assert "model.d_head" in differing(pd.concat([runs.iloc[:1], unknown], ignore_index=True))


def test_a_run_that_cannot_be_read_takes_nothing_from_the_others(tmp_path):
    made = sweep(tmp_path / "s", BASE, OVER, seeds=1, **HERE)
    (made.run(made.names[0]).path / "history.parquet").write_bytes(b"damaged")
    (made.path / "runs.parquet").unlink()
    for found in (gathered(made.path), gathered(made.path / "runs")):
        assert found.runs["status"].tolist() == ["unreadable", "complete"]
        assert set(found.histories()["run"]) == {made.names[1]}
    # What was swept is known of it all the same.
    assert gathered(made.path).runs["optimizer.weight_decay"].tolist() == [0.5, 1.0]


def test_a_field_that_is_missing_in_some_is_text_in_all(tmp_path):
    made = sweep(tmp_path / "s", BASE, {"optimizer.batch_size": [None, 32]}, **HERE)
    assert gathered(made.path).runs["optimizer.batch_size"].tolist() == ["none", "32"]


def test_many_runs_of_a_folder_are_not_measured_by_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr("interp.sweeps.gathered.FEW", 1)
    for seed in (0, 1):
        train(tiny_config(5, seed=seed), tmp_path / f"r{seed}", threads=1)
    with pytest.raises(NotMeasured, match="weight_norms is measured here of at most 1 runs, got 2"):
        gathered(tmp_path).measured("weight_norms")


def test_a_folder_without_runs_is_said_to_be_one(tmp_path):
    with pytest.raises(ValueError, match="holds no runs to compare: neither a sweep .*Name one that does"):
        gathered(tmp_path)
