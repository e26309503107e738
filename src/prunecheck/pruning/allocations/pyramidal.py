"""Pyramidal shares (Gadhikar, Mukherjee & Burkholz 2023): layer l keeps the share p^l, so deeper layers keep less.

p in (0, 1) solves sum over l = 1..L of size_l * p^l = kept weights (published code: the root of a polynomial; here by
bisection), then fractions are rounded to the exact total.
"""

from __future__ import annotations

from prunecheck.pruning import allocation
from prunecheck.pruning.counts import Counts, apportion, kept_total
from prunecheck.pruning.layers import Layer


@allocation(paper="Gadhikar et al. 2023")
def pyramidal(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """Share p^l in layer l: geometrically sparser with depth."""
    sizes = [layer.size for layer in layers]
    budget = kept_total(sum(sizes), sparsity)
    base = common_base(sizes, budget)
    kept = apportion([base ** (i + 1) for i in range(len(sizes))], sizes, budget)
    return Counts({layer.name: k for layer, k in zip(layers, kept, strict=True)})


def common_base(sizes: list[int], budget: int) -> float:
    """The p in (0, 1] with ``sum(size * p^l) = budget``; 0 < budget <= sum of the sizes."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        total = sum(size * middle ** (i + 1) for i, size in enumerate(sizes))
        low, high = (middle, high) if total < budget else (low, middle)
    return high
