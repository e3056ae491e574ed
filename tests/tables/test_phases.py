"""Phases on made-up curves whose boundaries are planted, and on curves where there must be none."""

import numpy as np
import pandas as pd
import pytest

from interp.tables.phases import FLOOR, phases
from interp.tables.transitions import Transition

STEPS = np.arange(0, 20_001, 200)
UNKNOWN = Transition("", None, None, None)


def piecewise(*points):
    """Straight lines between (step, value) points."""
    steps, values = zip(*points, strict=True)
    return np.interp(STEPS, steps, values)


def measures(excluded, restricted, selection="key"):
    rows = []
    for measure, split, loss in (
        ("excluded_loss", "train", excluded),
        ("restricted_loss", "all", restricted),
    ):
        rows.append(
            pd.DataFrame(
                {"step": STEPS, "measure": measure, "selection": selection, "split": split, "loss": loss}
            )
        )
    # Rows that must not be mistaken for the ones above.
    for selection, split in (("causal", "train"), ("random", "all"), ("key", "test"), ("single", "train")):
        for measure in ("excluded_loss", "restricted_loss", "trig_loss"):
            decoy = {"measure": measure, "selection": selection, "split": split, "loss": 77.0}
            if (measure, selection, split) != ("excluded_loss", "key", "train"):
                rows.append(pd.DataFrame({"step": STEPS, **decoy}))
    return pd.concat(rows, ignore_index=True)


def tables(**changes):
    """A run that memorizes by 400, turns at 2000, cleans up from 8000 to 12000 and groks at 9000."""
    curves = {
        "train_accuracy": np.where(STEPS >= 400, 1.0, 0.1),
        "test_accuracy": np.where(STEPS >= 9000, 1.0, 0.05),
        "train_loss": np.exp(piecewise((0, 1.5), (400, -7), (2000, -15), (20_000, -16))),
        "excluded": np.exp(piecewise((0, 1.5), (400, -4), (2000, -9), (8000, 2), (12_000, 1), (20_000, 1))),
        "restricted": np.exp(piecewise((0, 1.5), (2000, 1), (8000, -2), (12_000, -17), (20_000, -17))),
        "gini": piecewise((0, 0.05), (8000, 0.2), (12_000, 0.6), (20_000, 0.6)),
        "norm": np.exp(
            piecewise((0, 7.5), (600, 8.2), (2000, 8), (8000, 7.7), (12_000, 6.8), (20_000, 6.75))
        ),
    } | changes
    history = pd.DataFrame({"step": STEPS, "test_loss": 9.0})
    for name in ("train_accuracy", "test_accuracy", "train_loss"):
        history[name] = curves[name]
    norms = pd.DataFrame({"step": STEPS, "matrix": "total", "sum_of_squares": curves["norm"]})
    gini = pd.DataFrame({"step": STEPS, "matrix": "W_E", "gini": curves["gini"]})
    return {
        "history": history,
        "progress_measures": measures(curves["excluded"], curves["restricted"]),
        "weight_norms": pd.concat([norms, norms.assign(matrix="embed.W_E", sum_of_squares=5.0)]),
        "fourier_sparsity": pd.concat([gini, gini.assign(matrix="W_L", gini=STEPS / 1e5)]),
    }


def brackets(found):
    return {name: (t.before, t.step) for name, t in found.items()}


def test_planted_boundaries_are_found():
    found = phases(tables())
    assert list(found) == [
        "memorization",
        "circuit_formation",
        "cleanup",
        "cleanup_end",
        "grokking",
        "collapse",
    ]
    assert brackets(found)["memorization"] == (200, 400)
    assert brackets(found)["grokking"] == (8800, 9000)
    formation = found["circuit_formation"]
    # The excluded loss falls by 5/1600 and rises by 11/6000 in the logarithm a step: within a factor of 2 of its
    # least value it is from 2000-222 to 2000+378. The median over 3 checkpoints moves either by a spacing at most.
    assert 2000 - 222 - 200 - 200 <= formation.before < 2000 < formation.step <= 2000 + 378 + 200 + 200
    assert formation.threshold == pytest.approx(FLOOR * np.exp(-9), rel=1)
    assert found["cleanup"].before < 8000 < found["cleanup"].step
    assert found["cleanup"].step - found["cleanup"].before <= 2000
    # Slopes over five checkpoints see the end two spacings late.
    assert found["cleanup_end"].before <= 12_400
    assert 12_000 <= found["cleanup_end"].step <= 12_600


