"""What probes share, of a snapshot or of a task, is what each would have computed alone."""

import dataclasses
import gc
import weakref

import pandas as pd
import pytest
import torch

from interp.measurement.standard import LARGE, STANDARD
from interp.networks.config import initial_weights
from interp.networks.network import DescribedNetwork
from interp.probes import named
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests import hand_built


def table_of(snapshot, name):
    try:
        return snapshot.once(named(name))
    except NotApplicable as reason:
        return pd.DataFrame({"not_applicable": [str(reason)]})


def alone(snapshot):
    """The same network of a task that no other snapshot has used."""
    return dataclasses.replace(snapshot, task=dataclasses.replace(snapshot.task))


# Of orders 53, where samples of differences are drawn, and 12, which has a frequency n/2.
@pytest.mark.parametrize(("operation", "p"), [("add", 53), ("multiply", 13)])
def test_probes_of_one_snapshot_give_what_each_gives_alone(operation, p):
    task = hand_built.addition(p, operation=operation, corrupted_fraction=0.05)
    config = hand_built.config_for(task, d_model=16, n_heads=4, d_mlp=32)
    names = [*STANDARD, *LARGE]
    for seed, order in enumerate((names, names[::-1])):
        weights = {name: 3 * w for name, w in initial_weights(config, seed).items()}
        together = Snapshot(0, weights, DescribedNetwork(config), task)
        n_tables = 0
        for name in order:
            found, want = table_of(together, name), table_of(alone(together), name)
            pd.testing.assert_frame_equal(found, want, check_exact=True, obj=name)
            n_tables += "not_applicable" not in found
        assert n_tables >= len(STANDARD) - 2


def test_what_is_kept_of_a_task_serves_its_other_steps_and_goes_with_it():
    first = hand_built.random_network(7)
    second = Snapshot(1, first.weights, first.network, first.task)
    calls = []

    def make(task, device, factor):
        calls.append(factor)
        return factor * task.labels

    assert torch.equal(first.of_task(make, 2), 2 * first.labels)
    assert second.of_task(make, 2) is first.of_task(make, 2)
    assert torch.equal(second.of_task(make, 3), 3 * first.labels)
    assert calls == [2, 3]
    second.once(Residues)
    task = weakref.ref(first.task)
    del first, second
    gc.collect()
    assert task() is None
