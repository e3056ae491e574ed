"""Edits of activations: heads, neurons, frequencies of neurons and logits, patches; plain and hooked agree."""

import pytest
import torch

from interp.interventions.activation_frequencies import KeepFrequenciesOf, RemoveFrequenciesOf
from interp.interventions.bench import Bench
from interp.interventions.heads import AblateHeads
from interp.interventions.neurons import AblateNeurons, RemoveNeurons
from interp.interventions.patching import Patch, activations, chained, edited_logits, run_tapped
from interp.mathematics.fourier import transform_2d
from interp.networks import objective, plain
from interp.networks.hooked import build_model
from interp.networks.plain import hook_names
from interp.probes import progress_measures
from tests import hand_built
from tests.interventions.benches import mlp, of, transformer

BIASES = {"attention_bias": True, "unembed_bias": True}
# float32 sums in another order.
ROUNDING = {"atol": 2e-5, "rtol": 0}


def plain_logits(weights, bench):
    return edited_logits(weights, (), bench)


# --- ablation


def test_a_head_at_zero_is_a_head_without_output():
    weights, bench = transformer(**BIASES)
    found = edited_logits(weights, [AblateHeads(heads=(1, 2), how="zero")], bench)
    w_o = weights["blocks.0.attn.W_O"].clone()
    w_o[1:3] = 0
    torch.testing.assert_close(found, plain_logits(weights | {"blocks.0.attn.W_O": w_o}, bench), **ROUNDING)
    assert (found - plain_logits(weights, bench)).abs().max() > 1e-2


def test_neurons_at_zero_are_removed_neurons():
    for network in (transformer, mlp):
        weights, bench = network()
        found = edited_logits(weights, [AblateNeurons(neurons=(0, 4), how="zero")], bench)
        want = plain_logits(RemoveNeurons(neurons=(0, 4)).edit(weights, bench), bench)
        torch.testing.assert_close(found, want, **ROUNDING)


@pytest.mark.parametrize("how", ["zero", "mean", "resample"])
def test_only_the_named_units_change_and_as_said(how):
    weights, bench = transformer()
    for edit, axis, units in (
        (AblateHeads(heads=(1,), how=how, seed=3), 2, [1]),
        (AblateNeurons(neurons=(2, 5), how=how, seed=3), 2, [2, 5]),
    ):
        (hook,) = edit.hooks(bench)
        x = activations(bench.config, weights, bench.task.tokens, [hook])[hook]
        found = edit.tap(bench)(hook, x)
        others = [i for i in range(x.shape[axis]) if i not in units]
        assert torch.equal(found[:, :, others], x[:, :, others])
        now, before = found[:, -1, units], x[:, -1, units]
        if how == "zero":
            assert not now.any()
        elif how == "mean":
            torch.testing.assert_close(now, before.mean(0, keepdim=True).expand_as(now))
        else:
            # The same values, none in its place.
            order = {tuple(row.flatten().tolist()) for row in before}
            assert {tuple(row.flatten().tolist()) for row in now} == order
        assert edit.tap(bench)("hook_embed", x) is x


def test_resampling_is_another_example_each_once():
    _, bench = transformer()
    x = torch.arange(40.0).reshape(40, 1, 1).expand(40, 3, 32)
    tap = AblateNeurons(neurons=tuple(range(32)), how="resample", seed=5).tap(bench)
    found = tap("blocks.0.mlp.hook_post", x)[:, 0, 0]
    assert sorted(found.tolist()) == list(range(40))
    assert (found != x[:, 0, 0]).all()
    again = AblateNeurons(neurons=tuple(range(32)), how="resample", seed=6).tap(bench)
    assert not torch.equal(again("blocks.0.mlp.hook_post", x)[:, 0, 0], found)
    with pytest.raises(ValueError, match="Resampling needs at least 2 examples, got 1"):
        tap("blocks.0.mlp.hook_post", x[:1])


def test_nothing_ablated_is_nothing_changed():
    weights, bench = transformer()
    nothing = [AblateHeads(heads=(), how="mean"), AblateNeurons(neurons=(), how="resample")]
    torch.testing.assert_close(
        edited_logits(weights, nothing, bench), plain_logits(weights, bench), atol=0, rtol=0
    )


