"""Borrowed variance: a cell with three seeds learns from its neighbours how noisy it is (never how large its drop is).

Smyth 2004 (Stat Appl Genet Mol Biol 3:3), "Linear models and empirical Bayes methods": sample variances of the
cells of one stratum are shrunk towards a common value. Arrays end in (cells,) or (cells, seeds); every leading
axis is a separate stratum (or a separate simulated study).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, zeta

Array = NDArray[np.float64]

MIN_CELLS = 3
"""A stratum with fewer usable cells borrows nothing."""


class Noise(NamedTuple):
    """Per cell, shape (..., cells): pairs, mean, sample variance, borrowed variance, degrees of freedom, prior d0.

    Mean in points, variances in points squared; NaN where a cell has too few pairs to say.
    """

    n: Array
    mean: Array
    variance: Array
    borrowed: Array
    dof: Array
    d0: Array


def noise(differences: Array, guard: Array | float = 0.0, cap: float = 4.0) -> Noise:
    """Mean and borrowed variance of each cell of a stratum.

    *differences*: (..., cells, seeds), points, NaN = pair not there. *guard*: smallest believable variance of a
    difference, points squared, broadcast to (..., cells). *cap*: largest weight of the neighbours, in degrees of
    freedom.
    """
    there = np.isfinite(differences)
    n = there.sum(axis=-1).astype(np.float64)
    mean = _over(np.where(there, differences, 0.0).sum(axis=-1), n)
    spread = np.where(there, differences - mean[..., None], 0.0)
    dof = n - 1
    variance = _over((spread**2).sum(axis=-1), dof)
    prior, d0 = _prior(variance, dof, np.broadcast_to(guard, n.shape), cap)
    d0, prior = np.broadcast_arrays(d0[..., None], prior[..., None])
    pooled = _over(d0 * prior + dof * variance, d0 + dof)
    return Noise(
        n, mean, variance, np.maximum(pooled, guard), np.where(dof > 0, d0 + dof, np.nan), np.array(d0 + 0 * n)
    )


def _prior(variance: Array, dof: Array, guard: Array, cap: float) -> tuple[Array, Array]:
    """Common variance s0^2 and its weight d0, one per stratum; d0 = 0 where there is too little to borrow from.

    A spread of exactly 0 means that both arms were the same network: that says nothing about noise. A spread below
    the guard is luck, and counts as the guard.
    """
    usable = (dof >= 2) & (variance > 0)
    count = usable.sum(axis=-1)
    half = np.where(usable, dof, 2.0) / 2
    logs = np.log(np.where(usable, np.maximum(variance, guard), 1.0)) - digamma(half) + np.log(half)
    centre = _over(np.where(usable, logs, 0.0).sum(axis=-1), count)
    scatter = np.where(usable, (logs - centre[..., None]) ** 2, 0.0).sum(axis=-1) / np.maximum(count - 1, 1)
    excess = scatter - _over(np.where(usable, zeta(2, half), 0.0).sum(axis=-1), count)
    enough = count >= MIN_CELLS
    alike = ~(enough & (excess > 0))
    half0 = inverse_trigamma(np.where(alike, 1.0, excess))
    shift = np.where(alike, 0.0, digamma(half0) - np.log(half0))
    d0 = np.minimum(np.where(alike, np.inf, 2 * half0), cap)
    return np.where(enough, np.exp(np.where(enough, centre, 0.0) + shift), 0.0), np.where(enough, d0, 0.0)


def inverse_trigamma(y: Array) -> Array:
    """x > 0 with trigamma(x) = y > 0, by Newton's method on 1/trigamma (Smyth 2004, appendix)."""
    y = np.clip(y, 1e-6, 1e6)
    x = 0.5 + 1 / y
    for _ in range(20):
        trigamma = zeta(2, x)
        x = x + trigamma * (1 - trigamma / y) / (-2 * zeta(3, x))
    return np.asarray(x, dtype=np.float64)


def _over(above: Array, below: Array) -> Array:
    """*above* / *below*, NaN where *below* is not positive."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
