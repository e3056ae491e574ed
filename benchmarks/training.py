"""One training step and one forward pass over all pairs, against the same through TransformerBridge.boot_native.

Same process, threads, weights, rows, float64 loss and fused AdamW. The floor is the matrix products of the MLP and the
unembedding alone, forward and backward: what no way of computing this network can leave out.

    python benchmarks/training.py [--threads 2] [--repeats 20] [--json FILE]
"""

import sys
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from timing import Row, arguments, median_seconds, report

from interp.networks.config import Weights, initial_weights
from interp.networks.hooked import build_model
from interp.networks.network import DescribedNetwork
from interp.runs.presets import mainline, variation
from interp.runs.run import open_run
from interp.snapshots.snapshot import Snapshot
from interp.training.data import Data
from interp.training.optimizer import Optimizer
from interp.training.session import deterministic


def main() -> None:
    options = arguments(__doc__)
    recipe = mainline(20)
    if options.tiny:
        recipe = variation(recipe, task={"p": 11}, model={"d_model": 16, "d_mlp": 32})
    task = recipe.task.task()
    weights = initial_weights(recipe.model, 0)
    train_tokens, train_labels = task.tokens[task.split], task.labels[task.split]

    # As in interp.training: warm-up is over at step 10.
    live = {name: w.clone().requires_grad_() for name, w in weights.items()}
    optimizer, data = Optimizer(recipe.optimizer, live, None), Data(task, recipe, "cpu")

    def our_step() -> torch.Tensor:
        logits_of, labels = data.batch(10)
        loss = data.loss(logits_of(live), labels)
        loss.backward()
        optimizer.step(10)
        return loss.detach()

    bridge = build_model(recipe.model, weights).to_bridge()
    o = recipe.optimizer
    bridge_optimizer = torch.optim.AdamW(
        bridge.parameters(), lr=o.lr, betas=o.betas, eps=o.eps, weight_decay=o.weight_decay, fused=True
    )

    def bridge_step() -> torch.Tensor:
        logits = bridge(train_tokens)[:, -1].to(torch.float64)
        loss = torch.nn.functional.cross_entropy(logits, train_labels)
        loss.backward()
        bridge_optimizer.step()
        bridge_optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    c = recipe.model
    shapes = [
        (len(train_labels), c.d_model),
        (c.d_model, c.d_mlp),
        (c.d_mlp, c.d_model),
        (c.d_model, c.d_vocab_out),
    ]
    factors = [torch.randn(shape, requires_grad=True) for shape in shapes]
    direction = torch.randn(len(train_labels), c.d_vocab_out)

    def floor() -> None:
        x, w_in, w_out, w_u = factors
        torch.autograd.grad(x @ w_in @ w_out @ w_u, factors, direction)

    def our_logits() -> torch.Tensor:
        return Snapshot(0, weights, DescribedNetwork(c), task).logits

    def bridge_logits() -> torch.Tensor:
        with torch.no_grad():
            return inference_bridge.run_with_cache(task.tokens)[0][:, -1]

    inference_bridge = build_model(c, weights).to_bridge()
    # The contenders compute the same: first losses and logits agree to float32 rounding.
    torch.testing.assert_close(our_logits(), bridge_logits(), atol=1e-4, rtol=0)
    with deterministic("cpu", options.threads):
        torch.testing.assert_close(our_step(), bridge_step(), atol=1e-5, rtol=0)
        step = median_seconds({"ours": our_step, "bridge": bridge_step, "floor": floor}, options.repeats)
        logits = median_seconds({"ours": our_logits, "bridge": bridge_logits}, options.repeats)
        grokked = [] if options.tiny else after_grokking(options.repeats)
    report(
        [
            ("training step", step["ours"] * 1e3, "ms", ""),
            ("training step through the bridge", step["bridge"] * 1e3, "ms", ""),
            ("matrix products of MLP and unembedding", step["floor"] * 1e3, "ms", ""),
            ("bridge / ours", step["bridge"] / step["ours"], "x", "at least 4, aim for 6"),
            ("ours / matrix products", step["ours"] / step["floor"], "x", "at most 1.6"),
            *grokked,
            ("logits of all pairs", logits["ours"] * 1e3, "ms", ""),
            ("logits of all pairs, run_with_cache on the bridge", logits["bridge"] * 1e3, "ms", ""),
            ("bridge / ours", logits["bridge"] / logits["ours"], "x", "at least 5"),
        ],
        options,
    )


def after_grokking(repeats: int) -> list[Row]:
    """A step of the bundled run at its checkpoint 7500, as it is trained and with its subnormal gradients."""
    run = open_run(Path(__file__).parent.parent / "checkpoints" / "mainline")
    recipe = run.config.recipe()
    live = {name: w.clone().requires_grad_() for name, w in run.step_weights(7500).items()}
    optimizer, data = Optimizer(recipe.optimizer, live, None), Data(run.task, recipe, "cpu")

    def step(logits_of: Callable[[Weights], torch.Tensor]) -> None:
        data.loss(logits_of(live), data.train.labels).backward()
        optimizer.step(7500)

    trained, _ = data.batch(7500)
    taken = median_seconds({"ours": lambda: step(trained), "all": lambda: step(data.train_logits)}, repeats)
    return [
        ("training step after grokking", taken["ours"] * 1e3, "ms", ""),
        ("with subnormal gradients / without", taken["all"] / taken["ours"], "x", ""),
    ]


if __name__ == "__main__":
    main()
