"""The same share everywhere, and the variant that spares the ends."""

from __future__ import annotations

from prunecheck.pruning import allocation
from prunecheck.pruning.counts import Counts, apportion, budget_beside, kept_total
from prunecheck.pruning.layers import Layer, total


@allocation(aliases=("layerwise",))
def uniform(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """Every layer keeps the same share."""
    sizes = [layer.size for layer in layers]
    kept = apportion([1.0] * len(sizes), sizes, kept_total(sum(sizes), sparsity))
    return Counts({layer.name: k for layer, k in zip(layers, kept, strict=True)})


@allocation(aliases=("uniform+",), paper="Gale, Elsen & Hooker 2019")
def uniform_plus(layers: tuple[Layer, ...], sparsity: float, last: float = 0.2) -> Counts:
    """First convolution whole, the last linear layer keeps at least 20 %, the rest share evenly."""
    fixed: dict[str, int] = {}
    if layers[0].kind == "conv":
        fixed[layers[0].name] = layers[0].size
    weights, whole = total(layers), sum(fixed.values())
    if layers[-1].kind == "linear" and kept_total(weights, sparsity) - whole < last * (weights - whole):
        fixed[layers[-1].name] = int(last * layers[-1].size)
    budget = budget_beside(fixed, weights, sparsity)
    free = [layer for layer in layers if layer.name not in fixed]
    kept = apportion([1.0] * len(free), [layer.size for layer in free], budget)
    counts = fixed | {layer.name: k for layer, k in zip(free, kept, strict=True)}
    return Counts({layer.name: counts[layer.name] for layer in layers})
