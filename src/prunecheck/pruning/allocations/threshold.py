"""One score threshold for the whole network: the usual "global" pruning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning import allocation
from prunecheck.pruning.counts import Counts, budget_beside
from prunecheck.pruning.layers import Layer, total

if TYPE_CHECKING:
    from torch import Tensor


@allocation(name="global", pool=("conv", "linear"))
def everything(layers: tuple[Layer, ...], scores: dict[str, Tensor], sparsity: float) -> Counts:
    """The largest scores of the whole network, all layers competing (SNIP, GraSP, SynFlow, IMP)."""
    return _largest(layers, scores, sparsity, ("conv", "linear"))


@allocation(name="global_conv", pool=("conv",), paper="Su et al. 2020, official LT_prune.py")
def convolutions(layers: tuple[Layer, ...], scores: dict[str, Tensor], sparsity: float) -> Counts:
    """The largest scores of all convolutions; linear layers stay whole, the total counts them."""
    return _largest(layers, scores, sparsity, ("conv",))


def _largest(layers: tuple[Layer, ...], scores: dict[str, Tensor], sparsity: float, pool: tuple[str, ...]) -> Counts:
    from prunecheck.pruning.masks import global_counts

    whole = {layer.name: layer.size for layer in layers if layer.kind not in pool}
    budget = budget_beside(whole, total(layers), sparsity)
    counts = global_counts({n: s for n, s in scores.items() if n not in whole}, budget)
    counts.update(whole)
    return counts


@allocation(name="nothing")
def nothing(layers: tuple[Layer, ...]) -> Counts:
    """Every weight stays (the dense reference)."""
    return Counts({layer.name: layer.size for layer in layers})
