"""Runs trained as one stack: each is what it is alone, and nothing that ends one of them ends another."""

import multiprocessing
import os
import signal
import sys
import time
from contextlib import ExitStack, contextmanager

import pandas as pd
import pytest
import torch

from interp.networks.config import Weights
from interp.runs import saving
from interp.runs.run import open_run
from interp.runs.schedule import make_schedule
from interp.runs.tensor_files import RunError
from interp.tables.transitions import grokking, memorization
from interp.tasks.data_edits import Shrink
from interp.training import member as member_module
from interp.training.acting import split_state
from interp.training.arms import Arm, Until
from interp.training.branches import begin_branch, branch
from interp.training.data import Data
from interp.training.loop import loop
from interp.training.member import Member
from interp.training.optimizer import Optimizer
from interp.training.rules import Freeze, ReplayNorms, SlowGradients
from interp.training.session import deterministic
from interp.training.stack import Stack, check_alike
from interp.training.stacked import _loop, train_stack
from interp.training.stacked_optimizer import Layout
from interp.training.train import begin, resume, resume_state, train
from tests.thinned import thinned
from tests.tiny import tiny_config
from tests.training.test_rules import ACTIVE
from tests.training.test_training import same_runs

forked = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")


def seeded(n, n_steps=120, **changes):
    """Recipes that differ by their seeds."""
    task = changes.pop("task", {})
    return [tiny_config(n_steps, seed=i, task={"split_seed": i} | task, **changes).recipe() for i in range(n)]


def begun(recipes, folder, prefix="run"):
    return [begin(recipe, folder / f"{prefix}-{i}").path for i, recipe in enumerate(recipes)]


def float64(weights: Weights) -> Weights:
    return {name: w.double() for name, w in weights.items()}


def alone_in_float64(run, n_threads=1):
    """The weights at the end of a run that is trained alone, in float64 throughout."""
    start = resume_state(run)
    own, memory = split_state(start.optimizer)
    with deterministic("cpu", n_threads):
        live = {name: w.requires_grad_() for name, w in float64(start.weights).items()}
        member = Member(run, start.step, live, memory)
        state = {key: x if key.startswith("step/") else x.double() for key, x in (own or {}).items()}
        optimizer = Optimizer(member.recipe.optimizer, live, state)
        loop(member, live, optimizer, Data(run.task, member.recipe, "cpu"), lambda: False)
    return {name: w.detach() for name, w in live.items()}, member.history


def stacked_in_float64(runs):
    """The same, as one stack; weights by the run's name."""
    starts = [resume_state(run) for run in runs]
    layout = Layout.of(starts[0].weights)
    rows = torch.stack([layout.row(float64(start.weights)) for start in starts])
    members, states = [], []
    for run, start, row in zip(runs, starts, rows, strict=True):
        own, memory = split_state(start.optimizer)
        members.append(Member(run, start.step, layout.of_row(row), memory))
        states.append({key: x if key.startswith("step/") else x.double() for key, x in (own or {}).items()})
    ended = {}
    with deterministic("cpu", 1):
        stack = Stack(members, layout, rows, states)

        def end(run, how, why=""):
            assert how == "complete", why
            weights = layout.of_row(stack_of_end()[run.name])
            ended[run.name] = {name: w.clone() for name, w in weights.items()}

        # The rows of whoever is left are in the last stack: kept by watching `without`.
        last = {"stack": stack}

        def stack_of_end():
            now = last["stack"]
            return {m.run.name: row for m, row in zip(now.members, now._rows, strict=True)}

        without = Stack.without

        def watched(self, gone):
            last["stack"] = left = without(self, gone)
            return left

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Stack, "without", watched)
            _loop(stack, end, lambda: False)
    return ended, {m.run.name: m.history for m in members}


def check_same_in_float64(runs, others, atol):
    """Weights and histories of runs alone, and of the same runs begun elsewhere and stacked."""
    found, histories = stacked_in_float64(others)
    for run, other in zip(runs, others, strict=True):
        weights, history = alone_in_float64(run)
        for name, w in weights.items():
            torch.testing.assert_close(found[other.name][name], w, atol=atol, rtol=0)
        a, b = pd.DataFrame(history), pd.DataFrame(histories[other.name])
        assert set(a) == set(b)
        pd.testing.assert_frame_equal(a, b[list(a)], atol=1e-6, rtol=1e-6)


# Equality with a run alone.

