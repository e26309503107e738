"""Nominal levels of interim analyses: how strict each test must be so that all of them together err in alpha.

Alpha is spent as alpha * log(1 + (e - 1) t) at the fraction t of the seeds (Lan and DeMets 1983, the function that
imitates Pocock 1977). The boundary of each analysis is exact for normal scores with known variance, by recursive
numerical integration (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000, chapter 19). The t tests of this
package use its nominal one-sided level, which keeps the error rate with estimated variances too (checked by
simulation: benchmarks/operating_characteristics.py).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from prunecheck.statistics.variance import Array

REACH = 8.0
"""Standard deviations beyond which a normal density counts as 0 (probability below 1e-15)."""
SPACING = 0.2
"""Grid spacing, in standard deviations of the smallest step between two analyses: boundaries good to 1e-5."""

LEVELS = np.geomspace(1e-9, 0.5, 30)
"""Total levels at which boundaries are computed; between them the logarithms are interpolated."""

_END = np.array([3 / 8, 7 / 6, 23 / 24])
"""Gregory's weights of the grid points next to the boundary, where the density stops abruptly."""


@lru_cache(maxsize=256)
def nominal_levels(analyses: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """One-sided nominal level of the test at each of *analyses* (numbers of seeds) for the error rate *alpha* in all.

    One analysis alone gets all of alpha.
    """
    # Square roots, because the variance of a sum grows by one with every seed.
    steps = np.sqrt(np.diff((0, *analyses)))
    grid = SPACING * float(steps.min())
    levels: list[float] = []
    bound, mass, spent = 0.0, np.ones(1), 0.0
    for step, n in zip(steps, analyses, strict=True):
        target = alpha * math.log1p((math.e - 1) * n / analyses[-1])
        new = _bound(bound, mass, grid, float(step), target - spent, math.sqrt(n))
        # Only paths that have not crossed the boundary go on to the next analysis.
        mass = _continue(bound - new, mass, grid, float(step), new + REACH * math.sqrt(n))
        # Scores are sums over the seeds, so that their standard deviation is sqrt(n).
        levels.append(float(ndtr(-new / math.sqrt(n))))
        bound, spent = new, target
    return tuple(levels)


@lru_cache(maxsize=64)
def level_table(analyses: tuple[int, ...]) -> Array:
    """Nominal levels (len(analyses), len(LEVELS)) for every total level of ``LEVELS``."""
    return np.array([nominal_levels(analyses, float(level)) for level in LEVELS]).T


def _bound(old: float, mass: Array, grid: float, step: float, target: float, scale: float) -> float:
    """The score that is exceeded with probability *target* after a normal step of standard deviation *step*.

    *mass*: probability at the scores old, old - grid, old - 2 grid, ... Newton's method on the logarithm of the
    tail, which is concave, so that it converges from anywhere.
    """
    scores = old - grid * np.arange(len(mass))
    bound = scale * float(-ndtri(target))
    for _ in range(100):
        z = (bound - scores) / step
        # The logarithm needs a tail above 0.
        tail = max(float(mass @ ndtr(-z)), 1e-300)
        slope = max(float(mass @ np.exp(-(z**2) / 2)) / (step * math.sqrt(2 * math.pi)), 1e-300)
        change = (math.log(tail) - math.log(target)) * tail / slope
        bound += min(max(change, -scale), scale)
        if abs(change) < 1e-10 * scale:
            break
    return bound


def _continue(shift: float, mass: Array, grid: float, step: float, height: float) -> Array:
    """Probability mass after the step, on a grid that starts at the new bound; *shift*: old bound minus new bound."""
    size, reach = math.ceil(height / grid), math.ceil(REACH * step / grid)
    # the distance between the i-th old and the j-th new point is shift + (j - i) grid: a convolution
    first = max(-math.ceil(shift / grid) - reach, 1 - len(mass))
    offsets = np.arange(first, first + 2 * reach + 2)
    kernel = np.exp(-(((shift + offsets * grid) / step) ** 2) / 2) * grid / (step * math.sqrt(2 * math.pi))
    whole = np.convolve(mass, kernel)
    new = np.zeros(size)
    start = max(first, 0)
    part = whole[start - first :][: size - start]
    new[start : start + len(part)] = part
    new[:3] *= _END[: len(new)]
    return new
