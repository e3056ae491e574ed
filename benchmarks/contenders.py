"""Other ways to train the same network, as strong as they were found: no dependency, used where they are installed.

Each takes a recipe and gives a function that makes one step (forward, float64 cross-entropy, backward, AdamW) of one
run, or of `n_runs` of them, or None where its package is not there.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import torch

from interp.networks.config import initial_weights
from interp.networks.hooked import build_model
from interp.runs.config import Recipe

Step = Callable[[], Any]


def bridge_step(recipe: Recipe) -> Step:
    """TransformerLens' bridge with the same weights, rows, loss and optimizer."""
    task, o = recipe.task.task(), recipe.optimizer
    tokens, labels = task.tokens[task.split], task.labels[task.split]
    bridge = build_model(recipe.model, initial_weights(recipe.model, recipe.seed)).to_bridge()
    optimizer = torch.optim.AdamW(
        bridge.parameters(), lr=o.lr, betas=o.betas, eps=o.eps, weight_decay=o.weight_decay, fused=True
    )

    def step() -> float:
        loss = torch.nn.functional.cross_entropy(bridge(tokens)[:, -1].double(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def _plain_loss(recipe: Recipe) -> tuple[dict[str, torch.Tensor], Callable[[dict], torch.Tensor]]:
    """A well-written transformer in plain torch: all positions' keys and values, one query."""
    task, c = recipe.task.task(), recipe.model
    tokens, labels = task.tokens[task.split], task.labels[task.split]
    weights = {name: w.requires_grad_() for name, w in initial_weights(c, recipe.seed).items()}

    def loss(w: dict[str, torch.Tensor]) -> torch.Tensor:
        x = w["embed.W_E"][tokens] + w["pos_embed.W_pos"]
        q = torch.einsum("bm,hme->bhe", x[:, -1], w["blocks.0.attn.W_Q"])
        k, v = (torch.einsum("bpm,hme->bphe", x, w[f"blocks.0.attn.W_{name}"]) for name in "KV")
        pattern = (torch.einsum("bhe,bphe->bhp", q, k) / c.d_head**0.5).softmax(-1)
        z = torch.einsum("bhp,bphe->bhe", pattern, v)
        x = x[:, -1] + torch.einsum("bhe,hem->bm", z, w["blocks.0.attn.W_O"])
        neurons = torch.relu(torch.addmm(w["blocks.0.mlp.b_in"], x, w["blocks.0.mlp.W_in"]))
        x = x + torch.addmm(w["blocks.0.mlp.b_out"], neurons, w["blocks.0.mlp.W_out"])
        return torch.nn.functional.cross_entropy((x @ w["unembed.W_U"]).double(), labels)

    return weights, loss


def plain_torch(recipe: Recipe) -> Step:
    return _torch_step(recipe, lambda loss: loss)


def compiled_torch(recipe: Recipe) -> Step | None:
    """The same through torch.compile, which needs a compiler of C++."""
    try:
        step = _torch_step(recipe, torch.compile)
        step()
    except Exception:  # what it raises depends on what is missing
        return None
    return step


def _torch_step(recipe: Recipe, wrapped: Callable) -> Step:
    weights, loss_of = _plain_loss(recipe)
    o, loss_of = recipe.optimizer, wrapped(loss_of)
    optimizer = torch.optim.AdamW(
        weights.values(), lr=o.lr, betas=o.betas, eps=o.eps, weight_decay=o.weight_decay, fused=True
    )

    def step() -> float:
        loss = loss_of(weights)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def jax_alone(recipe: Recipe) -> Step | None:
    return _jax_step(recipe, 1)


def jax_stacked(recipe: Recipe) -> Step | None:
    return _jax_step(recipe, 16)


def _jax_step(recipe: Recipe, n_runs: int) -> Step | None:
    """JAX with jit, and vmap over the runs; threads are XLA's own."""
    if importlib.util.find_spec("jax") is None:
        return None
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    task, c, o = recipe.task.task(), recipe.model, recipe.optimizer
    tokens, labels = jnp.array(task.tokens[task.split].numpy()), jnp.array(task.labels[task.split].numpy())
    weights = [
        {name: jnp.array(w.numpy()) for name, w in initial_weights(c, seed).items()} for seed in range(n_runs)
    ]

    def loss(w: dict) -> Any:
        x = w["embed.W_E"][tokens] + w["pos_embed.W_pos"]
        q = jnp.einsum("bm,hme->bhe", x[:, -1], w["blocks.0.attn.W_Q"])
        k, v = (jnp.einsum("bpm,hme->bphe", x, w[f"blocks.0.attn.W_{name}"]) for name in "KV")
        pattern = jax.nn.softmax(jnp.einsum("bhe,bphe->bhp", q, k) / c.d_head**0.5, axis=-1)
        z = jnp.einsum("bhp,bphe->bhe", pattern, v)
        x = x[:, -1] + jnp.einsum("bhe,hem->bm", z, w["blocks.0.attn.W_O"])
        x = x + jax.nn.relu(x @ w["blocks.0.mlp.W_in"] + w["blocks.0.mlp.b_in"]) @ w["blocks.0.mlp.W_out"]
        logits = ((x + w["blocks.0.mlp.b_out"]) @ w["unembed.W_U"]).astype(jnp.float64)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()

    def update(w: dict, m: dict, v: dict, t: Any) -> tuple:
        value, g = jax.value_and_grad(loss)(w)
        b1, b2 = o.betas
        m = jax.tree.map(lambda a, b: b1 * a + (1 - b1) * b, m, g)
        v = jax.tree.map(lambda a, b: b2 * a + (1 - b2) * b * b, v, g)

        def moved(x: Any, a: Any, b: Any) -> Any:
            a, b = a / (1 - b1**t), b / (1 - b2**t)
            return (x * (1 - o.lr * o.weight_decay) - o.lr * a / (jnp.sqrt(b) + o.eps)).astype(jnp.float32)

        return value, jax.tree.map(moved, w, m, v), m, v

    stack = weights[0] if n_runs == 1 else jax.tree.map(lambda *x: jnp.stack(x), *weights)
    zeros = jax.tree.map(jnp.zeros_like, stack)
    run = jax.jit(update if n_runs == 1 else jax.vmap(update, in_axes=(0, 0, 0, None)))
    state = {"w": stack, "m": zeros, "v": zeros, "t": 0.0}

    def step() -> Any:
        state["t"] += 1.0
        value, state["w"], state["m"], state["v"] = run(state["w"], state["m"], state["v"], state["t"])
        return value.block_until_ready()

    step.n_runs = n_runs  # type: ignore[attr-defined]
    return step


CONTENDERS: dict[str, Callable[[Recipe], Step | None]] = {
    "the bridge": bridge_step,
    "plain torch": plain_torch,
    "torch.compile": compiled_torch,
    "JAX with jit": jax_alone,
    "JAX with jit(vmap) of 16": jax_stacked,
}
