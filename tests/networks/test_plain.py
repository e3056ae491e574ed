"""The forward pass as a function: TransformerLens' bridge as oracle, transforms, taps, and what it does without."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp.networks import factorized, plain
from interp.networks.bridge import as_bridge
from interp.networks.config import parameter_shapes, transformer_config

# float64 and at most a few hundred terms of order 1 in each sum; a wrong mask, gather or norm is off by order 1.
close = {"atol": 1e-10, "rtol": 1e-10}
SIZES = {
    "p": 7,
    "n_ctx": 3,
    "d_vocab": 8,
    "n_layers": 2,
    "d_model": 8,
    "n_heads": 2,
    "d_mlp": 12,
    "act_fn": "relu",
}
MLP = {"n_heads": 0, "positions": "none", "mlp_bias": False}


def config(**changes):
    return transformer_config(**SIZES | changes)


def weights_of(cfg, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64) * 0.5
        for name, shape in parameter_shapes(cfg).items()
    }


def tokens_of(cfg):
    a, b = (x.reshape(-1) for x in torch.meshgrid(*[torch.arange(cfg.d_vocab)] * 2, indexing="ij"))
    return torch.stack([a, b, (a * 3 + b) % cfg.d_vocab], 1)[:, : cfg.n_ctx]


@st.composite
def transformers(draw, depths=(1, 2, 3), is_bridge=False):
    only = {"learned": 1.0} if is_bridge else {"learned": 1.0, "sinusoidal": 0.4, "none": 0.0}
    positions = draw(st.sampled_from(sorted(only)))
    return config(
        n_layers=draw(st.sampled_from(depths)),
        n_heads=draw(st.sampled_from([1, 2, 4])),
        d_mlp=draw(st.sampled_from([12] if is_bridge else [0, 12])),
        act_fn=draw(
            st.sampled_from(["relu", "gelu"] if is_bridge else ["relu", "gelu", "quadratic", "tanh"])
        ),
        attention_dir=draw(st.sampled_from(["causal", "bidirectional"])),
        attention_rate=only[positions],
        positions=positions,
        normalization_type=draw(st.sampled_from([None, "LN", "LNPre"])),
        norm_placement="pre" if is_bridge else draw(st.sampled_from(["pre", "post"])),
        attention_bias=draw(st.booleans()),
        mlp_bias=draw(st.booleans()),
        unembed_bias=draw(st.booleans()),
        tied_unembed=draw(st.booleans()),
        n_ctx=draw(st.integers(2, 3)),
    )


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(cfg=transformers(is_bridge=True), seed=st.integers(0, 99), n_pos=st.integers(1, 3))
def test_logits_equal_those_of_a_native_bridge(cfg, seed, n_pos):
    weights, tokens = weights_of(cfg, seed), tokens_of(cfg)[:, :n_pos]
    with torch.no_grad():
        want = as_bridge(cfg, weights)(tokens)
    torch.testing.assert_close(plain.forward(cfg, weights, tokens), want, **close)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(cfg=transformers(depths=(1,)), seed=st.integers(0, 99))
def test_logits_equal_those_of_the_factorized_pass(cfg, seed):
    weights, tokens = weights_of(cfg, seed), tokens_of(cfg)
    want = factorized.forward(cfg, weights, factorized.Rows.of(tokens)).logits
    torch.testing.assert_close(plain.forward(cfg, weights, tokens)[:, -1], want, **close)


@pytest.mark.parametrize("changes", [{}, {"normalization_type": "LN", "norm_placement": "post"}, MLP])
def test_a_stack_of_weights_is_each_alone(changes):
    cfg = config(**changes)
    members, tokens = [weights_of(cfg, seed) for seed in range(3)], tokens_of(cfg)
    stack = {name: torch.stack([m[name] for m in members]) for name in members[0]}
    together = torch.func.vmap(lambda w: plain.forward(cfg, w, tokens))(stack)
    for found, member in zip(together, members, strict=True):
        torch.testing.assert_close(found, plain.forward(cfg, member, tokens), **close)


# Smooth activations: across a kink of relu a difference is no derivative.
@pytest.mark.parametrize(
    "changes", [{"act_fn": "tanh"}, {"attention_rate": 0.4, "act_fn": "gelu"}, MLP | {"act_fn": "quadratic"}]
)
def test_derivatives_along_a_direction_are_differences(changes):
    cfg = config(**changes)
    weights, direction, tokens = weights_of(cfg), weights_of(cfg, 1), tokens_of(cfg)

    def at(step):
        moved = {name: w + step * direction[name] for name, w in weights.items()}
        return plain.forward(cfg, moved, tokens)

    value, slope = torch.func.jvp(lambda w: plain.forward(cfg, w, tokens), (weights,), (direction,))
    torch.testing.assert_close(value, plain.forward(cfg, weights, tokens), **close)
    # Central differences: an error of the order of the square of the step, 1e-10, beside 1e-16 / 1e-5 of rounding.
    torch.testing.assert_close(slope, (at(1e-5) - at(-1e-5)) / 2e-5, atol=1e-5, rtol=1e-5)
    jacobian = torch.func.jacrev(lambda w: plain.forward(cfg, w, tokens[:2])[:, -1])(weights)
    by_rows = sum((j * direction[name]).flatten(2).sum(-1) for name, j in jacobian.items())
    torch.testing.assert_close(by_rows, slope[:2, -1], **close)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(cfg=transformers())
def test_the_tap_sees_every_hook_once_in_order(cfg):
    seen = []

    def look(name, x):
        seen.append(name)
        return x

    plain.forward(cfg, weights_of(cfg), tokens_of(cfg), look)
    assert seen == plain.hook_names(cfg)


def test_the_tap_of_an_mlp_and_what_it_returns_goes_on():
    cfg = config(**MLP)
    weights, tokens, seen = weights_of(cfg), tokens_of(cfg), []

    def silence(name, x):
        seen.append(name)
        return torch.zeros_like(x) if name == "blocks.1.mlp.hook_post" else x

    assert not plain.forward(cfg, weights, tokens, silence).any()
    assert seen == plain.hook_names(cfg)
    assert plain.forward(cfg, weights, tokens).any()


@pytest.mark.slow
def test_deep_networks_and_mlps_train_measure_and_verify_without_transformer_lens(tmp_path):
    script = f"""
import sys
from interp.checks.of_run import verify_run
from interp.measurement.measure import measure
from interp.measurement.standard import STANDARD
from interp.training.train import train
from tests.tiny import tiny_config

for name, model in (("deep", {{"n_layers": 2}}), ("mlp", {{"n_heads": 0}})):
    run = train(tiny_config(100, model=model), {str(tmp_path)!r} + "/" + name, threads=1)
    measure(run, list(STANDARD), [100], cache=False)
    assert not verify_run(run.path, losses=2).problems
assert "transformer_lens" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
