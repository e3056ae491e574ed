"""The local learning coefficient of a checkpoint, by Langevin sampling around it, with what says if to trust it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.probes.landscape.loss import as_vector, as_weights, mean_loss, questions_of
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.task import Questions

VERSION = 1

Losses = Callable[[Tensor], Tensor]  # (chain, parameter) -> (chain)


def learning_coefficient(
    snapshot: Snapshot,
    *,
    nbeta: float | None = None,
    step_size: float = 1e-4,
    localization: float = 1000.0,
    n_chains: int = 4,
    burn_in: int = 120,
    n_draws: int = 40,
    interval: int = 2,
    batch_size: int | None = 512,
    seed: int = 0,
) -> pd.DataFrame:
    """Local learning coefficient (LLC) of the train loss, a row a chain: average `llc` over the chains of a step.

    llc = nbeta * (mean loss of the draws - loss of the checkpoint), draws from exp(-nbeta loss - localization/2 |w -
    checkpoint|^2). The number moves by orders of magnitude with the settings: only its course along a run at one and
    the same settings means something, and only where `r_hat` is near 1. A checkpoint in mid-training is no minimum, and
    with weight decay none ever is one: a negative value says so. At large margins the loss is flat up to its
    exponential tail, and the coefficient small for that reason.

    Args:
        nbeta: number of train rows times inverse temperature; None for n / log n, the theory's choice.
        step_size: epsilon: an update moves by -epsilon/2 * gradient + sqrt(epsilon) * unit noise.
        localization: gamma, strength of the pull back to the checkpoint.
        n_chains, burn_in, n_draws, interval: chains, updates before the first draw, draws, updates from draw to draw.
        batch_size: rows in the gradient of an update, drawn anew each time, the same for all chains; None for all
            rows. The loss of a draw is always that of all train rows.
        seed: of batches and noise.

    Columns:
        chain: 0 .. n_chains - 1.
        llc: by this chain's draws. The standard deviation over chains is the sampling error to state.
        llc_first_half, llc_second_half: by half of the draws each: unequal where the chain still drifts.
        r_hat: split R-hat of the losses over all chains, the same in each row; above 1.1 they do not agree.
        acceptance: mean probability with which a Metropolis test would have accepted the updates that led to draws
            (with their own batch). Nothing is rejected; below about 0.5 the step is too large for the curvature.
        distance: mean distance of the draws from the checkpoint, units of weight.
        loss: train loss of the checkpoint, nats.
        n, nbeta, step_size, localization, burn_in, n_draws, interval, batch_size: the settings.

    Raises:
        NotApplicable: if the run has no task, or fewer than 3 train rows.
        ValueError: if a setting is out of range, or the chains diverge.

    References: Lau et al. 2023, "The local learning coefficient: a singularity-aware complexity measure", sections 3
    and 4; Vehtari et al. 2021 (split R-hat; theirs is rank-normalised as well, here it is not).
    """
    questions = questions_of(snapshot, "train")
    n, weights, config = len(questions.inputs), snapshot.weights, snapshot.config
    if n < 3:
        raise NotApplicable(
            f"The learning coefficient needs at least 3 train rows (log n > 1), this task has {n}."
        )
    nbeta = n / log(n) if nbeta is None else nbeta
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"SGLD needs a batch_size of at least 1, or None for all rows, got {batch_size}.")
    batch_size = n if batch_size is None else min(batch_size, n)
    generator = torch.Generator().manual_seed(seed)

    def losses(part: Questions) -> Losses:
        loss = mean_loss(config, part)
        return torch.func.vmap(lambda point: loss(as_weights(point, weights)))

    full = losses(questions)

    def batch() -> Losses:
        if batch_size == n:
            return full
        drawn = torch.randperm(n, generator=generator)[:batch_size]
        return losses(questions.of(drawn.to(questions.labels.device)))

    chains = sample_chains(
        full,
        as_vector(weights),
        batch=batch,
        nbeta=nbeta,
        step_size=step_size,
        localization=localization,
        n_chains=n_chains,
        burn_in=burn_in,
        n_draws=n_draws,
        interval=interval,
        seed=seed,
    )
    excess = nbeta * (chains.losses - chains.loss).cpu().double()
    half = n_draws // 2
    return pd.DataFrame(
        {
            "chain": range(n_chains),
            "llc": excess.mean(0).numpy(),
            "llc_first_half": excess[:half].mean(0).numpy(),
            "llc_second_half": excess[-half:].mean(0).numpy(),
            "r_hat": split_r_hat(excess),
            "acceptance": chains.acceptance.cpu().numpy(),
            "distance": chains.distance.cpu().numpy(),
            "loss": chains.loss,
            "n": n,
            "nbeta": nbeta,
            "step_size": step_size,
            "localization": localization,
            "burn_in": burn_in,
            "n_draws": n_draws,
            "interval": interval,
            "batch_size": batch_size,
        }
    )


@dataclass(frozen=True, eq=False)
class Chains:
    """What was sampled: loss at the start, losses of the draws, and per chain mean acceptance and distance."""

    loss: float
    losses: Float[Tensor, "draw chain"]
    acceptance: Float[Tensor, " chain"]
    distance: Float[Tensor, " chain"]


def sample_chains(
    losses: Losses,
    start: Float[Tensor, " parameter"],
    *,
    batch: Callable[[], Losses] | None = None,
    nbeta: float,
    step_size: float,
    localization: float,
    n_chains: int,
    burn_in: int,
    n_draws: int,
    interval: int,
    seed: int,
) -> Chains:
    """Langevin chains that start at `start` and sample exp(-nbeta loss - localization/2 |w - start|^2).

    Args:
        losses: from points (chain, parameter) to their losses (chain,), each depending on its own point only.
        batch: called before every update: the losses whose gradient it takes; None for `losses` itself.

    Raises:
        ValueError: if a setting is out of range, or a loss is not finite.
    """
    if min(nbeta, step_size) <= 0 or localization < 0:
        raise ValueError(
            "SGLD needs nbeta and step_size > 0 and localization >= 0, got "
            f"nbeta={nbeta}, step_size={step_size}, localization={localization}."
        )
    if n_chains < 1 or burn_in < 0 or n_draws < 4 or interval < 1:
        raise ValueError(
            "SGLD needs at least 1 chain, 4 draws, an interval of 1 and burn_in >= 0, got "
            f"n_chains={n_chains}, n_draws={n_draws}, interval={interval}, burn_in={burn_in}."
        )
    generator = torch.Generator(start.device).manual_seed(seed)
    start = start.detach()
    points = start.expand(n_chains, -1).clone()

    def energy(of: Losses, at: Tensor) -> tuple[Tensor, Tensor]:
        """Negative log density (up to a constant) and its gradient."""
        at = at.detach().requires_grad_()
        value = of(at)
        (gradient,) = torch.autograd.grad(value.sum(), at)
        away = at.detach() - start
        density = nbeta * value.detach() + localization / 2 * away.square().sum(1)
        return density, nbeta * gradient + localization * away

    traces, acceptance, distance = [], [], []
    for step in range(1, burn_in + n_draws * interval + 1):
        of = losses if batch is None else batch()
        here, slope = energy(of, points)
        noise = torch.randn(points.shape, generator=generator, dtype=points.dtype, device=points.device)
        points = points - step_size / 2 * slope + step_size**0.5 * noise
        if step > burn_in and (step - burn_in) % interval == 0:
            there, slope_there = energy(of, points)
            # log of the Metropolis ratio; the two proposal densities are subtracted by hand, since their large common
            # part |noise|^2 / 2 would drown the rest in rounding.
            both = slope + slope_there
            ratio = here - there - step_size / 8 * both.square().sum(1)
            ratio = ratio + step_size**0.5 / 2 * (both * noise).sum(1)
            acceptance.append(ratio.clamp(max=0).exp())
            distance.append((points - start).norm(dim=1))
            with torch.no_grad():
                traces.append(losses(points))
            if not traces[-1].isfinite().all():
                raise ValueError(
                    f"SGLD left the region of finite losses after {step} updates: step_size={step_size} is too large. "
                    "Lower it, or raise localization."
                )
    with torch.no_grad():
        loss = losses(start[None])[0].item()
    return Chains(loss, torch.stack(traces), torch.stack(acceptance).mean(0), torch.stack(distance).mean(0))


def split_r_hat(draws: Float[Tensor, "draw chain"]) -> float:
    """Split R-hat: every chain cut in halves, sqrt((within + between) / within). NaN where nothing varies.

    References: Gelman et al. 2013, "Bayesian data analysis", section 11.4.
    """
    half = len(draws) // 2
    parts = torch.cat([draws[:half], draws[-half:]], 1)
    within = parts.var(0).mean()
    between = half * parts.mean(0).var()
    return (((half - 1) / half * within + between / half) / within).sqrt().item()
