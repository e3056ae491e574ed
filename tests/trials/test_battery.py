"""A trial from its predictions to its tables, on a run of seconds."""

import json
import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from interp.commands.battery import seconds_of
from interp.commands.cli import app
from interp.interventions.bench import Bench
from interp.networks.answers import answer_logits
from interp.networks.objective import loss
from interp.runs.run import open_run
from interp.runs.schedule import make_schedule
from interp.theories import ALL, scoreboard
from interp.theories.arms_table import COLUMNS, check_arms, read_arms
from interp.theories.judging import judge
from interp.theories.lock import read_lock
from interp.training.arms import Arm, arm_to_json, branch_of
from interp.training.several import train_jobs
from interp.training.train import train
from interp.trials import feature_arms
from interp.trials.battery import Stacked, plan
from interp.trials.battery import train as train_plan
from interp.trials.branching import folder, gather, job_of, train_entries
from interp.trials.choosing import changed_arm, chosen_entries
from interp.trials.facts import Facts, commutative_level, facts_of
from interp.trials.planned import GROUPS, planned_arms
from interp.trials.predicting import about_lock, entries_of, kind_of, locked, predict
from tests.tiny import tiny_config

AT = 150
# Of a run that memorized at once and generalised at step 20.
_FACTS = Facts(
    memorized=0,
    memorized_with_state=0,
    grokked=20,
    at=0,
    later=None,
    ahead=None,
    keys=(),
    commutative_level=0.0,
    to_grok=20,
    interval=10,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Memorizes before step 75 and never generalises."""
    config = tiny_config(200, schedule=make_schedule(200, ["every:25"], [100, AT]))
    return train(config, tmp_path_factory.mktemp("run") / "tiny", threads=1)


@pytest.fixture(scope="module")
def trial(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("trial")
    predict(run, out, at=AT, n_pairs=2, steps=20)
    planned = plan([run], out, theories=["weight_norm", "naive_loss_minimisation"], n_processes=1)
    ends = train_plan([run], out, planned)
    lock = locked(out, [run])
    tables = gather(out, about_lock(lock), kind_of(lock))
    return out, planned, ends, tables


def test_facts_of_a_run(run):
    facts = facts_of(run, AT)
    assert (facts.at, facts.memorized, facts.grokked, facts.to_grok, facts.keys) == (AT, 75, None, None, ())
    assert facts.memorized_with_state == 100 and facts.later is None and not facts.is_half_formed


def test_the_commutative_level_is_what_mirror_images_give(run):
    task = run.task
    split = {
        tuple(pair): bool(t)
        for pair, t in zip(task.structure.pairs.tolist(), task.split.tolist(), strict=True)
    }
    test = [pair for pair, is_train in split.items() if not is_train]
    by_hand = sum(split[(b, a)] for a, b in test) / len(test)
    assert commutative_level(task) == pytest.approx(by_hand)
    difference = replace(task.config, operation="subtract").task()
    assert commutative_level(difference) == 0


def test_nothing_is_trained_without_a_lock_or_with_an_edited_one(run, trial, tmp_path):
    with pytest.raises(
        ValueError, match="predictions.json is missing. Write the predictions first: interp predict"
    ):
        plan([run], tmp_path)
    out = tmp_path / "edited"
    out.mkdir()
    value = json.loads((trial[0] / "predictions.json").read_text("utf-8"))
    value["n_pairs"] = 3
    (out / "predictions.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ValueError, match="was edited after it was written"):
        plan([run], out)


def test_a_lock_of_another_run_is_refused(run, trial, tmp_path):
    other = train(tiny_config(200, seed=1), tmp_path / "tiny", threads=1)
    with pytest.raises(
        ValueError, match="was written for tiny, and its runs have other names or configs than"
    ):
        plan([other], trial[0])


def test_a_lock_is_never_written_over(run, trial):
    with pytest.raises(ValueError, match="predictions.json exists. A lock is never written over"):
        predict(run, trial[0], at=AT, steps=40)


def test_the_lock_holds_every_arm_as_it_is_trained(run, trial):
    out, planned, _, _ = trial
    lock = read_lock(out / "predictions.json")
    entries = entries_of(lock, "x")
    assert [e.to_json() for e in entries] == [dict(arm) for arm in lock.arms]
    for pair in range(2):
        mine = [e for e in entries if e.pair in (None, pair)]
        expected = planned_arms(run, facts_of(run, AT), seed=pair)
        assert [arm_to_json(e.arm) for e in mine] == [arm_to_json(p.arm) for p in expected]
    for entry, pairs in planned.entries:
        for pair in pairs:
            made = open_run(folder(out, pair, entry.key))
            assert made.config.branch["arm"] == arm_to_json(entry.arm) and made.config.first_step == entry.at


def test_what_is_drawn_is_drawn_anew_in_each_pair(run, trial):
    """No draw of a sham decides alone; what is not drawn is one arm for all pairs."""
    out, _, _, _ = trial
    entries = entries_of(read_lock(out / "predictions.json"), "x")
    drawn = {e.key for e in entries if e.pair is not None}
    assert {"slow-gradient-shuffled", "random-penalty", "noise-1", "antithetic-noise-1"} <= drawn
    assert not drawn & {"control", "replay", "norm-1.15", "perpendicular", "entropy-penalty"}
    # A pair beyond the lock takes the draws of the first once more.
    for entry, pairs in plan([run], out, n_pairs=3).entries:
        assert pairs == {None: ("0", "1", "2"), 0: ("0", "2"), 1: ("1",)}[entry.pair]


def test_a_plan_takes_what_theories_ask_for_and_what_that_follows(trial):
    _, planned, ends, _ = trial
    assert planned.keys[0] == "control"
    assert {"norm-at-margin-1.15", "norm-rate-0.85", "perpendicular", "perpendicular-norm"} < set(
        planned.keys
    )
    assert "slow-gradient" in {entry.key for entry in planned.left_out}
    assert {end.ended for end in ends} == {"complete"} and len(ends) == 2 * len(planned.keys)
    low, high = planned.seconds
    assert 0 < low <= high


def test_a_plan_fits_a_time_and_takes_the_first_arms(run, trial):
    out, _, _, _ = trial
    everything = plan([run], out, n_pairs=4)
    little = plan([run], out, n_pairs=4, seconds=0.3 * everything.seconds[0])
    assert 0 < len(little.keys) < len(everything.keys)
    assert little.seconds[0] <= 0.3 * everything.seconds[0] or len(little.keys) == 1
    with pytest.raises(ValueError, match="There is no theory 'phlogiston'"):
        plan([run], out, theories=["phlogiston"])


def test_tables_of_a_battery_are_judged(trial):
    out, planned, _, tables = trial
    arms = read_arms(out / "arms.csv")
    assert list(arms.columns) == [*COLUMNS, "point", "begun"] and len(arms) == 4 * 2 * len(planned.keys)
    assert (arms["kind"] == "jitter").all() and set(arms["pair"]) == {"0", "1"}
    assert arms["step"].isna().all() and (arms["budget"] == 20).all()
    assert set(judge(arms).effects["verdict"]) <= {"undecided", "not evaluable"}
    checks = tables["checks"]
    assert checks[(checks["check"] == "norm path")]["holds"].all()
    assert {"norm_at_event", "margin_at_event"} <= set(tables["levels"]["quantity"])
    board = scoreboard(read_lock(out / "predictions.json"), tables["arms"], tables["levels"], {})
    assert not board["verdict"].isin(["supported", "contradicted"]).any()
    curves = tables["curves"]
    assert {"since", "test_accuracy", "norm", "margin"} <= set(curves.columns) and curves["since"].max() == 20


@pytest.mark.slow
def test_called_again_a_battery_trains_nothing_and_keeps_rows_of_what_was_deleted(run, trial, tmp_path):
    import shutil

    out = tmp_path / "copy"
    shutil.copytree(trial[0], out)
    planned = plan([run], out, theories=["weight_norm"])
    assert planned.seconds == (0.0, 0.0)
    before = pd.read_csv(out / "arms.csv")
    shutil.rmtree(folder(out, "1", "norm-rate-1.15"))
    lock = locked(out, [run])
    after = gather(out, about_lock(lock), kind_of(lock))["arms"]
    keys = ["arm", "dose", "pair", "threshold", "event"]
    assert len(after) == len(before)
    assert sorted(after[keys].astype(str).to_numpy().tolist()) == sorted(
        before[keys].astype(str).to_numpy().tolist()
    )


@pytest.fixture(scope="module")
def stacked(run, trial, tmp_path_factory):
    """The same trial as stacks; the first call is stopped after the first wave."""
    out = tmp_path_factory.mktemp("stacked")
    predict(run, out, at=AT, n_pairs=2, steps=20)
    planned = plan([run], out, theories=["weight_norm", "naive_loss_minimisation"], n_processes=1)
    first = train_plan([run], out, planned, seconds=0.5, stacked=Stacked(size=4))
    ends = train_plan([run], out, planned, stacked=Stacked(size=4))
    lock = locked(out, [run])
    return planned, first, ends, gather(out, about_lock(lock), kind_of(lock)), out


@pytest.mark.slow
def test_a_battery_as_stacks_says_what_its_arms_alone_say(trial, stacked):
    planned, first, ends, tables, _ = stacked
    assert {end.ended for end in ends} == {"complete"} and len(first) < len(ends) == 2 * len(planned.keys)
    # Begun in waves: what follows a path was trained when that was there.
    sizes = {open_run(end.job.path).record.sessions[-1].stack for end in ends}
    assert max(sizes) == 4
    keys = ["arm", "dose", "pair"]
    alone = trial[3]
    one, other = (
        t["arms"].sort_values([*keys, "event", "threshold"]).reset_index(drop=True) for t in (alone, tables)
    )
    same = [*keys, "event", "threshold", "before", "step", "budget", "valid", "why_not", "branch_step"]
    pd.testing.assert_frame_equal(one[same], other[same])
    one, other = (t["curves"].sort_values([*keys, "since"]).reset_index(drop=True) for t in (alone, tables))
    # Rounding of float32, grown over 20 steps.
    for column in ("test_loss", "norm", "margin"):
        assert other[column].to_numpy() == pytest.approx(one[column].to_numpy(), rel=2e-3, nan_ok=True)
    checks = tables["checks"]
    assert checks[checks["check"] == "norm path"]["holds"].all()


@pytest.mark.slow
def test_the_command_takes_stacks_and_trains_nothing_twice(run, stacked):
    *_, out = stacked
    times = {p: p.stat().st_mtime_ns for p in out.glob("branches/*/*/run.json")}
    result = CliRunner().invoke(
        app,
        [
            "battery",
            str(run.path),
            "--out",
            str(out),
            "--theories",
            "weight_norm,naive_loss_minimisation",
            "--stacked",
        ],
    )
    assert result.exit_code == 0, result.output
    assert {p: p.stat().st_mtime_ns for p in out.glob("branches/*/*/run.json")} == times
    for arguments, said in (
        (["--stack", "4"], "--stack and --device are of --stacked"),
        (["--device", "cuda"], "--stacked"),
    ):
        result = CliRunner().invoke(app, ["battery", str(run.path), "--out", str(out), *arguments])
        assert result.exit_code == 1 and said in str(result.exception)


def test_pairs_of_a_battery_start_alike_and_differ_from_each_other(trial):
    out, _, _, _ = trial
    start = {
        (p, k): open_run(folder(out, p, k)).step_weights(AT)
        for p in "01"
        for k in ("control", "perpendicular")
    }
    name = "embed.W_E"
    assert torch.equal(start["0", "control"][name], start["0", "perpendicular"][name])
    assert not torch.equal(start["0", "control"][name], start["1", "control"][name])


@pytest.mark.slow
def test_runs_of_several_seeds_are_the_pairs_of_a_recipe(tmp_path):
    runs = [
        train(
            tiny_config(200, seed=s, schedule=make_schedule(200, ["every:25"], [100, AT - 25 * s])),
            tmp_path / f"seed{s}",
            threads=1,
        )
        for s in (0, 1)
    ]
    out = tmp_path / "trial"
    lock = predict(runs, out, steps=40)
    assert kind_of(lock) == "seed" and lock.n_pairs == 2
    planned = plan(runs, out, theories=["naive_loss_minimisation"], n_processes=1)
    train_plan(runs, out, planned)
    tables = gather(out, about_lock(lock), kind_of(lock))
    arms = check_arms(tables["arms"])
    assert set(arms["kind"]) == {"seed"} and set(tables["arms"]["pair"]) == {"0", "1"}
    # Each leaves at a step of its own; judged, they are one effect.
    assert len(set(tables["arms"]["branch_step"])) == 2 and len(set(arms["branch_step"])) == 1
    assert (judge(tables["arms"]).effects["n_pairs"] == 2).all()
    with pytest.raises(ValueError, match="two of these are the same run"):
        predict([runs[0], runs[0]], tmp_path / "again", steps=40)
    other = train(tiny_config(200, optimizer={"lr": 5e-3}), tmp_path / "other", threads=1)
    with pytest.raises(
        ValueError, match="needs runs that differ by their seeds alone, and 'other' has another config"
    ):
        predict([runs[0], other], tmp_path / "again", steps=40)


@pytest.mark.slow
def test_what_has_no_plateau_is_refused(run, tmp_path):
    def trained(name, n_steps=200, save=(100,), **changes):
        return train(
            tiny_config(n_steps, schedule=make_schedule(n_steps, ["every:50"], save), **changes),
            tmp_path / name,
            threads=1,
        )

    with pytest.raises(
        ValueError, match="never generalised, so that it cannot be read off it. State it: --steps N"
    ):
        predict(run, tmp_path / "a", at=AT)
    with pytest.raises(ValueError, match="has weights alone. The nearest that has it: 150"):
        predict(run, tmp_path / "a", at=175, steps=10)
    with pytest.raises(ValueError, match="has no checkpoint at step 151"):
        predict(run, tmp_path / "a", at=151, steps=10)
    with pytest.raises(ValueError, match="needs at least 1 pair, got 0"):
        predict(run, tmp_path / "a", at=AT, n_pairs=0, steps=10)
    with pytest.raises(
        ValueError, match="needs a run that memorized, and train accuracy of run 'short' never reached"
    ):
        predict(trained("short", 30, ()), tmp_path / "a", steps=10)
    with pytest.raises(
        ValueError, match="run 'bare' has none with one anywhere. Train it again with --save-optimizer"
    ):
        predict(trained("bare", save=()), tmp_path / "a", steps=10)
    with pytest.raises(
        ValueError, match="run 'early' has them at 50. Train it again with --save-optimizer 1"
    ):
        predict(trained("early", save=(50,)), tmp_path / "a", steps=10)
    one = train(tiny_config(30, schedule=make_schedule(30, [], [])), tmp_path / "one", threads=1)
    with pytest.raises(ValueError, match="needs checkpoints along a run, and run 'one' has 1 checkpoint"):
        predict(one, tmp_path / "a", steps=10)
    assert not (tmp_path / "a").exists()


def test_arms_are_chosen_by_name_by_file_or_by_a_changed_field(run, tmp_path):
    entries = chosen_entries(run, AT, ["norm:1.15"], [], steps=20, is_whole=False)
    assert [entry.key for entry in entries] == ["control", "norm-1.15"] and entries[0].until is None
    file = tmp_path / "own.json"
    file.write_text(
        json.dumps(arm_to_json(Arm(name="slow", settings={"optimizer.lr": 1e-4}))), encoding="utf-8"
    )
    changed = changed_arm("decay", ["optimizer.weight_decay=0"])
    entries = chosen_entries(run, AT, [str(file)], [changed], steps=20, is_whole=False)
    assert [(e.key, e.arm.reference) for e in entries] == [
        ("control", None),
        ("slow", "control"),
        ("decay", "control"),
    ]
    ends = train_entries(run, tmp_path / "out", entries, n_pairs=0, n_processes=1)
    assert {end.ended for end in ends} == {"complete"}
    control = open_run(folder(tmp_path / "out", "0", "control"))
    # One pair without disturbance, trained as the run was: the run itself.
    assert all(torch.equal(a, b) for a, b in zip(
        control.step_weights(AT + 20).values(), _at(run, AT + 20, tmp_path).values(), strict=True
    ))  # fmt: skip
    for names, message in (
        (["phlogiston"], "There is no arm 'phlogiston', and no such file"),
        (["norm:2"], "Arm norm:2 is not one that makes sense on run 'tiny'. Its doses are 0.85, 1.15"),
        (["norm:much"], "--arm norm:much: needs a number as dose"),
        ([str(tmp_path / "no.json")], "needs a JSON file of an arm, and it cannot be read"),
    ):
        with pytest.raises(ValueError, match=message):
            chosen_entries(run, AT, names, [], steps=20, is_whole=False)
    with pytest.raises(ValueError, match="--set lr: needs FIELD=VALUE"):
        changed_arm("a", ["lr"])


def test_what_a_chosen_sham_draws_differs_between_pairs(run, tmp_path):
    entries = chosen_entries(run, AT, ["slow-gradient-shuffled"], [], steps=4, is_whole=False, n_pairs=2)
    shams = [entry for entry in entries if entry.key == "slow-gradient-shuffled"]
    assert [entry.pair for entry in shams] == [0, 1] and shams[0].arm != shams[1].arm
    # What draws nothing is one arm for all pairs.
    assert {entry.pair for entry in entries if entry not in shams} == {None}
    ends = train_entries(run, tmp_path / "out", entries, n_pairs=2, n_processes=1)
    assert len(ends) == 2 * len({entry.key for entry in entries})
    for pair, sham in enumerate(shams):
        assert branch_of(open_run(folder(tmp_path / "out", str(pair), sham.key))).arm == sham.arm


def _at(run, step, tmp_path):
    """The parent's weights at a step that it did not save."""
    config = replace(run.config, n_steps=step, schedule=make_schedule(step, [], []))
    return train(config, tmp_path / "shorter", threads=1).step_weights(step)


def test_arms_are_listed_without_a_run():
    listed = CliRunner().invoke(app, ["branch", "--list"])
    assert listed.exit_code == 0 and listed.output.splitlines()[0] == "control, replay"
    lacking = CliRunner().invoke(app, ["branch"])
    assert "needs RUN, OUT, --at, --steps" in str(lacking.exception)


def test_every_arm_of_the_battery_is_in_one_group():
    names = [name for group in GROUPS for name in group]
    assert len(names) == len(set(names))


def test_times_are_read():
    assert seconds_of("1h30m") == 5400 and seconds_of("0.5h") == 1800 and math.isclose(seconds_of("20s"), 20)
    for text in ("", "2", "h", "two hours"):
        with pytest.raises(ValueError, match="--budget needs a time as 2h, 90m or 1h30m"):
            seconds_of(text)


@pytest.mark.slow
def test_arms_that_have_shown_nothing_are_given_more_without_training_anew(run, tmp_path):
    entries = chosen_entries(run, AT, ["norm:1.15"], [], steps=20, is_whole=False)
    out = tmp_path / "out"
    train_entries(run, out, entries, n_pairs=1, n_processes=1)
    first = open_run(folder(out, "0", "norm-1.15"))
    assert first.config.n_steps == AT + 20
    train_jobs([job_of(run, out, entry, "0", times=2.0) for entry in entries], 1)
    done = open_run(first.path)
    assert done.config.n_steps == AT + 40 and len(done.record.sessions) == 2
    whole = chosen_entries(run, AT, ["norm:1.15"], [], steps=40, is_whole=False)
    train_entries(run, tmp_path / "whole", whole, n_pairs=1, n_processes=1)
    other = open_run(folder(tmp_path / "whole", "0", "norm-1.15"))
    assert done.index[AT + 40]["tensors"] == other.index[AT + 40]["tensors"]
    again = train_jobs([job_of(run, out, e, "0", times=2.0) for e in entries], 1)
    assert [end.ended for end in again] == ["complete", "complete"]
    assert len(open_run(first.path).record.sessions) == 2


def test_squared_error_starts_where_it_is_least_and_every_answer_is_what_it_was(run):
    facts = facts_of(run, AT)
    arms = [p.arm for p in planned_arms(run, facts, names=["control-squared"])]
    (edit,) = {arm.edits for arm in arms}.pop()
    assert len(arms) == 3 and {arm.edits for arm in arms} == {(edit,)}
    assert edit.tensors == ("unembed.W_U",)
    weights, asked = run.step_weights(AT), run.task.of_split("train")
    bench = Bench(config=run.config.model, task=run.task, donors={})
    logits = answer_logits(run.config.model, asked)(weights)
    scaled = answer_logits(run.config.model, asked)(edit.edit(weights, bench))
    assert bool((logits.argmax(-1) == scaled.argmax(-1)).all())

    def squared_error(factor):
        return float(loss(factor * scaled, asked.labels, torch.float64, "squared-error"))

    # The error is a parabola in the factor: less at 1 than anywhere beside it.
    assert all(squared_error(1.0) < squared_error(factor) for factor in (0.5, 0.99, 1.01, 2.0))
    assert squared_error(1.0) < float(loss(logits, asked.labels, torch.float64, "squared-error"))


def test_a_tied_unembedding_is_not_scaled_with_everything(run, monkeypatch):
    weights = {name: w for name, w in run.step_weights(AT).items() if name != "unembed.W_U"}
    facts = facts_of(run, AT)
    monkeypatch.setattr(run, "step_weights", lambda step: weights)
    assert planned_arms(run, facts, names=["control-squared"]) == []


def test_neurons_are_kept_in_the_layer_that_they_were_chosen_from(tmp_path, monkeypatch):
    deep = train(tiny_config(20, model={"n_layers": 2}), tmp_path / "deep", threads=1)
    monkeypatch.setattr(feature_arms, "final_subnetwork", lambda run, bench: (1, 2))
    monkeypatch.setattr(feature_arms, "key_neurons", lambda run, facts, n: (3, 4))
    facts = replace(_FACTS, keys=(1,))
    arms = planned_arms(deep, facts, names=["keep-subnetwork"])
    assert len(arms) == 3 and {plan.arm.edits[0].layer for plan in arms} == {1}


def test_features_are_frozen_where_there_is_no_mlp(tmp_path):
    flat = train(tiny_config(20, model={"d_mlp": 0}), tmp_path / "flat", threads=1)
    assert not any("mlp" in name for name in flat.step_weights(0))
    for planned in planned_arms(flat, _FACTS, names=["readout-first"]):
        for rule in planned.arm.rules:
            # Refuses a part that the network does not have.
            rule.check(flat.step_weights(0), flat.config.recipe())
            assert getattr(rule, "parts", ("embedding", "attention")) == ("embedding", "attention")


def test_every_battery_makes_the_arms_of_the_primary_rows():
    made = {name for group in GROUPS for name in group}
    primary = [p for theory in ALL for p in theory.predictions if p.primary]
    # Cleanup by hand takes no training. Of a run without a known critical size and without spikes, with three pairs.
    made |= {"cleanup", "cleanup-random"}
    made -= {name for group in GROUPS for name in group if "shrink" in group or "frequency-raised" in group}
    assert {arm for p in primary for arm in p.arms} <= made
    assert len({p.theory for p in primary}) >= 8