def test_ablations_refuse(annotations_off):
    _, bench = transformer()
    with pytest.raises(ValueError, match=r"needs heads from 0 to 3, got \[4\]"):
        AblateHeads(heads=(4,), how="zero").tap(bench)
    with pytest.raises(ValueError, match=r"needs a layer from 0 to 0, got -1"):
        AblateNeurons(neurons=(0,), how="zero", layer=-1).tap(bench)
    with pytest.raises(ValueError, match="needs a network with heads, got one without"):
        AblateHeads(heads=(0,), how="zero").tap(mlp()[1])
    for make in (
        lambda: AblateHeads(heads=(0,), how="noise"),
        lambda: AblateNeurons(neurons=(0,), how="noise"),
    ):
        with (
            annotations_off(),
            pytest.raises(ValueError, match="needs how to be one of 'zero', 'mean', 'resample'"),
        ):
            make()


# --- frequencies of activations


@pytest.mark.parametrize("keys", [(3,), (2, 5)])
def test_logits_kept_and_removed_have_the_losses_of_the_progress_measures(keys):
    snapshot = hand_built.random_network(d_mlp=64)
    weights, bench = of(snapshot)
    table = progress_measures(snapshot, frequencies=keys, n_random=1).set_index(
        ["measure", "selection", "split"]
    )
    labels, is_train = bench.task.labels, bench.task.split
    kept = edited_logits(weights, [KeepFrequenciesOf(frequencies=keys, where="logits")], bench)
    restricted = objective.loss(kept, labels, torch.float64)
    assert float(restricted) == pytest.approx(table.loss["restricted_loss", "key", "all"], abs=1e-6)
    removed = edited_logits(weights, [RemoveFrequenciesOf(frequencies=keys, where="logits")], bench)
    excluded = objective.loss(removed[is_train], labels[is_train], torch.float64)
    assert float(excluded) == pytest.approx(table.loss["excluded_loss", "key", "train"], abs=1e-6)


