"""TransformerLens' own tools on our models give what they give on its bridge with the same weights."""

import itertools
import re
from pathlib import Path

import pytest
import torch
from transformer_lens import ActivationCache, patching

from interp.networks.config import initial_weights
from interp.networks.hooked import build_model
from tests.networks.test_hooked import all_tokens, close, config, network
from tests.thinned import of_several

PATCHES = sorted(name for name in vars(patching) if name.startswith("get_act_patch_"))
# They fork the input of every head into three, which only the bridge can.
DIRECT_PATHS = {"get_act_patch_direct_path", "get_act_patch_direct_path_all_sources"}


def language_config(**changes):
    """As many logits as tokens, so that the next token has a loss."""
    return config(d_vocab_out=8, **changes)


def both(**changes):
    cfg = language_config(n_layers=2, attention_bias=True, unembed_bias=True, **changes)
    model, _ = network(cfg)
    # The patching store of TransformerLens is float32.
    return model, model.to_bridge(), all_tokens(cfg)[:6]


def metric(logits):
    return logits[:, -1, 2].mean() - logits[:, -1, 1].mean()


@pytest.mark.parametrize(
    ("name", "normalization_type"),
    of_several(itertools.product(sorted(set(PATCHES) - DIRECT_PATHS), [None, "LN"]), 3),
)
def test_every_activation_patch_gives_what_it_gives_on_the_bridge(name, normalization_type, capfd):
    model, bridge, clean = both(normalization_type=normalization_type)
    corrupted = (clean + 1) % 8
    found = []
    with torch.no_grad():
        for patched in (model, bridge):
            _, cache = patched.run_with_cache(clean)
            found.append(getattr(patching, name)(patched, corrupted, cache, metric))
    torch.testing.assert_close(*found)
    assert found[0].std() > 1e-4


def test_direct_paths_are_there_for_neither(capfd):
    # As docs/transformer_lens.md says: no network of boot_native has the fork that they patch.
    model, bridge, clean = both()
    assert set(PATCHES) > DIRECT_PATHS
    with torch.no_grad():
        caches = [bridge.run_with_cache((clean + shift) % 8)[1] for shift in (0, 1)]
        with pytest.raises(NotImplementedError, match="use_split_qkv_input"):
            patching.get_act_patch_direct_path(bridge, (clean + 1) % 8, *caches, metric, 0, 1)
        with pytest.raises(AttributeError, match="use_split_qkv_input"):
            patching.get_act_patch_direct_path(model, (clean + 1) % 8, *caches, metric, 0, 1)


CALLS = {
    "shorthand": lambda cache: cache["pattern", 0],
    "last layer": lambda cache: cache["resid_post", -1],
    "decompose_resid": lambda cache: cache.decompose_resid(),
    "decompose_resid of the MLP's input": lambda cache: cache.decompose_resid(
        1, mlp_input=True, apply_ln=True
    ),
    "accumulated_resid": lambda cache: cache.accumulated_resid(incl_mid=True),
    "accumulated_resid, normalised": lambda cache: cache.accumulated_resid(apply_ln=True, pos_slice=-1),
    "stack_head_results": lambda cache: cache.stack_head_results(incl_remainder=True),
    "stack_neuron_results": lambda cache: cache.stack_neuron_results(2, apply_ln=True),
    "get_neuron_results": lambda cache: cache.get_neuron_results(1),
    "get_full_resid_decomposition": lambda cache: cache.get_full_resid_decomposition(apply_ln=True),
    "not the neurons": lambda cache: cache.get_full_resid_decomposition(expand_neurons=False),
    "logit_attrs": lambda cache: cache.logit_attrs(
        cache.decompose_resid(), torch.arange(6), torch.arange(1, 7)
    ),
    "logit_attrs of one answer": lambda cache: cache.logit_attrs(cache.stack_head_results(), 3),
    "logit_lens": lambda cache: cache.logit_lens(return_type="logits").readout.values,
}


@pytest.mark.parametrize("normalization_type", [None, "LN", "LNPre"])
@pytest.mark.parametrize("call", CALLS)
def test_the_cache_answers_as_that_of_the_bridge(call, normalization_type):
    model, bridge, tokens = both(normalization_type=normalization_type)
    with torch.no_grad():
        caches = [one.run_with_cache(tokens)[1] for one in (model, bridge)]
        ours, theirs = (CALLS[call](cache) for cache in caches)
    assert isinstance(caches[0], ActivationCache)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_what_is_returned_is_chosen_as_in_transformer_lens():
    model, bridge, tokens = both()
    with torch.no_grad():
        for return_type in ("logits", "loss"):
            torch.testing.assert_close(
                model(tokens, return_type=return_type), bridge(tokens, return_type=return_type), **close
            )
        ours, theirs = (one(tokens, return_type="both") for one in (model, bridge))
        torch.testing.assert_close(tuple(ours), tuple(theirs), **close)
        assert ours.loss is ours[1]
        assert model(tokens, return_type=None) is None
        torch.testing.assert_close(
            model(tokens, return_type="loss", loss_per_token=True),
            bridge(tokens, return_type="loss", loss_per_token=True),
            **close,
        )
        # Only some tokens count.
        mask = torch.tensor([[1, 1, 1], [1, 1, 0]] * 3)
        torch.testing.assert_close(
            model.loss_fn(model(tokens), tokens, mask), bridge.loss_fn(bridge(tokens), tokens, mask), **close
        )
        loss, cache = model.run_with_cache(tokens, return_type="loss", return_cache_object=False)
    assert loss.ndim == 0 and type(cache) is dict
    _, whole = model.run_with_cache(tokens[:1], remove_batch_dim=True)
    assert whole["resid_pre", 0].shape == (3, 8)
    assert whole.decompose_resid().shape == (6, 3, 8)


