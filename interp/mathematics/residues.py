"""Arithmetic of residues: primes and discrete logarithms."""

import math
from functools import lru_cache


@lru_cache
def discrete_logarithms(p: int) -> tuple[int, ...]:
    """Logarithm of each residue to the base of the smallest primitive root of the prime p; -1 for the residue 0.

    Raises:
        ValueError: if p is not prime.

    >>> discrete_logarithms(7)  # powers of 3: 1, 3, 2, 6, 4, 5
    (-1, 0, 2, 1, 4, 5, 3)
    """
    if not is_prime(p):
        raise ValueError(f"Discrete logarithms need a prime p, got {p}.")
    for root in range(1, p):
        powers = [pow(root, e, p) for e in range(p - 1)]
        if len(set(powers)) == p - 1:
            break
    logarithm = [-1] * p
    for exponent, value in enumerate(powers):
        logarithm[value] = exponent
    return tuple(logarithm)


def is_prime(p: int) -> bool:
    """Whether p is prime, by trial division.

    >>> [p for p in range(20) if is_prime(p)]
    [2, 3, 5, 7, 11, 13, 17, 19]
    """
    return p > 1 and all(p % d for d in range(2, math.isqrt(p) + 1))
