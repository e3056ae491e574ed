"""A snapshot's activations are those of the hooked model at the questions, each computed once, and freed with it."""

import dataclasses
import gc
import weakref

import pytest
import torch

from interp.networks import plain
from interp.networks.config import initial_weights
from interp.networks.network import DescribedNetwork
from interp.probes import losses
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests import hand_built

NETWORKS = {
    "mainline": {},
    "two layers, LayerNorm": {"n_layers": 2, "normalization_type": "LN"},
    "after the sum": {"n_layers": 2, "normalization_type": "LN", "norm_placement": "post"},
    "attention only": {"d_mlp": 0},
    "MLP": {"n_heads": 0, "d_head": 0, "positions": "none", "n_layers": 2},
}


def snapshot_of(name, task=None):
    task = task or hand_built.addition(7)
    config = hand_built.config_for(task, **{"d_model": 8, "n_heads": 2, "d_mlp": 12} | NETWORKS[name])
    return Snapshot(0, initial_weights(config, 0), DescribedNetwork(config), task)


def asked_twice(position_of_second):
    """Addition whose every second example is asked a second time, at another position."""
    task = hand_built.addition(7)
    again = torch.arange(0, task.n_examples, 2)
    labels = torch.cat([task.labels, task.labels[again]])
    return dataclasses.replace(
        task,
        example=torch.cat([task.example, again]),
        position=torch.cat([task.position, torch.full_like(again, position_of_second)]),
        labels=labels,
        true_labels=labels,
        is_corrupted=torch.zeros(len(labels), dtype=torch.bool),
    )


@pytest.mark.parametrize("second", [None, 1])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_hook_is_that_of_the_hooked_model_at_the_questions(name, second):
    snapshot = snapshot_of(name, None if second is None else asked_twice(second))
    task, config = snapshot.task, snapshot.config
    _, cache = snapshot.model.run_with_cache(task.inputs)
    for hook in plain.hook_names(config):
        found, whole = snapshot.activation(hook), cache[hook]
        if config.is_mlp:  # one position, which answers; its input is all positions
            want = whole[task.example] if hook == "hook_embed" else whole[task.example, 0]
        elif hook.endswith(("hook_pattern", "hook_attn_scores")):
            want = whole[task.example, :, task.position]
        else:
            want = whole[task.example, task.position]
        # 1e-5: float32, and the factorized pass where it applies.
        torch.testing.assert_close(found, want, atol=1e-5, rtol=1e-5, msg=lambda m, h=hook: f"{h}: {m}")
    assert len(losses(snapshot)) == 3 and losses(snapshot).set_index("split").loc["all", "n"] == len(
        task.labels
    )


def test_one_pass_gives_what_most_probes_read(monkeypatch):
    snapshot, calls = snapshot_of("two layers, LayerNorm"), []
    forward = plain.forward
    monkeypatch.setattr(plain, "forward", lambda *args: calls.append(1) or forward(*args))
    for _ in range(2):
        _ = snapshot.logits, snapshot.pattern, snapshot.neurons, snapshot.losses
    assert len(calls) == 1
    for layer in (0, 1):
        snapshot.activation(f"blocks.{layer}.hook_resid_mid")
    assert len(calls) == 2


def test_an_unknown_hook_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="no hook 'hook_nothing'. Its hooks are hook_embed, "):
        snapshot_of("mainline").activation("hook_nothing")


def test_a_snapshot_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        snapshot = snapshot_of("mainline")
        _ = snapshot.once(Residues).logit_cube, snapshot.once(losses), snapshot.model
        gone = weakref.ref(snapshot)
        del snapshot
        assert gone() is None
    finally:
        gc.enable()


def test_without_a_task_only_weights_are_there():
    task = hand_built.addition(7)
    config = hand_built.config_for(task, d_model=8, n_heads=2, d_mlp=12)
    snapshot = Snapshot(0, initial_weights(config, 0), DescribedNetwork(config), None)
    with pytest.raises(NotApplicable, match="no task that grokscope knows"):
        _ = snapshot.logits
    assert snapshot.weights["embed.W_E"].shape == (8, 8)
