"""Erdos-Renyi-Kernel and Erdos-Renyi shares (Evci et al. 2020; Mocanu et al. 2018): wide layers keep less."""

from __future__ import annotations

from prunecheck.pruning import allocation
from prunecheck.pruning.counts import Counts, apportion, kept_total
from prunecheck.pruning.layers import Layer


def _spread(layers: tuple[Layer, ...], shares: list[float], sparsity: float) -> Counts:
    sizes = [layer.size for layer in layers]
    kept = apportion(shares, sizes, kept_total(sum(sizes), sparsity))
    return Counts({layer.name: k for layer, k in zip(layers, kept, strict=True)})


@allocation(paper="Evci et al. 2020")
def erk(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """Share proportional to (in + out + kernel) / (in * out * kernel); overflow redistributed."""
    return _spread(layers, [sum(layer.shape) / layer.size for layer in layers], sparsity)


@allocation(paper="Mocanu et al. 2018")
def er(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """Share proportional to (in + out) / (in * out), kernels ignored; overflow redistributed."""
    return _spread(
        layers, [(layer.fan_in + layer.fan_out) / (layer.fan_in * layer.fan_out) for layer in layers], sparsity
    )
