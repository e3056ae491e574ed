"""Noise on the weights: with diffusion, and its sham without.

The noise is added to the weights after the update, not to the gradient: Adam would rescale it by sqrt(v), and what is
left is another size for every entry. Every entry of every weight gets the same size. Of Langevin dynamics at learning
rate lr and temperature T it is `langevin_size(lr, T)`.

References: Welling and Teh 2011, "Bayesian learning via stochastic gradient Langevin dynamics".
"""

import math
from dataclasses import dataclass, replace
from typing import Literal
from zlib import crc32

import torch

from interp.networks.config import Weights
from interp.training.rules.base import Now, Rule
from interp.training.rules.bounds import check_fields
from interp.training.rules.recorded import norms_of, whole_norm


def langevin_size(lr: float, temperature: float) -> float:
    """Standard deviation a step, sqrt(2 * lr * temperature), of w <- w - lr * gradient + noise.

    Of a plain gradient: behind Adam the stationary distribution is another one, the diffusion is the same.

    >>> langevin_size(0.5, 4.0)
    2.0
    """
    return math.sqrt(2 * lr * temperature)


@dataclass(frozen=True, kw_only=True)
class Noise(Rule):
    """Gaussian noise of mean zero, new at every step, on every entry after the update.

    Controls the diffusion of the weights. Laws: size 0 is the identity, bit for bit; drawn on the CPU from seed and
    step, so that a resumed run and another device have the same noise.

    Records: noise_norm, norm of what was added.

    Attributes:
        size: standard deviation a step, in units of the weights.
        seed: of the draws.
    """

    kind: Literal["noise"] = "noise"
    size: float
    seed: int = 0

    def __post_init__(self):
        check_fields(self, size=(0, math.inf))

    def updated(self, before: Weights, after: Weights, memory: dict[str, Weights], now: Now) -> Weights:
        return _noisy(after, self.size, self.seed, now, now)


@dataclass(frozen=True, kw_only=True)
class AntitheticNoise(Rule):
    """The same noise, taken back: what an even step of the branch adds, the following odd one subtracts.

    As large at every step, but it adds up to nothing: the sham of `Noise`, without diffusion. Laws: the noise of two
    steps sums to zero; size 0 is the identity, bit for bit.

    Records: noise_norm, norm of what was added.

    Attributes:
        size, seed: as of `Noise`.
    """

    kind: Literal["antithetic-noise"] = "antithetic-noise"
    size: float
    seed: int = 0

    def __post_init__(self):
        check_fields(self, size=(0, math.inf))

    def updated(self, before: Weights, after: Weights, memory: dict[str, Weights], now: Now) -> Weights:
        is_odd = now.since % 2
        drawn_at = replace(now, since=now.since - is_odd)
        return _noisy(after, -self.size if is_odd else self.size, self.seed, drawn_at, now)


def _noisy(weights: Weights, size: float, seed: int, drawn_at: Now, now: Now) -> Weights:
    if size == 0:
        return weights
    noise = {}
    for name, w in weights.items():
        # A seed for each weight: a file gives them back in another order.
        generator = drawn_at.generator(seed + crc32(name.encode()))
        noise[name] = size * torch.randn(w.shape, generator=generator).to(w)
    now.records["noise_norm"] = whole_norm(norms_of(noise))
    return {name: w + noise[name] for name, w in weights.items()}