def test_a_run_without_circuit_never_leaves_memorization():
    """Without weight decay: the excluded loss follows the train loss, the restricted one gets worse."""
    loss = np.exp(piecewise((0, 1.5), (400, -7), (20_000, -17)))
    memorizer = tables(
        train_loss=loss,
        excluded=1.1 * loss,
        restricted=piecewise((0, 5), (20_000, 7)),
        test_accuracy=np.full(len(STEPS), 0.01),
        gini=np.full(len(STEPS), 0.06),
        norm=piecewise((0, 1800), (600, 3600), (20_000, 3700)),
    )
    assert brackets(phases(memorizer)) == {
        "memorization": (200, 400),
        "circuit_formation": (20_000, None),
        "cleanup": (20_000, None),
        "cleanup_end": (20_000, None),
        "grokking": (20_000, None),
        "collapse": (20_000, None),
    }


def test_an_excluded_loss_that_rises_with_the_train_loss_is_no_circuit():
    """Weight decay makes a memorizer's losses rise again; only a rise beyond them says that frequencies are used."""
    loss = np.exp(piecewise((0, 1.5), (2000, -15), (20_000, -9)))
    found = phases(tables(train_loss=loss, excluded=1.2 * loss))
    assert brackets(found)["circuit_formation"] == (20_000, None)


def test_a_run_that_never_memorizes_forms_nothing():
    found = brackets(phases(tables(train_accuracy=np.full(len(STEPS), 0.5))))
    assert found["memorization"] == found["circuit_formation"] == found["cleanup"] == (20_000, None)


def test_a_run_that_ungroks():
    relapse = np.where((STEPS >= 9000) & (STEPS < 15_000), 1.0, 0.05)
    found = phases(tables(test_accuracy=relapse))
    assert brackets(found)["grokking"] == (20_000, None)
    assert brackets(found)["collapse"] == (14_800, 15_000)
    assert brackets(found)["circuit_formation"][1] is not None


@pytest.mark.parametrize(
    ("end", "known"),
    [
        (1600, {"memorization"}),
        (7000, {"memorization", "circuit_formation"}),
        (11_000, {"memorization", "circuit_formation", "cleanup", "grokking"}),
        (20_000, {"memorization", "circuit_formation", "cleanup", "cleanup_end", "grokking"}),
    ],
)
def test_a_run_that_was_stopped_early_has_the_phases_that_it_reached(end, known):
    found = phases({name: table[table["step"] <= end] for name, table in tables().items()})
    assert {name for name, t in found.items() if t.step is not None} == known


def test_a_lone_spike_moves_little():
    """Of the excluded loss nothing, since it is smoothed; a short relapse of accuracy is passed over and named."""
    plain = tables()
    spiked = {name: table.copy() for name, table in plain.items()}
    excluded = spiked["progress_measures"]
    is_excluded = (
        (excluded["measure"] == "excluded_loss")
        & (excluded["split"] == "train")
        & (excluded["selection"] == "key")
    )
    excluded.loc[is_excluded & (excluded["step"] == 12_000), "loss"] = 1e-8
    spiked["history"].loc[spiked["history"]["step"] == 15_000, "test_accuracy"] = 0.3
    before, after = phases(plain), phases(spiked)
    assert after["grokking"].relapses == ((15_000, 15_000),)
    assert brackets(after) == brackets(before)
    assert brackets(phases(spiked, tolerated=0.0))["grokking"] == (15_000, 15_200)


def test_a_norm_that_falls_evenly_or_hardly_has_no_cleanup():
    for norm in (
        np.exp(piecewise((0, 8), (20_000, 6))),
        np.exp(piecewise((0, 8), (8000, 8), (9000, 7.95), (20_000, 7.95))),
    ):
        assert brackets(phases(tables(norm=norm)))["cleanup"] == (20_000, None)


@pytest.mark.parametrize("late", ["restricted", "gini"])
def test_cleanup_ends_with_the_later_of_its_two_curves(late):
    curves = {
        "restricted": np.exp(piecewise((0, 1.5), (8000, -2), (16_000, -17), (20_000, -17))),
        "gini": piecewise((0, 0.05), (8000, 0.2), (16_000, 0.6), (20_000, 0.6)),
    }
    found = phases(tables(**{late: curves[late]}))
    assert 16_000 <= found["cleanup_end"].step <= 16_600


def test_losses_of_zero_are_no_obstacle():
    restricted = np.where(STEPS < 10_000, 1.0, 0.0)
    assert phases(tables(restricted=restricted))["cleanup_end"].step is not None


def test_missing_tables_leave_phases_unknown():
    full = phases(tables())
    without = {}
    without["progress_measures"] = {"circuit_formation", "cleanup", "cleanup_end"}
    without["weight_norms"] = {"cleanup", "cleanup_end"}
    without["fourier_sparsity"] = {"cleanup_end"}
    for name, lost in without.items():
        rest = tables()
        del rest[name]
        found = phases(rest)
        assert {n for n, t in found.items() if (t.before, t.step) == (None, None)} == lost, name
        assert all(found[n] == full[n] for n in found if n not in lost)


