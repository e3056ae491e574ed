"""How many linear pieces of the network lie around an example: neurons that switch within a small ball."""

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.networks.layers import joined, layer_norm
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1


def local_complexity(
    snapshot: Snapshot,
    *,
    n_directions: int = 25,
    absolute_radius: float = 0.005,
    relative_radius: float = 0.005,
    seed: int = 0,
) -> pd.DataFrame:
    """Density of linear regions at the input of the last MLP layer, at the answered position, around every example.

    Around each input x lie the vertices x + r v and x - r v for some orthonormal directions v; counted are the neurons
    whose pre-activation has not the same sign at all vertices. With an absolute radius the count rises when weights
    and activations shrink, as under weight decay, without a change of the function's shape: the relative radius
    (r = share of |x|) is free of that where the MLP has no biases. Compare checkpoints within one kind only.

    Args:
        n_directions: orthonormal random directions, the same at every example and checkpoint; no more than the input
            is wide.
        absolute_radius: r, in units of the MLP's input.
        relative_radius: r as a share of the norm of the example's input.
        seed: of the directions.

    Columns:
        split: "train" or "test", or "all" where the split is not known; a split without rows is left out.
        radius: "absolute" or "relative".
        mean: mean number of switching neurons, 0 .. d_mlp.
        standard_error: of that mean over the examples of the split (their spread only: the directions are fixed).
        n: examples.

    Raises:
        NotApplicable: if the run has no task, or the network has no MLP, or its activation has no kink to count.
        ValueError: if n_directions is smaller than 1, or a radius is not positive.

    References: Humayun, Balestriero, Baraniuk 2024, "Deep networks always grok and here is why", section 3 (their
    vertices lie around the network's input and pass through all layers; here they lie around the last layer's).
    """
    if snapshot.config.act_fn not in ("relu", "gelu"):
        raise NotApplicable(
            f"Local complexity counts the kinks of relu (of gelu: sign changes); {snapshot.config.act_fn!r} has none."
        )
    if min(absolute_radius, relative_radius) <= 0:
        raise ValueError(f"Local complexity needs radii > 0, got {absolute_radius} and {relative_radius}.")
    if n_directions < 1:
        raise ValueError(f"Local complexity needs n_directions of at least 1, got {n_directions}.")
    x, w_in, b_in = mlp_input(snapshot)
    noise = torch.randn(
        x.shape[1],
        min(n_directions, x.shape[1]),
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(seed),
    )
    directions = torch.linalg.qr(noise).Q.T.to(x)
    splits = _splits(snapshot)
    rows = []
    for radius, r in (
        ("absolute", torch.full_like(x[:, 0], absolute_radius)),
        ("relative", relative_radius * x.norm(dim=1)),
    ):
        counts = switching_neurons(x @ w_in + b_in, directions @ w_in, r)
        for split, mask in splits.items():
            n = int(mask.sum())
            if n:
                some = counts[mask].double() if counts.device.type != "mps" else counts[mask].float()
                error = some.std().item() / n**0.5 if n > 1 else float("nan")
                rows.append(
                    {
                        "split": split,
                        "radius": radius,
                        "mean": some.mean().item(),
                        "standard_error": error,
                        "n": n,
                    }
                )
    return pd.DataFrame(rows)


def _splits(snapshot: Snapshot) -> dict[str, Bool[Tensor, " question"]]:
    if snapshot.known_task.is_train is None:
        return {"all": torch.ones_like(snapshot.labels, dtype=torch.bool)}
    return {"train": snapshot.is_train, "test": ~snapshot.is_train}


def switching_neurons(
    pre: Float[Tensor, "example neuron"],
    slopes: Float[Tensor, "direction neuron"],
    radius: Float[Tensor, " example"],
) -> Tensor:
    """Number of neurons (example,) that change sign among pre + r slope and pre - r slope over all directions.

    A layer is linear up to its kink, so the vertices need not be visited: the signs differ where |pre| is smaller than
    r times the steepest slope.

    >>> switching_neurons(torch.tensor([[0.1, -3.0]]), torch.tensor([[1.0, 1.0]]), torch.tensor([0.5])).tolist()
    [1]
    """
    return (pre.abs() < radius[:, None] * slopes.abs().max(0).values).sum(1)


def mlp_input(snapshot: Snapshot) -> tuple[Tensor, Tensor, Tensor]:
    """Input (example, width) of the last MLP layer at the answered position, with its W_in and b_in, in float64.

    Raises:
        NotApplicable: if the run has no task or the network has no MLP.
    """
    config, weights = snapshot.config, snapshot.weights
    if not config.d_mlp:
        raise NotApplicable("This network has no MLP neurons.")
    layer = config.n_layers - 1
    block = f"blocks.{layer}"
    w_in = weights[f"{block}.mlp.W_in"].to(snapshot.double)
    b_in = weights.get(f"{block}.mlp.b_in", w_in.new_zeros(w_in.shape[1])).to(snapshot.double)
    if not config.is_mlp:
        x = snapshot.activation(f"{block}.hook_resid_mid")
        if config.normalization_type and config.norm_placement == "pre":
            x = layer_norm(x, weights, f"{block}.ln2", config)
    elif layer:
        x = snapshot.activation(f"blocks.{layer - 1}.mlp.hook_post")
    else:
        x = joined(config, snapshot.activation("hook_embed"))
    return x.to(w_in), w_in, b_in