def test_neurons_keep_the_products_of_one_frequency():
    weights, bench = transformer()
    hook = "blocks.0.mlp.hook_post"
    x = activations(bench.config, weights, bench.task.tokens, [hook])[hook]
    kept = KeepFrequenciesOf(frequencies=(2, 5), where="neurons").tap(bench)(hook, x)
    removed = RemoveFrequenciesOf(frequencies=(2, 5), where="neurons").tap(bench)(hook, x)
    mean = x.reshape(169, 3, 32).mean(0)
    torch.testing.assert_close(kept + removed, x + mean, **ROUNDING)
    whole, part = (transform_2d(t.double().reshape(13, 13, 3, 32)) for t in (x, kept))
    frequency = [(c + 1) // 2 for c in range(13)]
    for f in range(13):
        for g in range(13):
            ks = {frequency[f], frequency[g]} - {0}
            is_kept = ks in (set(), {2}, {5})
            want = whole[f, g] if is_kept else torch.zeros(3, 32, dtype=torch.float64)
            torch.testing.assert_close(part[f, g], want, atol=1e-4, rtol=0)


@pytest.mark.parametrize("where", ["neurons", "logits"])
def test_frequencies_of_activations_obey_the_laws(where):
    for network in (transformer, mlp):
        weights, bench = network()
        keep = KeepFrequenciesOf(frequencies=(1, 4), where=where)
        remove = RemoveFrequenciesOf(frequencies=(1, 4), where=where)
        for edit in (keep, remove):
            once = edited_logits(weights, [edit], bench)
            torch.testing.assert_close(edited_logits(weights, [edit, edit], bench), once, **ROUNDING)
        nothing = RemoveFrequenciesOf(frequencies=(), where=where)
        torch.testing.assert_close(
            edited_logits(weights, [nothing], bench), plain_logits(weights, bench), **ROUNDING
        )
        (hook,) = keep.hooks(bench)
        x = activations(bench.config, weights, bench.task.tokens, [hook])[hook][:, -1:]
        both = chained([keep.tap(bench), remove.tap(bench)])(hook, x)
        # What is left is the mean over the pairs.
        torch.testing.assert_close(both, x.mean(0, keepdim=True).expand_as(x), **ROUNDING)


def test_a_clock_needs_its_frequency_in_its_neurons():
    weights, bench = of(hand_built.clock([3], amplitudes=[10.0]))
    gone = edited_logits(weights, [RemoveFrequenciesOf(frequencies=(3,), where="neurons")], bench)
    kept = edited_logits(weights, [KeepFrequenciesOf(frequencies=(3,), where="logits")], bench)
    torch.testing.assert_close(kept, plain_logits(weights, bench), atol=1e-4, rtol=0)
    # Quadratic neurons of frequency 3 also speak at 6; the products of the clock itself are at (3, 3).
    assert (gone - gone.mean(0)).abs().max() < 1e-3 * kept.abs().max()


def test_residues_without_a_name_are_left_out():
    task = hand_built.addition(operation="multiply")
    weights, bench = transformer()
    bench = Bench(bench.config, task)
    edit = RemoveFrequenciesOf(frequencies=(1, 2, 3, 4, 5, 6), where="logits")
    found, before = edited_logits(weights, [edit], bench), plain_logits(weights, bench)
    is_named = (task.config.pairs() != 0).all(1)
    assert torch.equal(found[~is_named], before[~is_named])
    assert (found - before)[is_named].abs().max() > 1e-2


def test_frequencies_of_activations_refuse(annotations_off):
    weights, bench = transformer()
    edit = KeepFrequenciesOf(frequencies=(1,), where="logits")
    with pytest.raises(
        ValueError, match="Frequencies of logits need all 169 examples of the task at once, got 5"
    ):
        plain.forward(bench.config, weights, bench.task.tokens[:5], edit.tap(bench))
    with pytest.raises(ValueError, match=r"Frequencies on Z_13 run from 1 to 6, got \[9\]"):
        KeepFrequenciesOf(frequencies=(9,), where="neurons").tap(bench)
    with pytest.raises(ValueError, match="needs a layer from 0 to 0, got 3"):
        RemoveFrequenciesOf(frequencies=(1,), where="neurons", layer=3).tap(bench)
    with pytest.raises(ValueError, match="needs a network with neurons, got one without"):
        RemoveFrequenciesOf(frequencies=(1,), where="neurons").tap(transformer(d_mlp=0)[1])
    with pytest.raises(ValueError, match="needs a task whose answer is a sum"):
        edit.tap(of(hand_built.characters({"sign": 1.0}))[1])
    with (
        annotations_off(),
        pytest.raises(ValueError, match="needs where to be one of 'neurons', 'logits', got 'W_E'"),
    ):
        KeepFrequenciesOf(frequencies=(1,), where="W_E")


# --- patching


def test_all_patched_is_the_donor_and_nothing_patched_is_the_network_itself():
    for network in (lambda: transformer(n_layers=2, normalization_type="LN", **BIASES), mlp):
        weights, bench = network()
        names = tuple(hook_names(bench.config))
        found = edited_logits(weights, [Patch(names=names, donor="ahead")], bench)
        torch.testing.assert_close(found, plain_logits(bench.donors["ahead"], bench), **ROUNDING)
        nothing = edited_logits(weights, [Patch(names=(), donor="ahead")], bench)
        torch.testing.assert_close(nothing, plain_logits(weights, bench), **ROUNDING)
        own = Bench(bench.config, bench.task, {"own": weights})
        itself = edited_logits(weights, [Patch(names=names, donor="own")], own)
        torch.testing.assert_close(itself, plain_logits(weights, bench), **ROUNDING)


def test_the_residual_stream_of_a_donor_meets_the_own_unembedding():
    weights, bench = transformer()
    donor = bench.donors["ahead"]
    found = edited_logits(weights, [Patch(names=("blocks.0.hook_resid_post",), donor="ahead")], bench)
    torch.testing.assert_close(
        found, plain_logits(donor | {"unembed.W_U": weights["unembed.W_U"]}, bench), **ROUNDING
    )
    # Embedding and positions of the donor are all that comes before the first block.
    found = edited_logits(weights, [Patch(names=("blocks.0.hook_resid_pre",), donor="ahead")], bench)
    mixed = weights | {name: donor[name] for name in ("embed.W_E", "pos_embed.W_pos")}
    torch.testing.assert_close(found, plain_logits(mixed, bench), **ROUNDING)


def test_one_token_of_other_inputs_is_another_question():
    weights, bench = transformer()
    tokens = bench.task.tokens
    shifted = torch.cat([(tokens[:, :1] + 1) % 13, tokens[:, 1:]], 1)
    source = activations(bench.config, weights, shifted, ["hook_embed"])
    tap = Patch(names=("hook_embed",), positions=(0,)).tap_from(source)
    found = plain.forward(bench.config, weights, tokens, tap)
    torch.testing.assert_close(found, plain.forward(bench.config, weights, shifted), **ROUNDING)
    other = Patch(names=("hook_embed",), positions=(1, 2)).tap_from(source)
    torch.testing.assert_close(
        plain.forward(bench.config, weights, tokens, other),
        plain.forward(bench.config, weights, tokens),
        **ROUNDING,
    )


@pytest.mark.parametrize("leaf", ["attn.hook_q", "attn.hook_pattern", "attn.hook_z", "mlp.hook_post"])
def test_units_and_positions_are_where_they_say(leaf):
    weights, bench = transformer()
    name, (unit, position) = f"blocks.0.{leaf}", (1, 2)
    own, other = (
        activations(bench.config, w, bench.task.tokens, [name])[name]
        for w in (weights, bench.donors["ahead"])
    )
    patch = Patch(names=(name,), units=(unit,), positions=(position,))
    found = patch.tap_from({name: other})(name, own)
    is_other = (found == other) & (own != other)
    where = is_other.any(0).nonzero()
    axes = (1, 0) if leaf == "attn.hook_pattern" else (0, 1)
    assert set(where[:, axes[0]].tolist()) == {position}
    assert set(where[:, axes[1]].tolist()) == {unit}
    assert torch.equal(found[~is_other], own[~is_other])


def test_plain_and_hooked_agree_on_every_edit():
    weights, bench = transformer(n_layers=2, normalization_type="LN", **BIASES)
    model = build_model(bench.config, weights)
    hooks = [name for name in hook_names(bench.config) if not name.endswith("attn_scores")]
    edits = [
        AblateHeads(heads=(0,), how="mean", layer=1),
        AblateNeurons(neurons=(0, 1), how="resample", layer=0),
        RemoveFrequenciesOf(frequencies=(2,), where="logits"),
        *(Patch(names=(name,), donor="ahead") for name in hooks),
        Patch(names=("blocks.0.attn.hook_z", "blocks.1.mlp.hook_post"), donor="ahead", units=(1, 3)),
    ]
    base = model(bench.task.tokens)
    with torch.no_grad():
        for edit in edits:
            hooked = run_tapped(model, bench.task.tokens, edit.hooks(bench), edit.tap(bench))
            found = plain.forward(bench.config, weights, bench.task.tokens, edit.tap(bench))
            torch.testing.assert_close(hooked, found, **ROUNDING)
            assert (found - base).abs().max() > 1e-4, edit
    torch.testing.assert_close(model(bench.task.tokens), base, atol=0, rtol=0)


def test_the_cache_of_a_hooked_model_is_a_source():
    weights, bench = transformer()
    _, cache = build_model(bench.config, bench.donors["ahead"]).run_with_cache(bench.task.tokens)
    patch = Patch(names=("blocks.0.hook_resid_post",), donor="ahead")
    found = run_tapped(
        build_model(bench.config, weights), bench.task.tokens, patch.names, patch.tap_from(cache.cache_dict)
    )
    torch.testing.assert_close(found[:, -1], edited_logits(weights, [patch], bench), **ROUNDING)


def test_taps_act_one_after_another():
    tap = chained([lambda name, x: x + 1, lambda name, x: x * 2])
    assert tap("hook", torch.tensor(3.0)) == 8


def test_patches_refuse():
    _, bench = transformer()
    with pytest.raises(
        ValueError, match=r"needs activations of the network, got hook_z\. There are: hook_embed, hook_pos"
    ):
        Patch(names=("hook_z",), donor="ahead").tap(bench)
    with pytest.raises(ValueError, match="needs a donor 'back', got 'ahead'"):
        Patch(names=("hook_embed",), donor="back").tap(bench)
    x = torch.zeros(2, 3, 16)
    patch = Patch(names=("hook_embed",), positions=(3,), units=(0,))
    with pytest.raises(ValueError, match=r"needs a source of hook_embed of shape \(2, 3, 16\), got nothing"):
        patch.tap_from({})("hook_embed", x)
    with pytest.raises(
        ValueError, match=r"needs a source of hook_embed of shape \(2, 3, 16\), got \(1, 3, 16\)"
    ):
        patch.tap_from({"hook_embed": x[:1]})("hook_embed", x)
    with pytest.raises(ValueError, match=r"needs positions from 0 to 2, got \[3\]"):
        patch.tap_from({"hook_embed": x})("hook_embed", x)
    with pytest.raises(ValueError, match=r"needs units from 0 to 15, got \[16\]"):
        Patch(names=("hook_embed",), units=(16,)).tap_from({"hook_embed": x})("hook_embed", x)


def test_networks_that_read_features_are_edited_and_patched_too():
    """Neurons of a circuit ablated as the weights behind them would be, and the donor's hidden layer in its place."""
    from tests.hand_built_parity import counter, truth_table

    snapshot = counter(n_idle=2)
    other = truth_table(n_idle=1)
    weights, bench = of(snapshot, ahead=other.weights)
    torch.testing.assert_close(edited_logits(weights, (), bench), snapshot.logits)
    found = edited_logits(weights, [AblateNeurons(neurons=(0, 4), how="zero")], bench)
    behind = weights["unembed.W_U"].clone()
    behind[[0, 4]] = 0
    expected = snapshot.activation("blocks.0.mlp.hook_post") @ behind + weights["unembed.b_U"]
    torch.testing.assert_close(found, expected)
    patch = Patch(names=("hook_unembed",), donor="ahead")
    torch.testing.assert_close(edited_logits(weights, [patch], bench), other.logits)
