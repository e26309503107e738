"""Balanced counts (Gadhikar, Mukherjee & Burkholz 2023): every layer keeps the same number of weights.

A layer with fewer weights than that is kept whole and the others share the rest evenly. The published code hands the
surplus of a full layer only to the layers behind it and draws positions with probabilities; here the rest is shared by
all and the total is exact.
"""

from __future__ import annotations

from prunecheck.pruning import allocation
from prunecheck.pruning.counts import Counts, apportion, kept_total
from prunecheck.pruning.layers import Layer


@allocation(paper="Gadhikar et al. 2023")
def balanced(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """The same number of weights in every layer, small layers whole."""
    sizes = [layer.size for layer in layers]
    kept = apportion([1 / size for size in sizes], sizes, kept_total(sum(sizes), sparsity))
    return Counts({layer.name: k for layer, k in zip(layers, kept, strict=True)})
