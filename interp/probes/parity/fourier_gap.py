"""How much louder the features that count are in the gradient than the others, before anything is learned."""

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks import objective
from interp.networks.answers import answer_logits
from interp.networks.layers import activation
from interp.probes.parity.effective_sparsity import rows_by_split
from interp.snapshots.feature_neurons import FeatureNeurons
from interp.snapshots.snapshot import Snapshot
from interp.tasks.task import Questions

VERSION = 1
# The loss that is minimised is the run's.
DEPENDS_ON_RUN = True

# So many features are enumerated: 16,384 rows.
ENUMERATED = 14
# Of more features so many rows are drawn.
N_DRAWN = 2**12


def fourier_gap(snapshot: Snapshot, *, n_drawn: int = N_DRAWN, seed: int = 0) -> pd.DataFrame:
    """Fourier coefficients of the first layer's slopes that the gradient sees, on the relevant features and the others.

    Against labels chi_S(x), the product of the features in S, the gradient of the correlation loss -y f(x) to weight i
    of a neuron is, up to its output weight, E[chi_S(x) x_i act'(w.x + b)]: the Fourier coefficient of the neuron's
    slope at S without i where i is in S, and at S with i where it is not. Coefficients of larger sets are smaller, so
    that the k relevant weights get the larger gradient: the gap, through which SGD finds S before a loss shows it.

    It holds while outputs are small (a hinge loss is then the correlation loss). For a ReLU without bias the slope is
    1/2 and an odd function: coefficients of even sets are 0, and with an odd number of relevant features there is no
    gap at all until biases have moved. On few rows sampling is louder than any gap: see `noise`, and the random set.

    Args:
        n_drawn: rows that stand for all rows of more than 14 features.
        seed: of those rows, and of the random set.

    Columns:
        rows: "population" (all rows there are of up to 14 features, else drawn ones) and "train" (with the labels
            shown).
        features: "relevant", or "random": as many others (some of them again where there are not as many), with their
            own product as labels, as null.
        n_rows: over which means are taken.
        is_exact: whether these are all rows that there are.
        within, outside: root mean square over neurons of the coefficients at S without i, i in S, and at S with i, i
            not in S; the mean square is that of the rows less what sampling alone adds (0 where that is more). Of train
            rows nothing is taken off: this gradient is theirs.
        noise: root mean square that sampling alone gives a coefficient that is 0; 0 where `is_exact`.
        gap: mean over neurons of the least coefficient within minus the largest outside, in absolute values: the
            paper's gamma. Of drawn rows it is biased downwards, the largest of many being the noisiest.
        positive_fraction: share of neurons whose gap is above 0.
        gradient_within, gradient_outside: root mean square over weights of the gradient of the run's own loss (of
            cross-entropy without a run) to a weight on these features and on the others.

    Raises:
        NotApplicable: if the network reads no features, or the task does not say which count.

    References: Barak et al. 2022, "Hidden progress in deep learning", section 4, definition 1 (Fourier gap: for every
    subset S- of S with one element less and superset S+ with one more, |f^(S-)| >= |f^(S+)| + gamma; a majority has one
    of order n^(-(k-1)/2)).
    """
    view = snapshot.once(FeatureNeurons)
    task = snapshot.known_task
    n, k = view.n_features, len(view.relevant)
    train = rows_by_split(snapshot)["train"]
    shown = task.questions.to(snapshot.device)
    populations = {"population": _population(snapshot, n, n_drawn, seed), "train": shown.inputs[train]}
    generator = torch.Generator().manual_seed(seed)
    others = [i for i in range(n) if i not in view.relevant]
    drawn = [others[i] for i in torch.randperm(len(others), generator=generator)[:k].tolist()]
    sets = {"relevant": view.relevant, "random": drawn + view.relevant[: k - len(drawn)]}
    found = []
    for name, inputs in populations.items():
        # In the precision of the network: signs and the slopes of a ReLU, 0 and 1, add up exactly in float32 too.
        x, dtype = inputs.to(snapshot.weights["blocks.0.mlp.W_in"]), snapshot.double
        slope = _slopes(view.act_fn, x @ view.incoming.to(x) + view.bias.to(x))
        is_exact = name == "population" and n <= ENUMERATED
        for which, features in sets.items():
            shows = name == "train" and which == "relevant"
            # Answer 1 stands for a product of -1.
            signs = 1.0 - 2.0 * shown.labels[train].to(x) if shows else x[:, features].prod(1)
            labels = shown.labels[train] if shows else (signs < 0).long()
            within = view.mask(features)
            coefficients = _coefficients(x * signs[:, None], slope, is_centred=name == "population").to(dtype)
            varies = slope - slope.mean(0) if name == "population" else slope
            noise = 0.0 if is_exact else varies.square().mean().to(dtype).div(len(x)).sqrt().item()
            gradient = _gradient(snapshot, inputs, labels)
            gap = coefficients[within].abs().amin(0) - coefficients[~within].abs().amax(0) if k < n else None
            subtracted = 0.0 if name == "train" else noise
            found.append(
                {
                    "rows": name,
                    "features": which,
                    "n_rows": len(x),
                    "is_exact": is_exact,
                    "within": _root(coefficients[within], subtracted),
                    "outside": _root(coefficients[~within], subtracted),
                    "noise": noise,
                    "gap": float("nan") if gap is None else gap.mean().item(),
                    "positive_fraction": float("nan") if gap is None else (gap > 0).double().mean().item(),
                    "gradient_within": _root(gradient[within]),
                    "gradient_outside": _root(gradient[~within]),
                }
            )
    return pd.DataFrame(found)


