"""Clock or pizza: the measures of the whole network."""

import math

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.mathematics import clock_pizza, fourier
from interp.networks.answers import answer_logits
from interp.networks.layers import with_embedding
from interp.snapshots.residues import Residues, table_rows
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.task import Task

VERSION = 2

NAN = float("nan")
CHUNK = (
    1024  # triples a backward pass: without "=" every triple has its own query, and scores grow as its square
)


def algorithm(snapshot: Snapshot, *, n_triples: int | None = 1024, seed: int = 0) -> pd.DataFrame:
    """Which family of algorithms the network's logits and gradients look like, in one row.

    No single number decides. Gradient symmetricity is 1 in an untrained network and wherever attention is uniform:
    below 0.98 it speaks against a pizza, near 1 it speaks for nothing. Distance irrelevance says where the right
    answer's logit varies, not how much: read it beside the coefficient of variation. A pizza with accompanying
    frequencies has a clock fraction of 0.99; `algorithm_by_frequency` tells it from a clock. A memorizer of a share f
    of all pairs has a clock fraction near f, spread over all frequencies. `interp.theories.clock_or_pizza` puts these
    cautions into rules.

    Args:
        n_triples: how many triples (a, b, c) the gradient symmetricity averages over, drawn uniformly with replacement
            from the task's pairs and all answers; None for all p^3 of them, in p^3 / 1024 times the time.
        seed: of the draw; the same triples at every checkpoint.

    Columns:
        gradient_symmetricity: mean cosine, in [-1, 1], of the gradients of logit c with respect to the embedding
            vectors of a and of b; triples with a zero gradient have none and are left out.
        gradient_symmetricity_se: its standard error from the draw; 0 over all triples.
        n_triples: triples with a cosine.
        distance_irrelevance, distance_irrelevance_runner_up, distance_irrelevance_margin: of the right answer's
            logit, of the largest wrong one, and of the first minus the second.
        coefficient_of_variation: of the right answer's logit, standard deviation over size of the mean.
        circularity: mean over the first four principal components of the embedding (fewer if its rank is less) of
            the largest share of one frequency; 1 if each component is one sinusoid.
        clock_fraction, pizza_fraction: share of the logits, centred for each pair, that the formula explains with all
            frequencies together.
        test_accuracy: on the rows that are not train, or on all rows where the split is lost.
        undefined: why a value is NaN; empty if none is.

    Raises:
        NotApplicable: if the task has no algebra.
        ValueError: if n_triples is less than 2.

    References: Zhong et al. 2023, "The Clock and the Pizza", section 4 and appendix (circularity). Their released
        tables take the runner-up where their text takes the right answer.
    """
    residues = snapshot.once(Residues)
    n = residues.n
    differences = torch.arange(n)
    examples = snapshot.of_task(examples_by_difference, tuple(range(n)))
    # Small from here on, and float64 is not everywhere.
    logits = residues.logits.index_select(0, examples.flatten()).view(n, n, -1).cpu()
    logits = clock_pizza.by_distance(logits, differences, residues.answer_order.cpu()).double()
    right, runner_up = logits[..., 0], logits[..., 1:].amax(-1)
    scale = largest_size(logits)
    targets = {"": right, "_runner_up": runner_up, "_margin": right - runner_up}
    centred = logits - logits.mean(-1, keepdim=True)
    frequencies = range(1, fourier.n_frequencies(n) + 1)

    row: dict[str, float | str] = {}
    missing = None if "embed.W_E" in snapshot.weights else "the embedding is one-hot"
    row |= _symmetricity_columns(snapshot, n_triples, seed, skip=bool(missing))
    for name, values in targets.items():
        row[f"distance_irrelevance{name}"] = clock_pizza.distance_irrelevance(values, scale)
    row["coefficient_of_variation"] = clock_pizza.coefficient_of_variation(right)
    row["circularity"] = NAN if missing else circularity(residues.embedding.cpu())
    for formula in ("clock", "pizza"):
        row[f"{formula}_fraction"] = clock_pizza.fraction_explained(
            centred, differences, frequencies, formula
        )
    row["test_accuracy"] = _test_accuracy(snapshot)
    reasons = {
        "gradient_symmetricity": missing or "every gradient is zero",
        "distance_irrelevance": "the right answer's logit is the same for all pairs",
        "distance_irrelevance_runner_up": "the largest wrong logit is the same for all pairs",
        "distance_irrelevance_margin": "the margin is the same for all pairs",
        "coefficient_of_variation": "the right answer's logit is zero",
        "circularity": missing or "the embedding does not vary",
        "clock_fraction": "the logits are the same for all answers",
    }
    row["undefined"] = "; ".join(f"{name}: {why}" for name, why in reasons.items() if row[name] != row[name])
    return pd.DataFrame([row])


