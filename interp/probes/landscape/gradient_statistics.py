"""What the gradient of the training loss says: size, noise, agreement with test, and with the weights themselves."""

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks.answers import answer_logits
from interp.networks.config import ModelConfig, Weights
from interp.probes.landscape.loss import mean_loss, questions_of
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.task import Questions

VERSION = 1


def gradient_statistics(snapshot: Snapshot, *, batch_size: int = 16, seed: int = 0) -> pd.DataFrame:
    """Gradient of the loss (cross-entropy alone, without weight decay) on train and test rows, a row a parameter.

    With weight decay a large `weight_cosine` is forced wherever training is in balance: decay pulls along -w and the
    gradient must hold against it. It is then no evidence of naive loss minimisation; its rise before that balance and
    its fall at cleanup are. On a plateau, `decay_ratio` near weight_decay times Adam's eps says that eps has taken over
    from Adam's normalisation. Gradients are computed with the weights in float64.

    Args:
        batch_size: rows in each of the random batches from which the noise is estimated (at most half of the train
            rows); 1 is exact.
        seed: of the random batches.

    Columns:
        matrix: the parameter's name, in alphabetical order; "total" (all as one vector) in the last row.
        norm, test_norm: of the gradient on train and on test rows, nats per unit of weight.
        alignment: cosine between the two; below 0 a step down the train loss raises the test loss.
        noise_scale: trace of the covariance of the gradient over train rows / norm^2: the batch size at which noise and
            gradient are equal. Infinite where the gradient is 0 and the noise is not.
        weight_cosine: cosine between -gradient (train) and the weights, in [-1, 1] (naive loss minimisation).
        decay_ratio: -gradient.w / w.w, the rate of weight decay that this gradient holds against.
        collapsed_fraction: in the row "total" only: share of train rows whose softmax in float32 gives the largest
            logit everything (sum of exp(z - max z) is exactly 1). In float32 these rows no longer train if that logit
            is the right one.
    Cosines and ratios are NaN where a norm is 0, test columns where there are no test rows.

    Raises:
        NotApplicable: if the run has no task.
        ValueError: if batch_size is smaller than 1, or there is only one train row.

    References: McCandlish et al. 2018, "An empirical model of large-batch training", section 2.2 (noise scale);
    Prieto et al. 2025, "Grokking at the edge of numerical stability", sections 3 and 4 (softmax collapse, naive loss
    minimisation).
    """
    config = snapshot.config
    weights = {name: w.to(snapshot.double) for name, w in sorted(snapshot.weights.items())}
    questions = questions_of(snapshot, "train")
    train = gradient(config, weights, questions)
    try:
        test = gradient(config, weights, questions_of(snapshot, "test"))
    except NotApplicable:
        test = {name: torch.full_like(w, torch.nan) for name, w in weights.items()}
    size = min(batch_size, len(questions.inputs) // 2)
    noise = noise_traces(config, weights, questions, batch_size=size, seed=seed)

    rows = []
    for name in [*weights, None]:
        g, h, w = (_part(x, name) for x in (train, test, weights))
        squared = g @ g
        trace = sum(noise.values()) if name is None else noise[name]
        row = {
            "matrix": name or "total",
            "norm": squared.sqrt(),
            "test_norm": h.norm(),
            "alignment": (g @ h) / (g.norm() * h.norm()),
            "noise_scale": trace / squared,
            "weight_cosine": -(g @ w) / (g.norm() * w.norm()),
            "decay_ratio": -(g @ w) / (w @ w),
        }
        rows.append({key: x if isinstance(x, str) else float(x) for key, x in row.items()})
    with torch.no_grad():
        logits = answer_logits(config, questions)({name: w.float() for name, w in weights.items()})
    table = pd.DataFrame(rows)
    table["collapsed_fraction"] = float("nan")
    table.loc[table["matrix"] == "total", "collapsed_fraction"] = collapsed_fraction(logits)
    return table


def gradient(config: ModelConfig, weights: Weights, questions: Questions) -> Weights:
    """Gradient of the mean loss over these rows, by parameter."""
    live = {name: w.detach().requires_grad_() for name, w in weights.items()}
    mean_loss(config, questions)(live).backward()
    # A parameter that the logits do not see (a masked position's) has no gradient.
    return {name: torch.zeros_like(w) if w.grad is None else w.grad for name, w in live.items()}


def noise_traces(
    config: ModelConfig,
    weights: Weights,
    questions: Questions,
    *,
    batch_size: int,
    seed: int,
) -> dict[str, Tensor]:
    """Trace of the covariance of single rows' gradients, by parameter: mean over rows of |g_i - mean g|^2.

    The rows are dealt into batches of B without replacement; of a batch's gradient G_B the expectation over deals is
    E|G_B|^2 = |G|^2 + trace / B * (n - B) / (n - 1), which is solved for the trace. Every row's own square is in it;
    only products of rows in one batch depend on the deal. B = 1 has none and is exact.

    Raises:
        ValueError: if there are not at least two batches.
    """
    n = len(questions.inputs)
    if not 1 <= batch_size <= n // 2:
        raise ValueError(
            f"The gradient noise needs a batch_size between 1 and half of the {n} train rows, got {batch_size}."
        )
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).to(questions.labels.device)
    batches = order[: n // batch_size * batch_size].view(-1, batch_size)
    mean = {name: torch.zeros_like(w) for name, w in weights.items()}
    square = {name: torch.zeros((), dtype=w.dtype, device=w.device) for name, w in weights.items()}
    for rows in batches:
        for name, g in gradient(config, weights, questions.of(rows)).items():
            mean[name] += g / len(batches)
            square[name] += g.square().sum() / len(batches)
    if n % batch_size:  # some rows were left out of the batches
        mean = gradient(config, weights, questions)
    factor = batch_size * (n - 1) / (n - batch_size)
    return {name: factor * (square[name] - mean[name].square().sum()) for name in weights}


def collapsed_fraction(logits: Float[Tensor, "example answer"]) -> float:
    """Share of rows for which the sum of exp(z - max z) is exactly 1 in float32.

    >>> collapsed_fraction(torch.tensor([[0.0, 30.0], [0.0, 1.0]]))
    0.5
    """
    z = logits.float()
    return ((z - z.max(-1, keepdim=True).values).exp().sum(-1) == 1).double().mean().item()


def _part(weights: Weights, name: str | None) -> Float[Tensor, " parameter"]:
    return torch.cat([w.reshape(-1) for n, w in weights.items() if name in (None, n)])