def all_signs(n: int) -> Float[Tensor, "row feature"]:
    """Every row of n signs.

    >>> all_signs(2).tolist()
    [[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]]
    """
    numbers = torch.arange(2**n)
    return 1.0 - 2.0 * torch.stack([numbers >> i & 1 for i in range(n)], 1).float()


def _population(snapshot: Snapshot, n: int, n_drawn: int, seed: int) -> Float[Tensor, "row feature"]:
    if n <= ENUMERATED:
        return all_signs(n).to(snapshot.device)
    bits = torch.randint(0, 2, (n_drawn, n), generator=torch.Generator().manual_seed(seed))
    return (1.0 - 2.0 * bits).float().to(snapshot.device)


def _coefficients(
    products: Float[Tensor, "row feature"], slope: Float[Tensor, "row neuron"], *, is_centred: bool
) -> Float[Tensor, "feature neuron"]:
    """Means of product and slope; centred, those of the slope's deviation from its mean.

    Its mean adds nothing at any set but the empty one (a lone feature that counts), and on drawn rows it would add the
    same noise to all neurons, which no number of them averages away.
    """
    means = products.T @ slope / len(products)
    if not is_centred:
        return means
    shared = products.mean(0)
    is_empty = (products == 1).all(0)
    return means - torch.where(is_empty, 0.0, shared)[:, None] * slope.mean(0)


def _slopes(act_fn: str, pre: Float[Tensor, "row neuron"]) -> Float[Tensor, "row neuron"]:
    """The derivative of the activation function; of a ReLU at 0 it is 0, as in training."""
    live = pre.detach().requires_grad_()
    return torch.autograd.grad(activation(act_fn, live).sum(), live)[0]


def _gradient(
    snapshot: Snapshot, inputs: Float[Tensor, "row feature"], labels: Int[Tensor, " row"]
) -> Float[Tensor, "feature neuron"]:
    """Of the loss on these rows to the first layer's weights."""
    run = snapshot.run
    optimizer = None if run is None else run.config.optimizer
    kind = "cross-entropy" if optimizer is None else optimizer.loss
    rows = torch.arange(len(inputs), device=inputs.device)
    questions = Questions(inputs, rows, torch.full_like(rows, inputs.shape[1] - 1), labels)
    weights = {name: w.detach() for name, w in snapshot.weights.items()}
    live = weights["blocks.0.mlp.W_in"].clone().requires_grad_()
    logits = answer_logits(snapshot.config, questions)(weights | {"blocks.0.mlp.W_in": live})
    loss = objective.loss(logits, labels, snapshot.double, kind)
    return torch.autograd.grad(loss, live)[0].to(snapshot.double)


def _root(x: Tensor, noise: float = 0.0) -> float:
    """Root mean square, less the mean square of the noise; NaN of nothing."""
    return (x.square().mean() - noise**2).clamp(min=0).sqrt().item() if x.numel() else float("nan")