def test_a_circuit_that_came_with_memorization_has_its_bracket():
    """The excluded loss stays at 5 to 8 from there on, the train loss falls: the frequencies carry it all along."""
    found = brackets(phases(tables(excluded=6.5 + 1.5 * np.sin(STEPS / 500))))
    assert found["memorization"] == found["circuit_formation"] == (200, 400)
    # What it was at first does not show where the train loss is as large there.
    late = np.exp(piecewise((0, 2), (3000, 2), (20_000, -16)))
    found = brackets(phases(tables(excluded=6.5 + 1.5 * np.sin(STEPS / 500), train_loss=late)))
    assert found["circuit_formation"] == (None, None)
    # A curve that has fallen to where it ends is no circuit yet.
    falling = np.exp(piecewise((0, 5), (20_000, 0)))
    assert brackets(phases(tables(excluded=falling)))["circuit_formation"] == (20_000, None)


def test_a_floor_that_reaches_back_to_the_first_checkpoint_has_no_earlier_end():
    found = phases({name: table[table["step"] >= 1000] for name, table in tables().items()})
    assert found["memorization"].before is None and found["memorization"].step == 1000
    deeper = tables(excluded=np.exp(piecewise((0, -9), (2000, -9), (8000, 2), (20_000, 1))))
    found = phases({name: table[table["step"] >= 1000] for name, table in deeper.items()})
    assert found["circuit_formation"].before is None and 2000 < found["circuit_formation"].step < 3000


def test_tables_that_tell_nothing_are_refused(annotations_off):
    rest = tables()
    del rest["history"]
    with pytest.raises(
        ValueError, match=r"needs a table 'history' .* got \['fourier_sparsity', .*interp.phases"
    ):
        phases(rest)
    with pytest.raises(ValueError, match="with rows, got none"):
        phases({})
    with annotations_off(), pytest.raises(ValueError, match=r"mapping of tables .* got DataFrame"):
        phases(rest["weight_norms"])


def test_too_few_checkpoints_leave_cleanup_unknown():
    few = {name: table[table["step"] % 5000 == 0] for name, table in tables().items()}
    found = brackets(phases(few))
    # The least excluded loss is that of the first checkpoint after memorization: formation may have begun before.
    assert found["circuit_formation"] == (0, 10_000)
    assert found["cleanup"] == (None, None)
    assert found["grokking"] == (5000, 10_000)


def test_the_losses_table_serves_where_there_is_no_history():
    wide = tables()["history"]
    rows = [
        wide[["step"]].assign(split=split, loss=wide[f"{split}_loss"], accuracy=wide[f"{split}_accuracy"])
        for split in ("train", "test")
    ]
    rest = {**tables(), "losses": pd.concat(rows), "history": wide.iloc[:0]}
    assert phases(rest) == phases(tables())


def test_the_train_loss_is_that_of_the_last_measured_step():
    """A memorizer measured until 10,000 whose history goes on to fall: at 10,000 it used no frequencies."""
    loss = np.exp(piecewise((0, 1.5), (2000, -15), (10_000, -9), (20_000, -16)))
    found = tables(train_loss=loss, excluded=1.2 * loss)
    measured = found["progress_measures"]
    found["progress_measures"] = measured[measured["step"] <= 10_000]
    assert brackets(phases(found))["circuit_formation"] == (10_000, None)


def test_with_corrupted_labels_the_train_loss_without_them_counts():
    """Corrupted rows keep the history's loss at 3; on the others the excluded loss, at e, is far beyond the loss."""
    rest = tables(train_loss=np.full(len(STEPS), 3.0))
    assert brackets(phases(rest))["circuit_formation"] == (20_000, None)
    plain = tables()
    rows = [
        pd.DataFrame({"step": STEPS, "split": split, "n": 10, "loss": loss, "accuracy": 1.0})
        for split, loss in (("train", plain["history"]["train_loss"]), ("corrupted", 6.0))
    ]
    rest["losses"] = pd.concat(rows)
    assert phases(rest)["circuit_formation"] == phases(plain)["circuit_formation"]


def test_progress_measures_without_a_key_set_are_refused():
    rest = {**tables(), "progress_measures": measures(1.0, 1.0)}
    rest["progress_measures"] = rest["progress_measures"].query("selection != 'key'")
    with pytest.raises(
        ValueError, match="Phases need progress measures of one key set for the whole run, these have none"
    ):
        phases(rest)
