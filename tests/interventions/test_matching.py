"""Edits made equal in norm and in what they do to the loss at once."""

import math

import pytest
import torch

from interp.interventions.any_edit import Scaled, edit_from_json, edit_to_json
from interp.interventions.bench import Bench, edit_norms, loss_of_test_rows
from interp.interventions.components import InterpolateComponent
from interp.interventions.frequencies import GraftFrequencies, KeepFrequencies, RemoveFrequencies
from interp.interventions.matching import change_of, matched_change, others_back, topped_up
from interp.interventions.norms import ScaleNorms
from interp.interventions.shams import random_direction
from interp.networks import objective, plain
from interp.networks.config import initial_weights
from tests.interventions.benches import changed, same, transformer

BOTH = ("W_E", "W_L")
# Those that have moved farthest between the two checkpoints, so that others fit within their norm.
KEYS = (2, 4)


@pytest.fixture(scope="module")
def trained(tiny_run):
    """Weights of a trained network, p = 11, and a bench with an early checkpoint of it."""
    donors = {"memorization": tiny_run.step_weights(50)}
    return tiny_run.step_weights(300), Bench(tiny_run.config.model, tiny_run.task, donors)


def test_the_loss_of_the_test_rows_is_that_of_their_logits():
    weights, bench = transformer()
    is_test = ~bench.task.split
    logits = plain.forward(bench.config, weights, bench.task.tokens[is_test])[:, -1]
    want = objective.loss(logits, bench.task.labels[is_test], torch.float64)
    # The factorized pass sums float32 in another order.
    torch.testing.assert_close(loss_of_test_rows(bench)(weights), want, atol=1e-6, rtol=0)


