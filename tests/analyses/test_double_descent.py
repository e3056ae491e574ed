"""The analysis of double descent: what was planted in a sweep is what it says, beside random features or alone."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from interp.analyses import double_descent, frame, of_random_features, of_sizes
from interp.sweeps.gathered import Gathered
from interp.sweeps.opened import NotMeasured
from interp.tables.folder import clean, read_tables, write_tables

SIZES = (2, 4, 8, 16, 32)
STEPS = np.array([0, 1, 3, 10, 30, 100, 300, 1000])
CLEAN = {2: 0.4, 4: 0.3, 8: 0.25, 16: 0.2, 32: 0.15}
BUMP = {2: 0.5, 4: 0.35, 8: 0.6, 16: 0.4, 32: 0.2}


def planted(
    field="model.d_mlp", name="planted", has_measured=True, errors=(CLEAN, BUMP), statuses="complete",
    seeds=(0, 1), along=None, **beside,
):  # fmt: skip
    """Runs over sizes, without and with wrong labels: a bump at 8 with them, every label fitted from 8 on.

    Args:
        along: test errors at `STEPS` of all runs, in place of those that end at `errors`.
        beside: further fields of the config, a function of the size each.
    """
    rows = [
        {
            "run": f"{size}-{noise}-{seed}",
            "status": statuses,
            field: size,
            "task.corrupted_fraction": noise,
            "seed": seed,
            **{f"model.{other}": value(size) for other, value in beside.items()},
        }
        for size in SIZES
        for noise in (0.0, 0.15)
        for seed in seeds
    ]  # fmt: skip
    runs = pd.DataFrame(rows)

    def histories():
        parts = []
        for row in rows:
            end = errors[row["task.corrupted_fraction"] > 0][row[field]] + 0.01 * (row["seed"] - 0.5)
            test = np.where(STEPS < 100, 0.9 - 0.1 * np.log10(STEPS + 1), end)
            test = test if along is None else np.add(along, 0.01 * (row["seed"] - 0.5))
            fits = row[field] >= 8 if field.startswith("model.") else row[field] <= 8
            train = np.where(STEPS < 100, 0.5, 0.0 if fits else 0.1)
            parts.append(
                pd.DataFrame(
                    {
                        "run": row["run"], "step": STEPS, "train_accuracy": 1 - train, "test_accuracy": 1 - test,
                        "train_loss": 1.0, "test_loss": 2.0,
                    }
                )
            )  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def measured(probe):
        if not has_measured:
            raise NotMeasured("none was measured")
        names = [row["run"] for row in rows]
        if probe == "weight_norms":
            return pd.DataFrame(
                {"run": names, "step": 1000, "matrix": "total", "l2": np.arange(len(names), dtype=float)}
            )
        if probe == "weight_spectra":
            return pd.DataFrame(
                {"run": names, "step": 1000, "matrix": "blocks.0.mlp.W_in", "effective_rank": 3.0}
            )
        halves = {"train": 10, "corrupted": 300, "test": 30}
        return pd.concat(
            pd.DataFrame(
                {"run": run, "step": STEPS, "split": split, "margin_min": -1.0 if split == "corrupted" else 2.0,
                 "accuracy": 0.1 + 0.8 / (1 + (half / np.maximum(STEPS, 1e-3)) ** 2)}
            )
            for run in names
            for split, half in halves.items()
        )  # fmt: skip

    fields = (*(f"model.{other}" for other in beside), field, "task.corrupted_fraction")
    return Gathered(name, fields, runs, histories, measured)


@pytest.fixture(scope="module")
def side_by_side():
    """Two sweeps beside the closed form, which is computed in a tenth of a second."""
    few = {
        "WIDTHS": (10, 20, 90, 100, 110, 500), "ROWS": (50, 100, 200), "DRAWS": 3, "N_TEST": 200,
        "FOLLOWED": (20, 100), "STEPS": (1.0, 10.0, 100.0), "PENALTIES": (0.1, 1.0),
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        for name, value in few.items():
            patched.setattr(of_random_features, name, value)
        sweeps = (planted(), planted("task.n_train", "rows"))
        return double_descent.compute(double_descent.SideBySide(sweeps), "cpu")


@pytest.fixture(scope="module")
def figure(side_by_side):
    return double_descent.draw(side_by_side)


def found(tables, **wanted):
    (row,) = [
        row
        for row in double_descent.summarize(tables)["descents"]
        if all(row[name] == value for name, value in wanted.items())
    ]
    return row


def test_the_planted_bump_its_threshold_and_what_lies_beside_it():
    tables = double_descent.compute(planted(), "cpu")
    noisy, clean_one = (found(tables, noise=noise) for noise in (0.15, 0.0))
    assert noisy["shows"] and (noisy["peak_at"], noisy["axis"]) == (8, "model size")
    assert noisy["height"] == pytest.approx(0.25)
    # Of networks it is not said where every label is met exactly.
    assert list(noisy["threshold"].values()) == pytest.approx([4, 8, np.nan, np.nan], nan_ok=True)
    assert not clean_one["shows"] and clean_one["height"] == 0
    sizes = tables["sizes"].query("noise == 0.15").set_index("size")
    # The smallest margin is that of a row with a wrong label, the norm the mean of the runs' own.
    assert (sizes["margin"] == -1).all() and (sizes["effective_rank"] == 3).all()
    assert sizes.loc[2, "norm"] == 2.5
    said = double_descent.summarize(tables)["said"]
    assert said[1].startswith(
        "planted, 15% wrong labels, over model size: a second descent: test error 0.350, 0.600 at 8, then 0.200"
    )
    assert said[1].endswith("every label is answered at 8 (not at 4).")
    assert said[2] == "Along steps 0 of 10 sizes descend a second time."


def test_a_descent_along_steps_is_told_with_its_sizes():
    rising_between = [0.9, 0.8, 0.3, 0.5, 0.5, 0.4, 0.2, 0.1]
    tables = double_descent.compute(planted(along=rising_between, has_measured=False), "cpu")
    said = double_descent.summarize(tables)["said"][-1]
    places = [f"planted, {noise} wrong labels at size {size}" for noise in ("0%", "15%") for size in SIZES]
    assert said == (
        "Along steps 10 of 10 sizes descend a second time: "
        + ", ".join(places[:-1]) + f" and {places[-1]}."
    )  # fmt: skip
    assert set(tables["epoch_descents"]["peak_at"]) == {10}


def test_of_one_run_a_size_nothing_is_denied(tmp_path):
    tables = double_descent.compute(planted(seeds=(0,), has_measured=False), "cpu")
    write_tables(tmp_path, tables, {})
    for summary in (
        double_descent.summarize(tables),
        double_descent.summarize(read_tables(tmp_path)[0]),
    ):
        clear, noisy, steps = summary["said"]
        untold = (
            "over model size: whether there is a second descent cannot be told (one run a size): test error"
        )
        assert f"{untold} has no bump (height 0.000);" in clear
        assert f"{untold} 0.345, 0.595 at 8, then 0.195 (height 0.250);" in noisy
        assert steps == "Along steps, of 10 it cannot be told (one run a size, or fewer than three steps)."
        assert [one["shows"] for one in clean(summary)["descents"]] == [None, None]


@pytest.mark.parametrize("field", ["model.d_model", "model.n_layers", "model.n_heads"])
def test_other_sizes_of_a_model_are_sizes_too(field):
    table = of_sizes.size_runs(planted(field, has_measured=False))
    assert set(table["field"]) == {field} and set(table["axis"]) == {"model size"}


def test_a_positive_number_of_a_model_that_is_no_size_is_a_setting():
    assert of_sizes.size_runs(planted("model.init_scale", has_measured=False)).empty
    # Eight scales would outnumber the sizes.
    both = planted(has_measured=False, init_scale=lambda size: 1.0 + (size > 4))
    finer = both.runs.assign(**{"model.init_scale": np.linspace(1, 8, len(both.runs))})
    table = of_sizes.size_runs(dataclasses.replace(both, runs=finer))
    assert set(table["field"]) == {"model.d_mlp"}
    assert set(table["setting"].str.startswith("init scale = ")) == {True}


def test_sizes_that_go_with_the_size_are_no_settings():
    table = of_sizes.size_runs(planted("model.d_model", has_measured=False, d_mlp=lambda size: 4 * size))
    assert set(table["setting"]) == {"one setting"}
    # One that takes two values at a size is a setting.
    apart = planted(has_measured=False, d_model=lambda size: size)
    apart.runs["model.d_model"] = np.where(apart.runs["seed"] == 0, 16, 32)
    assert set(of_sizes.size_runs(apart)["setting"]) == {"width = 16", "width = 32"}


def test_patterns_are_those_of_the_largest_network_with_wrong_labels():
    tables = double_descent.compute(planted(), "cpu")
    halves = tables["speeds"].query("time == 'ln step'").set_index("pattern")["half_step"]
    assert halves.to_dict() == pytest.approx(
        {"right labels": 10, "wrong labels": 300, "new rows": 30}, rel=1e-3
    )
    # By rows of the train set there is no largest network.
    assert double_descent.compute(planted("task.n_train"), "cpu")["patterns"].empty


def test_over_train_rows_the_threshold_is_the_last_that_fits():
    row = found(double_descent.compute(planted("task.n_train"), "cpu"), noise=0.15)
    assert row["axis"] == "train rows"
    assert (row["threshold"]["outside"], row["threshold"]["inside"]) == (16, 8)


def test_other_fields_are_settings_of_their_own():
    both = planted()
    two = pd.concat([both.runs.assign(**{"optimizer.lr": lr}) for lr in (0.1, 1.0)], ignore_index=True)
    two["run"] = [f"{run}-{i}" for i, run in enumerate(two["run"])]

    def histories():
        by_run = dict(iter(both.histories().groupby("run")))
        return pd.concat(by_run[run.rpartition("-")[0]].assign(run=run) for run in two["run"])

    gathered = dataclasses.replace(
        planted(has_measured=False), fields=(*both.fields, "optimizer.lr"), runs=two, histories=histories
    )
    tables = double_descent.compute(gathered, "cpu")
    assert set(tables["descents"]["setting"]) == {"learning rate = 0.1", "learning rate = 1"}
    # Titles of the panels, without drawing them.
    titles = [title for title, _ in double_descent._settings(tables["sizes"], "model size")]
    assert titles == ["planted\nlearning rate = 0.1", "planted\nlearning rate = 1"]


def test_random_features_stand_beside_sweeps_of_a_folder(side_by_side, figure):
    tables = side_by_side
    assert tables["descents"]["experiment"].unique().tolist() == ["random features", "planted", "rows"]
    own = found(tables, experiment="random features", axis="model size", noise=0.15)
    exact = {"exact_outside": 90, "exact_inside": 100}
    assert own["threshold"] == {"outside": 90, "inside": 100, **exact} and own["peak_at"] == 100
    # Without wrong labels all signs are right before the squares are gone.
    clear = found(tables, experiment="random features", axis="model size", noise=0.0)
    assert clear["threshold"] == {"outside": 20, "inside": 90, **exact}
    said = " ".join(double_descent.summarize(tables)["said"])
    assert "is answered at 90 (not at 20), and met exactly at 100 (not at 90)." in said
    ridged = tables["sizes"].query(
        "experiment == 'random features' and noise == 0.15 and axis == 'model size'"
    )
    at_peak = ridged.set_index("size").loc[100]
    assert at_peak["ridge_error"] < at_peak["test_error"] - 0.05
    texts = {text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text"))}
    assert {
        "random features",
        "planted",
        "neurons",
        "effective rank",
        "smallest train margin",
        "wrong labels",
    } <= texts
    assert json.dumps(clean(double_descent.summarize(tables)))


def test_runs_that_are_not_done_and_sweeps_of_no_size_say_nothing():
    for gathered in (
        planted(statuses="running"),
        planted("optimizer.weight_decay"),
        Gathered("seeds", (), planted().runs, planted().histories, planted().measured),
    ):
        tables = double_descent.compute(gathered, "cpu")
        assert not any(len(table) for table in tables.values())
        assert double_descent.summarize(tables)["said"] == [
            "No size was swept: neither of the model nor of its train rows."
        ]
    # Empty all of them, they are drawn alike.
    figure = double_descent.draw(tables)
    notes = {text.get_text() for ax in figure.axes for text in ax.texts}
    assert {"no size was swept", "no evaluations along training", "not measured"} <= notes
    assert not any(len(ax.lines) for ax in figure.axes)


def test_noise_around_one_error_is_no_descent():
    rng = np.random.default_rng(0)
    flat = {size: 0.3 + 0.002 * rng.standard_normal() for size in SIZES}
    row = found(double_descent.compute(planted(errors=(flat, flat)), "cpu"), noise=0.15)
    assert not row["shows"] and row["height"] < row["needed"]


def test_what_is_written_is_read_back_the_same(tmp_path, side_by_side, figure):
    write_tables(tmp_path, side_by_side, {"run": "planted"})
    again, _ = read_tables(tmp_path)
    assert double_descent.summarize(again)["said"] == double_descent.summarize(side_by_side)["said"]
    drawn, drawn_again = (
        [line.get_ydata() for ax in of.axes for line in ax.lines]
        for of in (figure, double_descent.draw(again))
    )
    assert len(drawn) == len(drawn_again) > 20
    for before, after in zip(drawn, drawn_again, strict=True):
        assert np.asarray(after, dtype=float) == pytest.approx(np.asarray(before, dtype=float), nan_ok=True)


def test_a_folder_of_published_sweeps_is_opened_as_what_lies_in_it(tmp_path, monkeypatch):
    from interp.sweeps.gathered import HISTORIES

    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / HISTORIES).touch()
    monkeypatch.setattr(
        of_sizes.many_runs, "opened", lambda path, others: (planted(name=path.rpartition("/")[2]), {})
    )
    what, about = double_descent.opened(str(tmp_path), ())
    assert [one.name for one in what.sweeps] == ["one", "other"]
    assert about == {
        "run": tmp_path.name, "n_runs": 40, "fields": ["model.d_mlp", "task.corrupted_fraction"],
    }  # fmt: skip
    single, _ = double_descent.opened(str(tmp_path / "one"), ())
    assert isinstance(single, Gathered)


def test_a_folder_without_sweeps_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="double_descent: .* holds no runs to compare"):
        frame.main(
            "double_descent", "", double_descent.compute, double_descent.draw, double_descent.summarize,
            ["--run", str(tmp_path), "--out", str(tmp_path / "out")], subject=double_descent.subject,
        )  # fmt: skip
