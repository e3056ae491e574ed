"""Other numbers, other words; and every sentence has its status."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from interp.report.account import account
from interp.report.changes import changed
from interp.report.made import made, tried_as
from interp.report.meanings import MEANINGS
from interp.report.open_questions import left_open, pairs_wanted
from interp.report.sentences import answer, happened
from interp.report.trial import no_trial, read_observed, read_trial
from tests.report.trials import RUN, make_trial, observed_tables
from tests.theories import worlds

STATUSES = {"observed", "this run", "this recipe", "exploratory"}


def of_world(folder, world=worlds.circuit_progress_world, **how):
    """The account of a world."""
    made_at = make_trial(folder, world, **how)
    observed = read_observed(made_at)
    assert observed is not None
    return account({**observed[0], **read_trial(made_at)}, {"run": RUN, "path": "runs/made"})


@pytest.fixture(scope="module")
def circuit(tmp_path_factory):
    return of_world(tmp_path_factory.mktemp("circuit"))


@pytest.fixture(scope="module")
def norm(tmp_path_factory):
    return of_world(tmp_path_factory.mktemp("norm"), worlds.norm_world)


@pytest.fixture(scope="module")
def untried():
    return account({**observed_tables(), **no_trial()}, {"run": RUN, "path": "runs/made"})


def standing(told):
    """The sentence about the trained arms, cut where supported theories end."""
    (text,) = [s.text for s in answer(told) if s.text.startswith("On this run, the trained arms")]
    return text


def test_other_numbers_give_other_words(circuit, norm):
    for told, supported, not_supported in (
        (circuit, "hidden progress", "weight norm"),
        (norm, "weight norm", "hidden progress"),
    ):
        support, _, contradict = standing(told).partition("contradict")
        assert "support" in support and supported in support
        assert not_supported not in support and not_supported in contradict
    assert standing(circuit) != standing(norm)
    assert standing(circuit).endswith("they leave singular learning undecided.")
    (alone,) = [s.text for s in answer(circuit) if s.text.startswith("The checkpoints alone")]
    assert "are what capacity and weight norm would lead to, but so would a rival" in alone


def test_a_primary_row_is_told_with_its_number_and_rival(circuit):
    (said,) = [s for s in answer(circuit) if s.verdict == "supported"]
    (row,) = [r for r in circuit.rows if r.prediction.name == "keys_back_is_slower"]
    assert said.text.startswith("Hidden progress: Key frequencies set back")
    assert (
        f"Found: ratio of times {row.value:.3g} ({row.low:.3g} to {row.high:.3g}), where it requires at least 1.25"
        in (said.text)
    )
    assert "the rival, norm, numerics and chance" in said.text and "requires 0.87 to 1.15" in said.text


def test_every_sentence_has_a_status(circuit, untried):
    for told in (circuit, untried):
        sentences = [*answer(told), *happened(told), *changed(told), *tried_as(told)]
        assert sentences and {s.status for s in sentences} <= STATUSES
        assert all(s.text.strip() and s.text.endswith((".", ")")) for s in sentences)


def test_nothing_is_said_to_win(circuit, norm):
    text = " ".join(s.text for s in [*answer(circuit), *answer(norm)]).lower()
    assert not any(word in text for word in ("winner", "best theory", "score of", " points"))
    assert "theories that do not compete may all stand" in text


def test_without_arms_the_checkpoints_speak_and_the_commands_are_named(untried):
    first, *rest = answer(untried)
    assert first.text.startswith(
        "Nothing was trained, and no prediction was locked: what follows rests on the checkpoints"
    )
    assert (
        "interp predict runs/made, then interp battery runs/made" in first.text and first.status == "observed"
    )
    assert not any("trained arms" in s.text for s in rest)
    assert any(
        s.text.startswith("The checkpoints alone, with nothing locked, support hidden progress") for s in rest
    )
    assert [s.text for s in changed(untried)] == ["No arm was trained."]


def test_arms_without_a_lock_are_exploratory(tmp_path):
    told = of_world(tmp_path, n_pairs=3, is_locked=False)
    assert "without a lock" in answer(told)[0].text and answer(told)[0].status == "exploratory"
    assert {row.status for row in told.rows} == {"exploratory"}
    assert {s.status for s in changed(told)} == {"exploratory"}
    assert "no lock" in tried_as(told)[0].text and made(told)["Lock"] == "none"


@pytest.mark.slow
def test_seeds_speak_of_the_recipe(tmp_path):
    told = of_world(tmp_path, n_pairs=4, kind="seed")
    assert any(s.text.startswith("Over seeds of this recipe, the trained arms") for s in answer(told))
    assert {s.status for s in changed(told)} == {"this recipe"}


@pytest.mark.slow
def test_more_pairs_than_the_lock_says_are_told(tmp_path):
    arms = worlds.null_world(8, 0.08, 1, "jitter")
    told = of_world(tmp_path, n_pairs=6, arms=arms)
    (said,) = tried_as(told)
    assert said.text.startswith("The lock says 6 pairs, and 8 were trained") and said.status == "exploratory"


@pytest.mark.slow
def test_what_is_trained_beside_the_lock_is_told(tmp_path):
    told = of_world(tmp_path, worlds.clamp_as_sham_world, n_pairs=3)
    assert [(s.text, s.status) for s in tried_as(told)] == [
        ("Trained beside the lock: clamp.", "exploratory")
    ]


def test_the_order_of_the_parent_follows_its_brackets():
    said = happened(account({**observed_tables(), **no_trial()}, {"run": RUN}))[0].text
    places = [
        said.index(what)
        for what in ("train accuracy", "restricted loss", "norm falls faster", "test accuracy")
    ]
    assert places == sorted(places)
    # The same run, whose restricted loss falls with the test loss alone.
    tables = observed_tables()
    measures = tables["progress_measures"]
    late = (measures["measure"] == "restricted_loss") & (measures["selection"] == "causal")
    measures.loc[late, "loss"] = np.where(measures.loc[late, "step"] >= 7000, 0.01, 5.0)
    other = happened(account({**tables, **no_trial()}, {"run": RUN}))[0].text
    assert other.index("restricted loss") > other.index("test accuracy")


def test_what_overlaps_is_left_in_an_open_order():
    said = happened(account({**observed_tables(), **no_trial()}, {"run": RUN}))[0].text
    last = said.rpartition("then ")[2]
    assert "test accuracy" in last and "test loss" in last and "an order that the brackets leave open" in last


def test_a_run_that_never_switched_says_so():
    tables = observed_tables()
    cut = {name: table[table["step"] <= 5000] for name, table in tables.items()}
    told = account({**cut, **no_trial()}, {"run": RUN})
    assert "has not generalised by step 5000" in answer(told)[1].text
    (never,) = [s.text for s in happened(told) if s.text.startswith("Not seen by the last checkpoint")]
    assert "test accuracy stays at 0.95" in never


def test_effects_are_told_by_verdict(circuit, tmp_path):
    later, earlier, equal, *_ = [s.text for s in changed(circuit)]
    assert later.startswith("Later than the reference: keys-back over others-back 1.")
    assert earlier.startswith("Earlier than the reference: ") and "keys-ahead over control 0." in earlier
    assert (
        equal.startswith("As late as the reference, within what counts as equal: ")
        and "norm at dose 1.15" in equal
    )
    assert "keys-back over others-back, from step 4500 2." in later
    censored = of_world(tmp_path, worlds.censored_control_world, n_pairs=3)
    texts = [s.text for s in changed(censored)]
    assert any("norm at dose 0.85 over control at most" in t and "reference is censored" in t for t in texts)
    assert any("replay over control without a bound (both are censored)" in t for t in texts)


@pytest.mark.slow
def test_what_rests_on_the_control_alone_is_not_said_of_trained_arms(tmp_path):
    folder = make_trial(tmp_path / "trial")
    table = pd.read_csv(folder / "levels.csv")
    control = table[table["arm"] == "control"].drop_duplicates("pair")
    share = control.assign(quantity="share_of_compression", value=0.3 + 0.01 * np.arange(len(control)))
    pd.concat([table, share]).to_csv(folder / "levels.csv", index=False)
    told = account({**read_observed(folder)[0], **read_trial(folder)}, {"run": RUN})
    (text,) = [
        s.text for s in answer(told) if s.text.startswith("On this run, the controls, in which nothing")
    ]
    assert text.endswith("contradict compression.")


@pytest.mark.slow
def test_updates_that_are_small_after_the_branch_are_told_with_their_factor(tmp_path):
    folder = make_trial(tmp_path / "trial")
    table = pd.read_csv(folder / "levels.csv")
    sizes = {"keys-back": 0.31, "perpendicular": 10.5, "replay": 1.0}
    rows = [
        table[table["arm"] == arm].assign(quantity="updates_after_branch", value=x)
        for arm, x in sizes.items()
    ]
    pd.concat([table, *rows]).to_csv(folder / "levels.csv", index=False)
    told = account({**read_observed(folder)[0], **read_trial(folder)}, {"run": RUN})
    (text,) = [s.text for s in changed(told) if "updates were" in s.text]
    assert "smaller than the control's, by the factor keys-back 0.31; larger" in text
    assert "perpendicular 10.5" in text and "replay" not in text


def test_two_arms_of_which_neither_is_the_reference_have_a_line_of_their_own(norm):
    (text,) = [s.text for s in changed(norm) if s.text.startswith("Of two arms with each other")]
    assert "norm-at-margin at dose 1.15 over norm-at-margin at dose 0.85" in text
    assert "keys-back over others-back" not in text


@pytest.mark.slow
def test_what_another_event_says_goes_with_a_decided_row(tmp_path):
    arms = worlds.norm_world(6, 0.08, 1, "jitter")
    late = (arms["event"] == "test_loss") & (arms["arm"] == "norm-at-margin") & (arms["dose"] == 1.15)
    assert late.any()
    for column in ("before", "step"):
        arms.loc[late, column] = arms.loc[late, column] // 4
    told = of_world(tmp_path / "trial", arms=arms)
    (text,) = [s.text for s in answer(told) if s.text.startswith("Weight norm: With 1.15")]
    assert "By another event it would not be supported: test loss 1: " in text
    (plain,) = [
        s.text
        for s in answer(of_world(tmp_path / "same", worlds.norm_world))
        if s.text.startswith("Weight norm: With 1.15")
    ]
    assert "By another event" not in plain


def test_a_failed_check_is_told_with_the_arm(tmp_path):
    told = of_world(tmp_path, worlds.eps_frozen_world, n_pairs=3)
    (said,) = [s.text for s in changed(told) if s.text.startswith("Not evaluable")]
    assert "norm at dose 1.15" in said and "95 % of the entries have sqrt(v) below eps" in said


def test_what_is_open_names_the_command_that_settles_it(circuit, untried):
    by_command = {item.command: item for item in left_open(circuit)}
    (undecided,) = [
        r for r in circuit.rows if r.verdict == "undecided" and r.prediction.name == "diffusion_speeds_it_up"
    ]
    n = pairs_wanted(undecided)
    assert n is not None and n > 6
    assert f"interp battery runs/made --theories singular_learning --pairs {n}" in by_command
    assert "interp measure runs/made --probes losses,compressibility" in by_command
    assert "Nothing in this package measures it" in {
        item.why for item in left_open(circuit) if item.command is None
    }
    named = [row for item in left_open(circuit) for row in item.rows]
    still_open = [r for r in circuit.rows if r.verdict in ("undecided", "not evaluable", "not testable here")]
    assert len(named) == len(still_open)
    # An arm that the lock does not hold is not made by training what it holds.
    arms = tuple(entry for entry in circuit.lock.arms if not entry["arm"]["name"].startswith("shrink"))
    trained = circuit.arms[~circuit.arms["arm"].str.startswith("shrink")]
    fewer = dataclasses.replace(circuit, lock=dataclasses.replace(circuit.lock, arms=arms), arms=trained)
    assert not any("shrink" in item.why for item in left_open(circuit))
    (shrunk, *_) = [item for item in left_open(fewer) if "shrink" in item.why]
    assert shrunk.command is None and "Not among the arms of this lock" in shrunk.why
    # Without a lock the predictions come first.
    assert "interp predict runs/made" in {item.command for item in left_open(untried)}
    assert not any(item.command and "battery" in item.command for item in left_open(untried))


def test_pairs_are_read_off_what_the_verdict_says(circuit):
    for row in circuit.rows:
        if (
            row.verdict == "undecided"
            and "pairs of this spread" in row.would_change
            and "more than" not in row.would_change
        ):
            assert pairs_wanted(row) is not None, row.would_change


def test_how_it_was_made_names_lock_arms_and_pairs(circuit):
    facts = made(circuit)
    assert circuit.lock is not None
    assert facts["Lock"] == circuit.lock.hash and circuit.lock.time in facts["Locked"]
    assert facts["Pairs"] == "6 pairs (jitter)"
    assert facts["Trained"].startswith(f"{circuit.n_trained} branches of ")
    assert facts["Events"] == "test_accuracy 0.9, 0.95, 0.99; test_loss 1"
    assert "grokscope 0.1.0" in facts["Versions"]
    assert {"supported", "undecided", "this run", "exploratory"} <= set(MEANINGS)


def test_where_the_circuit_is_not_half_formed_the_page_says_so(circuit):
    facts = [
        {"name": name, "facts": {"is_half_formed": is_it}} for name, is_it in (("a", True), ("b", False))
    ]
    lock = dataclasses.replace(circuit.lock, run=circuit.lock.run | {"parents": facts})
    other = dataclasses.replace(circuit, lock=lock)
    step = made(circuit)["Locked branch steps"]
    assert made(other)["Locked branch steps"] == f"{step}; the circuit is not half formed there in b"


def test_a_table_of_no_arms_counts_as_none():
    empty = {"arms": pd.DataFrame(), "levels": pd.DataFrame()}
    told = account({**observed_tables(), **no_trial(), **empty}, {"run": RUN})
    assert told.n_trained == 0 and answer(told)[0].text.startswith("Nothing was trained")


def test_branches_that_were_there_before_the_lock_are_told_apart(circuit):
    old, new = pd.Timestamp("2000-01-01", tz="UTC"), pd.Timestamp("2100-01-01", tz="UTC")
    is_old = circuit.arms["arm"] == "control"
    n_old = len(circuit.arms[is_old].drop_duplicates(["pair", "branch_step"]))
    told = dataclasses.replace(
        circuit, arms=circuit.arms.assign(begun=new).assign(begun=lambda t: t["begun"].mask(is_old, old))
    )
    assert told.n_before_lock == n_old > 0 and circuit.n_before_lock == 0
    n = circuit.n_trained
    assert f"before {n} branches of this run were trained. Of" in answer(circuit)[0].text
    assert (
        f"before {n - n_old} of {n} branches of this run were trained; rows about the others, which were there before, "
        "are exploratory. Of"
    ) in answer(told)[0].text


@pytest.mark.slow
def test_a_ratio_of_values_is_not_called_one_of_times():
    arms = worlds.turning_world(6, 0.03, 0, "jitter")
    tables = {**observed_tables(), **no_trial(), "arms": arms, "levels": worlds.turning_levels(arms)}
    texts = [sentence.text for sentence in answer(account(tables, {"run": RUN}))]
    (said,) = [text for text in texts if text.startswith("Angular distance: At the control's margins")]
    assert "Found: ratio of angle at event " in said and "ratio of times" not in said
    assert any("Found: ratio of times " in text for text in texts)