@pytest.mark.parametrize("target", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_a_sham_makes_the_change_that_is_asked_of_it(trained, target, tolerance):
    weights, bench = trained
    loss = loss_of_test_rows(bench)
    edit = RemoveFrequencies(frequencies=(2,), where=BOTH)
    sham = random_direction(edit, weights, bench, 0)
    matched = matched_change(sham, weights, bench, loss, target=target, tolerance=tolerance)
    assert isinstance(matched, Scaled)
    assert matched.of is sham
    assert change_of(matched, weights, bench, loss) == pytest.approx(target, rel=tolerance)


def test_an_edit_matches_itself_and_no_change_is_no_edit(trained):
    weights, bench = trained
    edit = RemoveFrequencies(frequencies=(5,), where=("W_L",))

    def distance(w):
        return (w["unembed.W_U"].double() - weights["unembed.W_U"].double()).norm()

    target = change_of(edit, weights, bench, distance)
    matched = matched_change(edit, weights, bench, distance, target=target, tolerance=1e-5)
    assert matched.factor == pytest.approx(1, rel=1e-5)
    nothing = matched_change(edit, weights, bench, distance, target=0.0)
    assert nothing.factor == 0
    same(weights, nothing.edit(weights, bench))


def test_any_scalar_of_the_weights_can_be_matched():
    weights, bench = transformer()

    def norm(w):
        return torch.linalg.vector_norm(w["unembed.W_U"])

    target = 0.25 * float(norm(weights))
    matched = matched_change(ScaleNorms(factor=2.0), weights, bench, norm, target=target, tolerance=1e-5)
    assert matched.factor == pytest.approx(0.25, rel=1e-4)


def test_a_change_that_no_share_makes_is_refused():
    weights, bench = transformer()
    with pytest.raises(
        ValueError, match=r"needs a share of the edit that changes the loss by -2, got none up to 64 times"
    ):
        matched_change(ScaleNorms(factor=2.0), weights, bench, lambda w: w["embed.W_E"].norm(), target=-2.0)
    with pytest.raises(ValueError, match=r"which changes it by 0\. This edit cannot do that"):
        matched_change(ScaleNorms(factor=1.0), weights, bench, loss_of_test_rows(bench), target=0.5)


@pytest.mark.parametrize("tilt", [0.0, 0.5, -1.0])
def test_topping_up_reaches_the_norm_of_every_tensor(trained, tilt):
    weights, bench = trained
    edit = RemoveFrequencies(frequencies=(3,), where=BOTH)
    norms = {name: 1.5 * norm for name, norm in edit_norms(edit, weights, bench).items()} | {
        "blocks.0.mlp.W_in": 0.3
    }
    whole = topped_up(edit, weights, bench, norms, seed=2, tilt=tilt)
    assert whole.edits[0] is edit
    # float32 weights of order 1.
    assert edit_norms(whole, weights, bench) == pytest.approx(norms, rel=1e-5)
    exact = topped_up(edit, weights, bench, edit_norms(edit, weights, bench), seed=2)
    assert edit_norms(exact, weights, bench) == pytest.approx(edit_norms(edit, weights, bench), rel=1e-5)


def test_topping_up_an_edit_that_is_larger_is_refused(trained):
    weights, bench = trained
    edit = RemoveFrequencies(frequencies=(2,), where=("W_E",))
    with pytest.raises(
        ValueError, match=r"Topping up needs an edit of at most norm 0\.1 in embed\.W_E, got "
    ):
        topped_up(edit, weights, bench, {"embed.W_E": 0.1}, seed=0)


@pytest.mark.parametrize(("seed", "where"), [(0, ("W_E",)), (1, BOTH)])
def test_others_back_equals_keys_back_in_norm_and_in_loss_and_spares_the_keys(trained, seed, where):
    weights, bench = trained
    loss = loss_of_test_rows(bench)
    keys = GraftFrequencies(frequencies=KEYS, where=where, donor="memorization")
    sham = others_back(keys, weights, bench, loss, seed=seed, tolerance=1e-3)
    norms = edit_norms(keys, weights, bench)
    assert edit_norms(sham, weights, bench) == pytest.approx(norms, rel=1e-5)
    target = change_of(keys, weights, bench, loss)
    assert change_of(sham, weights, bench, loss) == pytest.approx(target, rel=1e-3)
    assert abs(target) > 0.1
    edited = sham.edit(weights, bench)
    assert changed(weights, edited) == set(keys.tensors)
    of_keys = KeepFrequencies(frequencies=KEYS, where=where, constant=False)
    for name in keys.tensors:
        before, after = (of_keys.edit(w, bench)[name][:11, :11] for w in (weights, edited))
        torch.testing.assert_close(after, before, atol=1e-6, rtol=0)
    others = sham.edits[0].of if isinstance(sham.edits[0], Scaled) else sham.edits[0]
    assert isinstance(sham.edits[0], GraftFrequencies) or where == BOTH
    assert len(others.frequencies) == 2
    assert not set(KEYS) & set(others.frequencies)
    assert abs(sham.edits[1].tilt) < math.pi / 2
    assert sham == others_back(keys, weights, bench, loss, seed=seed, tolerance=1e-3)
    assert edit_from_json(edit_to_json(sham)) == sham


def test_others_that_outweigh_the_keys_go_back_in_part(trained):
    weights, bench = trained
    # A donor that is near in the keys and far in the others.
    near = GraftFrequencies(frequencies=KEYS, where=BOTH, donor="memorization").edit(weights, bench)
    rest = RemoveFrequencies(frequencies=(1, 3, 5), where=BOTH).edit(near, bench)
    bench = Bench(bench.config, bench.task, {"start": rest})
    keys = GraftFrequencies(frequencies=KEYS, where=BOTH, donor="start")
    norms, loss = edit_norms(keys, weights, bench), loss_of_test_rows(bench)
    sham = others_back(keys, weights, bench, loss, seed=0, tolerance=1e-2)
    part = sham.edits[0]
    assert isinstance(part, Scaled)
    largest = max(size / norms[name] for name, size in edit_norms(part, weights, bench).items())
    assert largest == pytest.approx(0.9, rel=1e-5)
    assert edit_norms(sham, weights, bench) == pytest.approx(norms, rel=1e-5)
    target = change_of(keys, weights, bench, loss)
    assert change_of(sham, weights, bench, loss) == pytest.approx(target, rel=1e-2)


def test_others_back_refuses(trained):
    weights, bench = trained
    loss = loss_of_test_rows(bench)
    many = GraftFrequencies(frequencies=(1, 2, 3), where=BOTH, donor="memorization")
    with pytest.raises(ValueError, match="needs 3 frequencies that the edit does not name, got 2"):
        others_back(many, weights, bench, loss, seed=0)
    keys = GraftFrequencies(frequencies=KEYS, where=BOTH, donor="memorization")
    base = keys.edit(weights, bench)

    def only_keys(w):
        """A scalar that only the keys change."""
        return float(all(torch.equal(w[name], base[name]) for name in base))

    with pytest.raises(
        ValueError, match=r"needs a change of the loss of 1 at the norm of the edit, got 0 to 0 over all"
    ):
        others_back(keys, weights, bench, only_keys, seed=0)


def test_the_line_between_checkpoints_can_be_matched_to_a_loss():
    weights, bench = transformer()
    own = Bench(bench.config, bench.task, {"ahead": initial_weights(bench.config, 4)})
    edit = InterpolateComponent(component="everything", donor="ahead", share=1.0)
    loss = loss_of_test_rows(own)
    target = 0.5 * change_of(edit, weights, own, loss)
    matched = matched_change(edit, weights, own, loss, target=target)
    assert change_of(matched, weights, own, loss) == pytest.approx(target, rel=1e-3)