# Members that have nothing in common but their shapes; the last groups make the stack take the general pass. At the
# learning rate of the tiny recipe, 1e-2, a network that is done has spikes, and they make rounding into anything.
DIFFERENT = {
    "ordinary": [
        {},
        {"lr": 3e-3, "weight_decay": 1.0, "betas": (0.8, 0.9), "eps": 1e-6, "warmup_steps": 0},
        {"name": "adam", "lr": 3e-4, "weight_decay": 1e-2, "warmup_steps": 40, "fraction": 0.3},
        {"name": "sgd", "lr": 0.1, "weight_decay": 1e-3, "momentum": 0.9, "every": 7},
        {"name": "sgd", "lr": 0.2, "weight_decay": 1e-4, "fraction": 0.7, "corrupted": 0.2},
    ],
    "losses": [{"loss": "squared-error"}, {"loss": "stablemax"}, {"fraction": 0.3}],
    "mini-batches": [{"batch_size": 20}, {"batch_size": 13, "batch_seed": 5}, {}],
}


def different(kind, n_steps):
    recipes = []
    for seed, changes in enumerate(DIFFERENT[kind]):
        optimizer = {"lr": 1e-3} | changes
        fraction, corrupted = optimizer.pop("fraction", 0.5), optimizer.pop("corrupted", 0.0)
        config = tiny_config(
            n_steps,
            seed=seed,
            task={"split_seed": seed, "train_fraction": fraction, "corrupted_fraction": corrupted},
            evaluation_interval=optimizer.pop("every", 10),
            optimizer=optimizer,
            schedule=make_schedule(n_steps, [n_steps], []),
        )
        recipes.append(config.recipe())
    return recipes


@pytest.mark.parametrize(
    ("kind", "n_steps"),
    [
        *(pytest.param(kind, 50, marks=() if kind == "ordinary" else pytest.mark.slow) for kind in DIFFERENT),
        *(pytest.param(kind, 1000, marks=pytest.mark.slow) for kind in DIFFERENT),
    ],
)
def test_in_float64_a_member_is_its_run_alone(tmp_path, kind, n_steps):
    recipes = different(kind, n_steps)
    runs, others = (
        [open_run(p) for p in begun(recipes, tmp_path, prefix)] for prefix in ("alone", "stacked")
    )
    # Of the other losses Adam divides smaller gradients by smaller roots: a digit of a thousand steps is lost.
    check_same_in_float64(runs, others, atol=1e-8 if kind == "losses" else 1e-9)


@pytest.mark.parametrize(
    "model", [{"n_layers": 2, "normalization_type": "LN"}, {"n_heads": 0}, {"act_fn": "gelu"}]
)
def test_networks_of_other_kinds_are_those_of_the_run_alone(tmp_path, model):
    recipes = seeded(2, 30, model=model, schedule=make_schedule(30, [30], []))
    runs, others = (
        [open_run(p) for p in begun(recipes, tmp_path, prefix)] for prefix in ("alone", "stacked")
    )
    check_same_in_float64(runs, others, atol=1e-9)


@pytest.mark.slow
def test_in_float32_a_member_is_its_run_to_rounding_and_has_its_transitions(tmp_path):
    # These two memorize, and then answer most test questions.
    schedule = make_schedule(500, ["every:50"], [100, 200])
    recipes = [
        tiny_config(
            500,
            seed=seed,
            task={"split_seed": seed, "train_fraction": 0.7},
            optimizer={"lr": 3e-3, "weight_decay": 1.0},
            schedule=schedule,
        ).recipe()
        for seed in (0, 2)
    ]
    paths = begun(recipes, tmp_path, "stacked")
    assert [end.ended for end in train_stack(paths, threads=1)] == ["complete"] * 2
    for i, (path, recipe) in enumerate(zip(paths, recipes, strict=True)):
        alone, stacked = train(recipe, tmp_path / f"alone-{i}", threads=1), open_run(path)
        assert (alone.steps, alone.optimizer_steps) == (stacked.steps, stacked.optimizer_steps)
        assert alone.config == stacked.config and list(alone.history()) == list(stacked.history())
        a, b = alone.history(), stacked.history()
        # Adam turns a tiny gradient's rounding into a step of lr = 1e-2.
        pd.testing.assert_frame_equal(a[:40], b[:40], rtol=1e-3, atol=1e-6)
        for one, other in ((memorization(a), memorization(b)), (grokking(a, 0.5), grokking(b, 0.5))):
            # Two evaluations: within one they would be equal, and the event may lie at the edge.
            assert one.step is not None and other.step is not None and abs(one.step - other.step) <= 20
        # An optimizer's state is what a run alone would have saved, in name, shape and dtype.
        for step in (100, 200):
            one, other = alone.checkpoint(step).optimizer, stacked.checkpoint(step).optimizer
            assert {k: (x.shape, x.dtype) for k, x in one.items()} == {
                k: (x.shape, x.dtype) for k, x in other.items()
            }
        assert stacked.record.sessions[0].stack == 2
        assert "stack" not in (alone.path / "run.json").read_text("utf-8")


