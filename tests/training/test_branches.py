"""Branches: the control is its parent, each arm does what it says, and all are ordinary runs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import interp
from interp.interventions.frequencies import RemoveFrequencies
from interp.interventions.neurons import KeepNeurons
from interp.interventions.norms import ScaleNorms
from interp.runs.run import open_run
from interp.runs.schedule import make_schedule
from interp.runs.tensor_files import RunError
from interp.tasks.data_edits import Exchange, Shrink
from interp.training.arms import (
    CONTROL,
    Arm,
    Until,
    arm_from_json,
    arm_to_json,
    branch_from_json,
    branch_of,
    branch_to_json,
    jittered,
)
from interp.training.branches import branch, extend
from interp.training.rules import (
    Freeze,
    HoldNorm,
    MatchMargin,
    Noise,
    ReplayNorms,
    ScaleLogits,
    SlowGradients,
)
from interp.training.train import resume, train
from tests.thinned import thinned
from tests.tiny import tiny_config
from tests.training.test_training import stop_at

AT, END = 150, 190


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    config = tiny_config(END, schedule=make_schedule(END, ["every:10"], [AT, 170]))
    return train(config, tmp_path_factory.mktemp("parent") / "run", threads=1)


@pytest.fixture(scope="module")
def control(parent, tmp_path_factory):
    return branch(parent, tmp_path_factory.mktemp("control") / "control", at=AT, budget=END - AT)


def same_weights(one, other, step):
    a, b = one.step_weights(step), other.step_weights(step)
    return all(torch.equal(a[name], b[name]) for name in a)


def of(parent, path, *rules, follows=None, budget=END - AT, save=(), **arm):
    made = Arm(name="arm", reference="control", rules=rules, **arm)
    return branch(parent, path / "arm", at=AT, budget=budget, arm=made, follows=follows or {}, save=save)


@pytest.mark.parametrize(
    "changes",
    thinned(
        [
            {},
            {"optimizer": {"name": "sgd", "momentum": 0.9, "lr": 0.1}},
            {"optimizer": {"batch_size": 16}},
            {"optimizer": {"loss_dtype": "float32"}},
            {"model": {"n_layers": 2}},
        ],
        3,
    ),
    ids=str,
)
def test_the_control_is_its_parent_bit_for_bit(tmp_path, changes):
    config = tiny_config(END, schedule=make_schedule(END, ["every:10"], [AT]), **changes)
    run = train(config, tmp_path / "run", threads=1)
    made = branch(run, tmp_path / "control", at=AT, budget=END - AT)
    assert same_weights(run, made, END)
    own, its = run.history().set_index("step"), made.history().set_index("step")
    names = ["train_loss", "test_loss", "test_accuracy"]
    assert own.loc[AT:, names].equals(its[names])


def test_a_branch_is_an_ordinary_run_that_knows_its_parent(parent, control):
    assert control.record.status == "complete" and control.record.parent.step == AT
    assert control.record.parent.run == str(parent.path) and control.record.parent.arm == "control"
    assert control.steps == [AT, END] and control.optimizer_steps == [AT]
    assert branch_of(control).arm == CONTROL and branch_of(parent) is None
    assert control.history()["step"].tolist() == list(range(AT, END + 1))
    tables = interp.measure(control, ["losses", "weight_norms"])
    assert sorted(tables["losses"]["step"].unique()) == [AT, END]


def test_every_branch_records_norms_margin_update_and_eps(control):
    history = control.history().set_index("step")
    weights = control.step_weights(END)
    for name, w in weights.items():
        assert history[f"norm/{name}"][END] == pytest.approx(float(w.double().norm()), rel=1e-12)
    before, after = control.step_weights(AT), None
    assert history["update_norm"].iloc[:-1].gt(0).all() and np.isnan(history["update_norm"][END])
    assert history["below_eps"].dropna().between(0, 1).all() and len(history["below_eps"].dropna()) >= 4
    task, after = control.task.of_split("train"), before
    from interp.networks.answers import answer_logits

    logits = answer_logits(control.config.model, task)(after)
    others = logits.scatter(1, task.labels[:, None], -torch.inf).max(1).values
    margin = (logits.gather(1, task.labels[:, None])[:, 0] - others).double().mean()
    # float32 logits: their differences have seven digits.
    assert history["margin"][AT] == pytest.approx(float(margin), rel=1e-5)


def test_replaying_the_control_on_the_control_is_the_identity(parent, control, tmp_path):
    replayed = of(parent, tmp_path, ReplayNorms(), follows={"control": control})
    assert same_weights(replayed, control, END)
    assert replayed.history()["norm_error"].max() == 0


def test_norm_and_margin_of_an_arm_follow_the_path_of_the_control(parent, control, tmp_path):
    rules = (ReplayNorms(factor=1.15), MatchMargin())
    arm = of(parent, tmp_path, *rules, follows={"control": control})
    own, other = arm.history().set_index("step"), control.history().set_index("step")
    for name in control.step_weights(END):
        ratio = own[f"norm/{name}"][AT + 1 :] / other[f"norm/{name}"][AT + 1 :]
        # Rounding of float32 weights that are rescaled.
        assert np.allclose(ratio, 1.15, rtol=1e-6)
    assert np.allclose(own["margin"][:-1], other["margin"][:-1], rtol=1e-6)
    assert not same_weights(arm, control, END)
    # What is minimised is no longer the train loss, which is known where it was evaluated.
    assert own["objective"][:-1].notna().all() and own["train_loss"].notna().sum() == 5


def test_pairs_share_their_disturbance(parent, tmp_path):
    one = branch(parent, tmp_path / "a", at=AT, budget=10, jitter=3)
    two = branch(parent, tmp_path / "b", at=AT, budget=10, jitter=3)
    other = branch(parent, tmp_path / "c", at=AT, budget=10, jitter=4)
    assert same_weights(one, two, AT) and same_weights(one, two, AT + 10)
    assert not same_weights(one, other, AT)
    start = parent.step_weights(AT)
    moved = {name: (w / start[name] - 1)[start[name] != 0] for name, w in one.step_weights(AT).items()}
    size = torch.cat([x.flatten() for x in moved.values()]).double().std()
    # 1e-6 of float32 numbers is rounded to steps of 6e-8 to 1.2e-7 of them.
    assert float(size) == pytest.approx(1e-6, rel=0.05)
    assert all(
        torch.equal(a, b)
        for a, b in zip(jittered(start, 3).values(), jittered(start, 3).values(), strict=True)
    )


def test_an_arm_edits_the_weights_at_the_branch_and_nothing_else(parent, tmp_path):
    arm = of(parent, tmp_path, edits=(RemoveFrequencies(frequencies=(1, 2), where=("W_E",)),), budget=10)
    before, after = parent.step_weights(AT), arm.step_weights(AT)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["embed.W_E"]
    spectrum = torch.fft.rfft(after["embed.W_E"][:11].double(), dim=0).abs().sum(1)
    # float32 weights.
    assert float(spectrum[[1, 2]].max()) < 1e-5 < float(spectrum[3])


def test_removed_neurons_stay_removed(parent, tmp_path):
    arm = of(parent, tmp_path, edits=(KeepNeurons(neurons=tuple(range(8))),))
    weights = arm.step_weights(END)
    assert (weights["blocks.0.mlp.W_in"][:, 8:] == 0).all() and (weights["blocks.0.mlp.W_out"][8:] == 0).all()
    assert (weights["blocks.0.mlp.W_in"][:, :8] != 0).any()


def test_an_arm_takes_from_another_checkpoint(parent, tmp_path):
    from interp.interventions.components import GraftComponent

    edit = GraftComponent(component="unembedding", donor="early")
    arm = of(parent, tmp_path, edits=(edit,), donors={"early": 10}, budget=10)
    assert torch.equal(arm.step_weights(AT)["unembed.W_U"], parent.step_weights(10)["unembed.W_U"])


def test_an_arm_changes_the_recipe(parent, tmp_path):
    arm = of(parent, tmp_path, settings={"optimizer.weight_decay": 0.0, "optimizer.eps": 1e-25})
    assert (arm.config.optimizer.weight_decay, arm.config.optimizer.eps) == (0.0, 1e-25)
    assert parent.config.optimizer.weight_decay == 0.5
    squared = branch(
        parent,
        tmp_path / "s",
        at=AT,
        budget=20,
        arm=Arm(name="s", settings={"optimizer.loss": "squared-error"}),
    )
    history = squared.history().set_index("step")
    assert history["train_loss"].notna().sum() == 3 and history["objective"].notna().sum() == 20


def test_an_arm_changes_the_data(parent, tmp_path):
    n = parent.task.n_train
    arm = of(parent, tmp_path, data=(Shrink(n=n // 2),))
    assert arm.task.n_train == n // 2 and not (arm.task.split & ~parent.task.split).any()
    again = open_run(arm.path)
    assert torch.equal(again.task.split, arm.task.split) and again.config.task.split == "explicit"
    exchanged = branch(
        parent, tmp_path / "e", at=AT, budget=10, arm=Arm(name="exchange", data=(Exchange(n=5),))
    )
    assert exchanged.task.n_train == n and int((exchanged.task.split & ~parent.task.split).sum()) == 5


def test_a_frozen_part_stays_until_it_is_released(parent, tmp_path):
    arm = branch(
        parent,
        tmp_path / "arm",
        at=AT,
        budget=20,
        arm=Arm(name="freeze", rules=(Freeze(parts=("embedding",), until=10),)),
        save=[AT + 10],
    )
    start, held, end = (arm.step_weights(step)["embed.W_E"] for step in (AT, AT + 10, AT + 20))
    assert torch.equal(start, held) and not torch.equal(held, end)


def test_a_fresh_optimizer_is_an_arm_with_a_control_of_its_own(parent, control, tmp_path):
    fresh = branch(parent, tmp_path / "f", at=10, budget=10, arm=Arm(name="control", fresh_optimizer=True))
    assert not same_weights(fresh, parent, 20)
    again = branch(parent, tmp_path / "g", at=10, budget=10, arm=Arm(name="control", fresh_optimizer=True))
    assert same_weights(fresh, again, 20)


# ── stopping, resuming, extending ──────────────────────────────────────────────────────────────────────────────────

RULES = [
    (),
    (ReplayNorms(factor=1.1), MatchMargin()),
    (SlowGradients(),),
    (HoldNorm(factor=0.9), ScaleLogits(factor=0.5)),
    (Noise(size=1e-4), Freeze(parts=("embedding",), until=15)),
]


@pytest.mark.parametrize("rules", thinned(RULES, 2), ids=str)
def test_an_arm_that_was_stopped_goes_on_bit_for_bit(parent, control, tmp_path, monkeypatch, rules):
    follows = {"control": control}
    whole = of(parent, tmp_path / "whole", *rules, follows=follows, save=[AT + 17])
    with monkeypatch.context() as patch:
        stop_at(patch, AT + 17)
        with pytest.raises(KeyboardInterrupt):
            of(parent, tmp_path / "cut", *rules, follows=follows, save=[AT + 17])
    cut = open_run(tmp_path / "cut" / "arm")
    assert cut.record.status == "interrupted"
    done = resume(cut.path)
    assert same_weights(whole, done, END)
    assert done.history().equals(whole.history())
    assert done.config == whole.config


@pytest.mark.parametrize("name", ["latest.safetensors", "history.parquet"])
def test_an_arm_without_a_later_state_starts_from_its_branch(parent, control, tmp_path, monkeypatch, name):
    with monkeypatch.context() as patch:
        stop_at(patch, AT + 17)
        with pytest.raises(KeyboardInterrupt):
            of(parent, tmp_path, SlowGradients(), save=[AT + 17])
    path = tmp_path / "arm"
    for file in {"latest.safetensors", name}:
        (path / file).unlink()
    done = resume(path)
    assert same_weights(done, of(parent, tmp_path / "whole", SlowGradients()), END)


def test_an_arm_ends_when_it_has_shown_what_it_was_trained_for():
    rows = [{"step": s, "test_accuracy": a} for s, a in [(10, 0.5), (20, 0.99), (30, 1.0), (40, 0.99)]]
    until = Until()
    assert [until.is_reached(rows[:n], 0) for n in range(1, 5)] == [False, False, False, True]
    assert not until.is_reached([*rows, {"step": 50, "test_accuracy": 0.5}], 0)
    # It took 20 steps, and twice that is reached at 40; three times at 60.
    assert Until(times=2.0).is_reached(rows, 0) and not Until(times=3.0).is_reached(rows, 0)
    assert not Until(test_accuracy=0.999).is_reached(rows, 0)


def test_what_nobody_can_foresee_keeps_no_arm_from_its_end():
    rows = [{"step": s, "test_accuracy": 0.4, "test_predictable_accuracy": 1.0} for s in (10, 20, 30)]
    assert Until().is_reached(rows, 0)
    assert not Until().is_reached([*rows[:2], rows[2] | {"test_predictable_accuracy": 0.9}], 0)


def test_what_ended_early_is_complete_and_can_be_made_longer(parent, tmp_path):
    # Any accuracy will do: the third evaluation since the branch ends it, the one at the branch being the first.
    arm = branch(parent, tmp_path / "arm", at=AT, budget=100, until=Until(test_accuracy=0.0))
    assert arm.record.status == "complete" and arm.config.n_steps == AT + 20 and arm.steps == [AT, AT + 20]
    assert same_weights(arm, parent, AT + 20)
    done = resume(arm.path, n_steps=END)
    assert same_weights(done, parent, END) and done.history()["step"].max() == END


def test_an_arm_on_a_path_is_made_longer_after_what_it_follows(parent, tmp_path):
    control = branch(parent, tmp_path / "control", at=AT, budget=20)
    arm = of(parent, tmp_path, ReplayNorms(), follows={"control": control}, budget=20)
    with pytest.raises(
        RunError, match="follows a recorded path of 20 steps, and is to have 40. Make the arm that"
    ):
        resume(arm.path, n_steps=END)
    control = resume(control.path, n_steps=END)
    done = extend(arm.path, END - AT, {"control": control})
    assert same_weights(done, parent, END)
    with pytest.raises(ValueError, match="is no branch. Make it longer with interp resume"):
        extend(parent.path, 100, {})


def test_a_branch_can_be_branched(parent, control, tmp_path):
    made = branch(parent, tmp_path / "one", at=AT, budget=20, save_optimizer=[AT + 20])
    again = branch(made, tmp_path / "two", at=AT + 20, budget=20)
    assert same_weights(again, parent, END)
    ruled = of(parent, tmp_path / "three", ScaleLogits(factor=0.5), budget=20)
    with pytest.raises(ValueError, match="is an arm with rules .* would go on without what they remember"):
        branch(ruled, tmp_path / "four", at=AT, budget=10)


# ── what is refused ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_checkpoint_without_optimizer_state_is_refused(parent, tmp_path):
    with pytest.raises(
        RunError, match="checkpoint 50 of run 'run' has weights alone.* The nearest that has it is 150"
    ):
        branch(parent, tmp_path / "a", at=50, budget=10)
    bare = train(tiny_config(20, schedule=make_schedule(20, ["every:10"], [])), tmp_path / "bare", threads=1)
    with pytest.raises(RunError, match="No checkpoint of it has one: take --fresh-optimizer"):
        branch(bare, tmp_path / "a", at=10, budget=10)
    with pytest.raises(RunError, match="has no checkpoint at step 55"):
        branch(parent, tmp_path / "a", at=55, budget=10)
    assert not (tmp_path / "a").exists()


def test_a_path_that_is_not_there_is_refused(parent, control, tmp_path):
    with pytest.raises(RunError, match="follows the recorded .* of arm 'control', and that run is not named"):
        of(parent, tmp_path, ReplayNorms())
    with pytest.raises(
        RunError, match="recorded no .*, which a rule of this arm follows. Branches record it"
    ):
        of(parent, tmp_path, ReplayNorms(), follows={"control": parent})
    with pytest.raises(
        RunError, match="which was trained for 40 steps since the branch, and the arm is to have 50"
    ):
        of(parent, tmp_path, ReplayNorms(), follows={"control": control}, budget=50)
    assert not (tmp_path / "arm").exists() and not list(tmp_path.glob("*"))


def test_settings_that_are_no_arms_are_refused(parent, tmp_path):
    with pytest.raises(ValueError, match="changes the task or the network by its settings"):
        of(parent, tmp_path, settings={"task.p": 13})
    with pytest.raises(ValueError, match="a recipe has no field 'optimizer.wd'"):
        of(parent, tmp_path, settings={"optimizer.wd": 0})
    with pytest.raises(ValueError, match="needs a budget of at least 1 step, got 0"):
        of(parent, tmp_path, budget=0)
    with pytest.raises(RunError, match="already holds a run"):
        branch(parent, parent.path, at=AT, budget=10)


def test_an_arm_of_another_version_is_refused(parent, control, tmp_path):
    for value in (
        {"name": "a", "rules": [{"kind": "unheard-of"}]},
        {"name": "a", "edits": [{"kind": "remove-frequencies", "frequencies": [1]}]},
        {"dose": 1.0},
        {"name": "a", "unknown": 1},
    ):
        with pytest.raises(RunError, match="run.json holds no valid arm: "):
            arm_from_json(value, "run.json")


def test_arms_come_back_from_json():
    arm = Arm(
        name="norm",
        dose=1.15,
        reference="control",
        edits=(ScaleNorms(factor=2.0), RemoveFrequencies(frequencies=(1,), where=("W_E",))),
        donors={"early": 10},
        data=(Shrink(n=3), Exchange(n=2, seed=1)),
        rules=(ReplayNorms(factor=1.15), SlowGradients(how="shuffled", seed=2)),
        settings={"optimizer.weight_decay": 0.0},
    )
    value = json.loads(json.dumps(arm_to_json(arm)))
    assert arm_from_json(value, "x") == arm and arm.label == "norm-1.15" and not arm.is_control
    assert arm_to_json(CONTROL) == {"name": "control"} and CONTROL.is_control
    from interp.training.arms import Branch

    about = Branch(arm=arm, parent="abc", pair="2", jitter=3, until=Until(times=2.0))
    assert branch_from_json(json.loads(json.dumps(branch_to_json(about))), "x") == about


@pytest.mark.filterwarnings("ignore:Tensors do not show")
def test_a_run_of_someone_elses_is_continued_with_a_stated_recipe(parent, tmp_path):
    source = tmp_path / "foreign"
    source.mkdir()
    for step in (AT, 50):
        torch.save(parent.step_weights(step), source / f"model_{step}.pth")
    task = {"operation": "add", "p": 11, "train_fraction": 0.5, "split": "shuffle", "split_seed": 0}
    foreign = interp.import_run(
        source, tmp_path / "imported", task=task, model={"n_heads": 2, "act_fn": "relu"}
    )
    with pytest.raises(ValueError, match="was trained elsewhere and does not say how: .* State the recipe"):
        branch(foreign, tmp_path / "a", at=AT, budget=10, arm=Arm(name="control", fresh_optimizer=True))
    recipe = replace(tiny_config(END).recipe(), seed=5)
    made = branch(foreign, tmp_path / "a", at=AT, budget=10, recipe=recipe)
    fresh = branch(parent, tmp_path / "b", at=AT, budget=10, arm=Arm(name="control", fresh_optimizer=True))
    assert same_weights(made, fresh, AT + 10)
    # Before anything is memorized nothing shows which rows are train.
    bare = tmp_path / "bare"
    bare.mkdir()
    for step in (0, 10):
        torch.save(parent.step_weights(step), bare / f"model_{step}.pth")
    unknown = interp.import_run(
        bare,
        tmp_path / "unsplit",
        task={"operation": "add", "p": 11},
        model={"n_heads": 2, "act_fn": "relu"},
    )
    with pytest.raises(ValueError, match="needs the train/test split"):
        branch(unknown, tmp_path / "c", at=10, budget=10, recipe=recipe)


def test_updates_as_large_as_the_control_s_on_the_control_are_the_identity(parent, control, tmp_path):
    """The recorder and the rule that follows it take one norm, to the last bit."""
    from interp.training.rules import ScaleUpdates

    arm = of(parent, tmp_path, ScaleUpdates(of="control"), follows={"control": control})
    assert same_weights(arm, control, END)
    assert arm.history()["update_scale"].dropna().eq(1).all()