def test_gradients_are_cached_of_the_loss():
    model, _, tokens = both()
    _, cache = model.run_with_cache(tokens, return_type="loss", incl_bwd=True)
    assert cache["blocks.0.hook_resid_pre_grad"].abs().sum() > 0


@pytest.mark.parametrize("normalization_type", [None, "LN"])
def test_a_pass_stops_before_a_layer(normalization_type):
    model, bridge, tokens = both(normalization_type=normalization_type)
    with torch.no_grad():
        for layer in (0, 1, -1):
            theirs = bridge.run_with_hooks(tokens, stop_at_layer=layer)
            torch.testing.assert_close(model(tokens, stop_at_layer=layer), theirs, **close)
        stream, cache = model.run_with_cache(tokens, stop_at_layer=2)
        torch.testing.assert_close(stream, model.run_with_cache(tokens)[1]["resid_post", 1], **close)
        assert "hook_unembed" not in cache and "blocks.1.hook_resid_post" in cache
        assert "blocks.1.hook_resid_pre" not in model.run_with_cache(tokens, stop_at_layer=1)[1]


def test_factored_circuits_are_those_of_the_bridge():
    model, bridge, _ = both()
    for name in ("OV", "QK"):
        torch.testing.assert_close(getattr(model, name).AB, getattr(bridge, name).AB, **close)


def test_the_model_of_a_checkpoint_is_ready_for_patching(tiny_run, capfd):
    model = tiny_run.model(300)
    assert not model.training and not model.to_bridge().training
    assert (model.cfg.device, model.cfg.n_key_value_heads, model.cfg.attn_only) == (
        torch.device("cpu"),
        None,
        False,
    )
    tokens = tiny_run.task.inputs
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens)
        result = patching.get_act_patch_resid_pre(model, tokens.flip(0), cache, metric)
    assert result.shape == (1, 3)


def test_a_norm_can_be_called_and_its_scale_edited():
    cfg = config(normalization_type="LN")
    model, _ = network(cfg)
    tokens = all_tokens(cfg)
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens)
        torch.testing.assert_close(
            model.ln_final(cache["resid_post", 0]), cache["ln_final.hook_normalized"], **close
        )
        stream = cache["resid_post", 0]
        scale = (stream - stream.mean(-1, keepdim=True)).square().mean(-1, keepdim=True).add(1e-5).sqrt()
        torch.testing.assert_close(cache["ln_final.hook_scale"], scale, **close)
        halved = model.run_with_hooks(tokens, fwd_hooks=[("ln_final.hook_scale", lambda x, hook: 2 * x)])
    part = model.ln_final.b @ model.W_U
    torch.testing.assert_close(halved - part, (logits - part) / 2, **close)


def test_errors(annotations_off):
    cfg = config()
    model, tokens = build_model(cfg, initial_weights(cfg, 0)), all_tokens(cfg)
    with pytest.raises(
        ValueError, match=r"needs a logit for every token, .* 7 logits for 8 tokens\. The loss of its"
    ):
        model(tokens, return_type="loss")
    mlp = build_model(config(n_heads=0))
    with pytest.raises(ValueError, match="7 logits for 8 tokens at one position"):
        mlp(tokens, return_type="both")
    with pytest.raises(ValueError, match="stop_at_layer=0: an attention-free MLP has no residual stream"):
        mlp(tokens, stop_at_layer=0)
    for layer in (2, -2):
        with pytest.raises(ValueError, match=rf"stop_at_layer={layer}: there are 1\."):
            model(tokens, stop_at_layer=layer)
    with annotations_off(), pytest.raises(ValueError, match="return_type to be .*, got 'logit'"):
        model(tokens, return_type="logit")


def test_the_page_about_it_runs(monkeypatch, capfd):
    root = Path(__file__).parents[2]
    if not (root / "checkpoints" / "mainline" / "run.json").exists():
        pytest.skip("checkpoints/mainline is not here")
    page = (root / "docs" / "transformer_lens.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    monkeypatch.chdir(root)
    names: dict = {}
    with torch.no_grad():
        exec(code.replace("patching.get", "found = patching.get"), names)
    assert names["found"].shape == (1, 3, 4)
    assert names["cache"]["pattern", 0].shape == (200, 4, 3, 3)
    assert {name for name in PATCHES if name in page} <= DIRECT_PATHS | {"get_act_patch_attn_head_out_by_pos"}