@pytest.mark.parametrize("fractions", thinned([(0.3, 0.5, 0.7), (0.5, 0.5, 0.5)], 2))
def test_what_a_member_learns_does_not_depend_on_the_others(tmp_path, fractions):
    recipes = [
        tiny_config(150, seed=i, task={"split_seed": i, "train_fraction": f}).recipe()
        for i, f in enumerate(fractions)
    ]
    together, apart = begun(recipes, tmp_path, "together"), begun(recipes, tmp_path, "apart")
    train_stack(together, threads=1)
    train_stack(apart[1:][::-1], threads=1)
    train_stack(apart[:1], threads=1)
    for one, other in zip(together, apart, strict=True):
        one, other = open_run(one), open_run(other)
        assert one.index == other.index
        pd.testing.assert_frame_equal(one.history(), other.history(), check_exact=True)


@pytest.mark.parametrize("n_heads", [1, 4])
def test_nor_at_the_width_of_real_runs_when_the_others_end(tmp_path, n_heads):
    """Matrix products of other sizes are rounded otherwise, and those of one member in a way of their own."""
    sizes = {"d_model": 64, "d_mlp": 256, "n_heads": n_heads}
    recipes = [
        tiny_config(n, seed=i, task={"p": 23, "split_seed": i, "train_fraction": 0.4 + 0.05 * i}, model=sizes,
                    schedule=make_schedule(n, [n], [])).recipe()
        for i, n in enumerate((12, 4, 8))
    ]  # fmt: skip
    together, apart = begun(recipes, tmp_path, "together"), begun(recipes, tmp_path, "apart")
    train_stack(together, threads=1)
    for path in apart:
        train_stack([path], threads=1)
    for one, other in zip(together, apart, strict=True):
        assert open_run(one).index == open_run(other).index


def test_losses_of_several_precisions_are_not_rounded_to_each_others(tmp_path):
    of = [{"loss_dtype": dtype} for dtype in ("float32", "float64")]
    recipes = [tiny_config(20, seed=i, optimizer=optimizer).recipe() for i, optimizer in enumerate(of)]
    paths = begun(recipes, tmp_path)
    train_stack(paths, threads=1)
    single, double = (open_run(path).history()["train_loss"] for path in paths)
    kept = [(x == x.astype("float32")).to_numpy()[1:10].all() for x in (single, double)]
    assert kept == [True, False]


# Rules and arms.


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    config = tiny_config(60, schedule=make_schedule(60, ["every:30"], [60]))
    return train(config, tmp_path_factory.mktemp("parent") / "run", threads=1)


@pytest.fixture(scope="module")
def control(parent, tmp_path_factory):
    return branch(parent, tmp_path_factory.mktemp("control") / "control", at=60, budget=30)


def begun_branches(parent, control, folder, arms):
    follows = {"control": control}
    return [
        begin_branch(parent, folder / f"arm-{i}", at=60, budget=20, arm=arm, follows=follows)
        for i, arm in enumerate(arms)
    ]


# In one stack those that change the loss would take the quick pass from the others.
ON_THE_LOSS = {"scale-logits", "match-margin", "zero-sum", "spectral-entropy", "random-penalty"}


@pytest.mark.slow
@pytest.mark.parametrize("on_the_loss", [False, True])
def test_each_rule_acts_on_its_member_as_it_does_on_a_run_alone(tmp_path, parent, control, on_the_loss):
    rules = [rule for rule in ACTIVE if (rule.kind in ON_THE_LOSS) == on_the_loss]
    arms = [Arm(name="control"), *(Arm(name=f"rule-{i}", rules=(rule,)) for i, rule in enumerate(rules))]
    arms.append(Arm(name="frozen", data=(Shrink(n=30),), rules=(Freeze(parts=("attention",), until=8),)))
    runs = begun_branches(parent, control, tmp_path / "alone", arms)
    others = begun_branches(parent, control, tmp_path / "stacked", arms)
    # Slow gradients and replays feed rounding back: 20 steps from 1e-16 stay below.
    check_same_in_float64(runs, others, atol=1e-9)