def examples_by_difference(
    task: Task, device: torch.device, differences: tuple[int, ...]
) -> Int[Tensor, "difference first"]:
    """The task's row of each pair (x, x - d) of group elements."""
    rows, _ = table_rows(task, device)
    n = math.isqrt(len(rows))
    x, y = clock_pizza.cells(n, torch.tensor(differences, device=device))
    return rows.view(n, n)[x, y]


def largest_size(logits: Tensor) -> Tensor:
    """The largest absolute value, on the CPU."""
    return torch.stack(logits.aminmax()).abs().max().cpu()


def _symmetricity_columns(
    snapshot: Snapshot, n_triples: int | None, seed: int, skip: bool
) -> dict[str, float | str]:
    mean, error, used = (
        (NAN, NAN, 0) if skip else gradient_symmetricity(snapshot, n_triples=n_triples, seed=seed)
    )
    return {"gradient_symmetricity": mean, "gradient_symmetricity_se": error, "n_triples": used}


def gradient_symmetricity(
    snapshot: Snapshot, *, n_triples: int | None, seed: int
) -> tuple[float, float, int]:
    """Mean cosine over triples, its standard error, and over how many; see `algorithm`."""
    if n_triples is not None and n_triples < 2:
        raise ValueError(f"Gradient symmetricity needs n_triples of at least 2, got {n_triples}.")
    task = snapshot.known_task
    n_answers = task.config.n_answers
    total = task.n_examples * n_answers
    if n_triples is None or n_triples >= total:
        triples, is_sample = torch.arange(total), False
    else:
        generator = torch.Generator().manual_seed(seed)  # on the CPU: the same triples on every device
        triples, is_sample = torch.randint(total, (n_triples,), generator=generator), True
    cosines = torch.cat(
        [gradient_cosines(snapshot, part // n_answers, part % n_answers) for part in triples.split(CHUNK)]
    )
    cosines = cosines[cosines.isfinite()]
    if len(cosines) == 0:
        return NAN, NAN, 0
    error = float(cosines.std()) / len(cosines) ** 0.5 if is_sample else 0.0
    return float(cosines.mean()), error, len(cosines)


def gradient_cosines(
    snapshot: Snapshot, examples: Int[Tensor, " triple"], answers: Int[Tensor, " triple"]
) -> Float[Tensor, " triple"]:
    """Cosine of the gradients of one logit with respect to the embedding vectors of the first and second operand.

    The vectors are those looked up, before positions are added. NaN where a gradient is zero.

    Args:
        examples, answers: row of the task and residue c of each triple.

    Raises:
        NotApplicable: if the embedding is one-hot.
    """
    if "embed.W_E" not in snapshot.weights:
        raise NotApplicable("This network's embedding is one-hot: there are no embedding vectors to move.")
    n = len(examples)
    tokens = snapshot.known_task.tokens[examples].to(snapshot.device)
    W_E = snapshot.weights["embed.W_E"]
    # Every triple gets two tokens of its own. No two triples share one, so that a single backward pass of the summed
    # logits gives the gradients of each.
    own = W_E[tokens[:, :2].T.reshape(-1)].detach().requires_grad_()
    renamed = torch.cat([torch.arange(2 * n, device=W_E.device).view(2, n).T, tokens[:, 2:] + 2 * n], 1)
    config, weights = with_embedding(snapshot.config, snapshot.weights, torch.cat([own, W_E]))
    with torch.enable_grad():
        logits = answer_logits(config, renamed)(weights)
        chosen = logits.gather(1, answers[:, None].to(logits.device)).sum()
    (gradient,) = torch.autograd.grad(chosen, own)
    first, second = gradient.cpu().double().view(2, n, -1)
    return (first * second).sum(1) / (first.norm(dim=1) * second.norm(dim=1))


def circularity(embedding: Float[Tensor, "n d_model"]) -> float:
    """Mean over the first four principal components of the largest share of one frequency.

    Components of equal variance are only defined up to rotation: two circles of exactly the same size mix, and count
    less than circles of different size. NaN for an embedding without variance.

    References: Zhong et al. 2023, appendix.
    """
    centred = embedding.double() - embedding.double().mean(0)
    variance, components = torch.linalg.eigh(centred @ centred.T)
    n_components = min(4, int((variance > 1e-10 * variance[-1]).sum()))
    if n_components == 0:
        return NAN
    shares = fourier.power(components[:, -n_components:])[1:]
    return float(shares.amax(0).mean())


def _test_accuracy(snapshot: Snapshot) -> float:
    task = snapshot.known_task
    is_correct = snapshot.answers.cpu() == task.true_labels
    rows = slice(None) if task.is_train is None else ~task.is_train
    return float(is_correct[rows].double().mean())
