"""What a structured mask saves where zeros alone save nothing: layers that become smaller, and torch's 2:4 kernels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from prunecheck.pruning.layers import Layer
from prunecheck.pruning.structure import patterns_of

SEMI_STRUCTURED = (16, 16)
"""torch.sparse.to_sparse_semi_structured by cuSPARSELt takes float16 and bfloat16 weights whose outputs and inputs are
multiples of these; CUTLASS, the other library behind it, wants 32 and 64."""


@dataclass(frozen=True)
class LayerSavings:
    """One layer. ``pattern``: its structured pattern, None where none is recognised. ``removed``: the fraction of its
    weights, and so of its multiplications, that go with outputs and inputs of which nothing is kept: the layer can be
    replaced by a smaller dense one. ``two_of_four``: whether torch's 2:4 kernels take it, a linear layer of which at
    most 2 of every 4 inputs stay."""

    pattern: str | None
    removed: float
    two_of_four: bool


def savings_of(layers: tuple[Layer, ...], masks: Mapping[str, Tensor]) -> dict[str, LayerSavings]:
    """``{layer name: savings}``. What removed outputs save in the layers behind them is not counted."""
    patterns = patterns_of({layer.name: masks[layer.name] for layer in layers})
    return {layer.name: _savings(layer, masks[layer.name], patterns[layer.name]) for layer in layers}


def _savings(layer: Layer, mask: Tensor, pattern: str | None) -> LayerSavings:
    kept = mask.cpu().numpy().reshape(layer.shape[0], layer.shape[1], -1)
    # Rows and columns that are left make the smaller layer.
    left = int(kept.any(axis=(1, 2)).sum()) * int(kept.any(axis=(0, 2)).sum())
    return LayerSavings(pattern, 1 - left / (layer.shape[0] * layer.shape[1]), _two_of_four(layer, kept))


def _two_of_four(layer: Layer, kept: np.ndarray) -> bool:
    fits = all(side % unit == 0 for side, unit in zip(layer.shape, SEMI_STRUCTURED, strict=False))
    if layer.kind != "linear" or len(layer.shape) != 2 or not fits:
        return False
    return bool((kept.reshape(-1, 4).sum(axis=1) <= 2).all())


def in_words(layers: tuple[Layer, ...], savings: Mapping[str, LayerSavings]) -> str:
    """What dense and 2:4 kernels can skip, as shares of all weights of the layers."""
    weights = sum(math.prod(layer.shape) for layer in layers)
    removed = sum(layer.size * savings[layer.name].removed for layer in layers) / weights
    taken = [layer for layer in layers if savings[layer.name].two_of_four]
    parts = []
    if removed > 0:
        parts.append(f"{removed:.1%} of the weights go with whole outputs or inputs, which makes layers smaller")
    if taken:
        share = sum(layer.size for layer in taken) / weights
        parts.append(
            f"torch's 2:4 kernels (float16, bfloat16) take {len(taken)} of {len(layers)} layers, {share:.1%} of the "
            "weights, and skip half of their multiplications"
        )
    return "; ".join(parts) or "nothing without sparse kernels: no whole output or input is removed, no layer is 2:4"