@pytest.mark.slow
def test_arms_in_a_stack_are_ordinary_branches(tmp_path, parent, control):
    arms = [
        Arm(name="control"),
        Arm(name="replay", rules=(ReplayNorms(),)),
        Arm(name="slow", rules=(SlowGradients(),)),
    ]
    others = begun_branches(parent, control, tmp_path / "stacked", arms)
    assert all(end.ended == "complete" for end in train_stack([run.path for run in others], threads=1))
    for arm, other in zip(arms, others, strict=True):
        alone = branch(
            parent,
            tmp_path / "alone" / arm.name,
            at=60,
            budget=20,
            arm=arm,
            follows={"control": control},
            threads=1,
        )
        other = open_run(other.path)
        assert list(alone.history()) == list(other.history())
        # Both begin at one place: float32 rounding of 20 steps, of lr = 1e-2 each where a gradient is tiny.
        pd.testing.assert_frame_equal(alone.history(), other.history(), rtol=0.05, atol=1e-3)
    # It goes on alone, with what its rules remember.
    longer = resume(others[2].path, n_steps=90)
    assert longer.config.n_steps == 90 and len(longer.history()) == 31


@pytest.mark.slow
def test_an_arm_that_has_shown_its_event_leaves_and_the_others_go_on(tmp_path):
    config = tiny_config(200, task={"train_fraction": 0.7}, schedule=make_schedule(200, [20], [20]))
    run = train(config, tmp_path / "parent", threads=1)
    until = Until(test_accuracy=0.5, evaluations=2)
    paths = [
        begin_branch(run, tmp_path / name, at=20, budget=150, until=u).path
        for name, u in (("until", until), ("whole", None))
    ]
    train_stack(paths, threads=1)
    short, whole = map(open_run, paths)
    alone = branch(run, tmp_path / "alone", at=20, budget=150, until=until, threads=1)
    assert short.config.n_steps == alone.config.n_steps < 170 == whole.config.n_steps
    assert short.record.status == whole.record.status == "complete"
    assert short.steps[-1] == short.config.n_steps


def test_mini_batches_are_learned_alike_in_any_company(tmp_path):
    # Batches of few of the tokens, the last of an epoch smaller; one is ahead, as after a kill between two saves.
    recipes = [
        tiny_config(24, seed=seed, optimizer={"batch_size": 8, "batch_seed": seed}).recipe()
        for seed in (0, 1, 2)
    ]
    ahead = tiny_config(27, seed=3, optimizer={"batch_size": 8}).recipe()
    together, apart = begun(recipes, tmp_path, "together"), begun(recipes, tmp_path, "apart")
    train_stack(together, threads=1)
    train_stack(apart[:1], threads=1)
    train_stack([*apart[1:], *begun([ahead], tmp_path, "ahead")], threads=1)
    for one, other in zip(together, apart, strict=True):
        assert open_run(one).index == open_run(other).index
        assert open_run(one).history().equals(open_run(other).history())


# What ends a member ends it alone.


def test_a_member_that_diverges_leaves_and_changes_no_bit_of_the_others(tmp_path):
    recipes = seeded(2, 120)
    wild = tiny_config(120, seed=7, optimizer={"name": "sgd", "lr": 1e4, "loss_dtype": "float64"}).recipe()
    paths = begun(recipes, tmp_path, "with")
    paths.insert(1, begin(wild, tmp_path / "wild").path)
    ends = train_stack(paths, threads=1)
    assert [end.ended for end in ends] == ["complete", "diverged", "complete"]
    assert "The loss of run 'wild' is" in ends[1].why and open_run(paths[1]).record.status == "diverged"
    calm = begun(recipes, tmp_path, "without")
    train_stack(calm, threads=1)
    for one, other in zip([paths[0], paths[2]], calm, strict=True):
        assert open_run(one).index == open_run(other).index
    # Asked again nothing is done.
    assert [end.ended for end in train_stack(paths, threads=1)] == ["complete", "diverged", "complete"]


def test_a_member_that_cannot_be_saved_fails_alone(tmp_path, monkeypatch):
    paths = begun(seeded(3, 60), tmp_path)

    def save_checkpoint(run, step, *rest):
        if run.name == "run-1" and step == 50:
            raise OSError(28, "No space left on device")
        saving.save_checkpoint(run, step, *rest)

    monkeypatch.setattr(member_module, "save_checkpoint", save_checkpoint)
    ends = train_stack(paths, threads=1)
    assert [end.ended for end in ends] == ["complete", "failed", "complete"]
    assert "No space left" in ends[1].why and open_run(paths[1]).record.status == "failed"
    monkeypatch.undo()
    assert [end.ended for end in train_stack(paths, threads=1)] == ["complete"] * 3
    fresh = begun(seeded(3, 60), tmp_path / "again")
    train_stack(fresh, threads=1)
    assert open_run(paths[1]).index == open_run(fresh[1]).index


def test_runs_that_cannot_go_on_are_said_to_and_the_others_are_trained(tmp_path):
    paths = begun(seeded(3, 30), tmp_path)
    (paths[0] / "latest.safetensors").write_bytes(b"no state")
    paths.append(tmp_path / "nothing")
    with ExitStack() as stack:
        stack.enter_context(member_lock(paths[1]))
        ends = train_stack(paths, threads=1)
    assert [end.ended for end in ends] == ["failed", "busy", "complete", "failed"]
    assert "latest.safetensors" in ends[0].why and "Another trainer is working on" in ends[1].why
    assert "nothing" in ends[3].why


@contextmanager
def member_lock(path):
    from interp.runs.locks import run_lock

    with run_lock(path):
        yield


def test_runs_of_two_architectures_are_refused_by_the_field(tmp_path):
    recipes = [tiny_config(30).recipe(), tiny_config(30, model={"d_mlp": 48}).recipe()]
    paths = begun(recipes, tmp_path)
    with pytest.raises(
        ValueError, match=r"need one architecture, and model.d_mlp is 32 in run-0 and 48 in run-1"
    ):
        train_stack(paths)
    assert all(open_run(path).record.sessions == () for path in paths)
    with pytest.raises(ValueError, match=r"task.n_answers is 11 in a and 13 in b|model.n_ctx|d_vocab"):
        check_alike({"a": recipes[0], "b": tiny_config(30, task={"p": 13}).recipe()})
    check_alike({"a": recipes[0], "b": tiny_config(30, model={"init_scale": 2.0}).recipe()})


# Stopped, killed and continued.


def stop_at(monkeypatch, step):
    def save_checkpoint(run, at, *rest):
        saving.save_checkpoint(run, at, *rest)
        if at == step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(member_module, "save_checkpoint", save_checkpoint)


@pytest.mark.slow
def test_ctrl_c_saves_all_members_and_the_same_call_goes_on_bit_for_bit(tmp_path, monkeypatch):
    recipes = seeded(3, 120)
    paths, whole = begun(recipes, tmp_path, "stopped"), begun(recipes, tmp_path, "whole")
    train_stack(whole, threads=1)
    stop_at(monkeypatch, 50)
    with pytest.raises(KeyboardInterrupt, match="everything is saved"):
        train_stack(paths, threads=1)
    monkeypatch.undo()
    assert [open_run(path).record.status for path in paths] == ["interrupted"] * 3
    assert {saving.read_latest(open_run(path)).step for path in paths} == {51}
    # One of them alone first: it is ahead of the others when they go on together.
    assert [end.ended for end in train_stack(paths[:1], threads=1)] == ["complete"]
    assert [end.ended for end in train_stack(paths, threads=1)] == ["complete"] * 3
    for one, other in zip(paths, whole, strict=True):
        same_runs(open_run(one), open_run(other))


def test_a_member_is_resumed_alone_as_any_run(tmp_path, monkeypatch):
    paths = begun(seeded(2, 100), tmp_path)
    stop_at(monkeypatch, 50)
    with pytest.raises(KeyboardInterrupt):
        train_stack(paths, threads=1)
    monkeypatch.undo()
    run = resume(paths[0])
    assert run.record.status == "complete" and [s.stack for s in run.record.sessions] == [2, None]
    assert len(run.history()) == 101


def train_in_child(paths, seconds_between_states):
    member_module.SECONDS_BETWEEN_STATES = seconds_between_states
    train_stack(paths, threads=1)


@pytest.mark.slow  # tests/sweeps/ kills workers that train stacks
def test_a_killed_stack_loses_nothing_and_goes_on_bit_for_bit(tmp_path):
    recipes = seeded(3, 200, schedule=make_schedule(200, ["every:25"], ["every:50"]))
    paths, whole = begun(recipes, tmp_path, "killed"), begun(recipes, tmp_path, "whole")
    train_stack(whole, threads=1)
    kills = 0
    for until in (60, 110):
        child = forked.Process(target=train_in_child, args=(paths, -1.0 if until == 110 else 0.05))
        child.start()
        while child.is_alive() and max(_reached(path) for path in paths) < until:
            time.sleep(0.002)
        # Between one member's file and the next one's.
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            kills += 1
        child.join()
        for path in paths:
            run = open_run(path)
            for step in run.steps:
                run.checkpoint(step)
    assert kills
    assert [end.ended for end in train_stack(paths, threads=1)] == ["complete"] * 3
    for one, other in zip(paths, whole, strict=True):
        same_runs(open_run(one), open_run(other))


def _reached(path):
    try:
        return max(open_run(path).steps, default=-1)
    except (RunError, OSError):
        return -1
