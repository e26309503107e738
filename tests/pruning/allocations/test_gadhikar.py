"""Balanced and pyramidal counts against the published rules."""

from __future__ import annotations

import numpy as np
import pytest

from prunecheck.pruning.allocations.balanced import balanced
from prunecheck.pruning.allocations.pyramidal import common_base, pyramidal
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import Layer, total
from tests.pruning.allocations.shapes import Layers, resnet32, small, vgg19


def sized(*sizes: int) -> Layers:
    return tuple(Layer(f"{i}", "conv", (size, 1, 1, 1)) for i, size in enumerate(sizes))


def test_balanced_by_hand() -> None:
    assert list(balanced(sized(10, 100, 100), 0.9).values()) == [7, 7, 7]
    assert list(balanced(sized(10, 100, 100), 0.5).values()) == [10, 48, 47]  # 95 left for two
    assert list(balanced(sized(100, 10, 100), 0.5).values()) == [48, 10, 47]  # published: only layers behind profit


@pytest.mark.parametrize("layers", [resnet32(), vgg19(), small()])
def test_balanced_layers_are_equal_or_whole(layers: Layers) -> None:
    for sparsity in (0.5, 0.9, 0.98):
        counts = balanced(layers, sparsity)
        open_ = {counts[layer.name] for layer in layers if counts[layer.name] < layer.size}
        assert max(open_) - min(open_) <= 1
        assert all(layer.size <= max(open_) for layer in layers if counts[layer.name] == layer.size)


def published_base(sizes: list[int], budget: float) -> float:
    """The root in (0, 1) of size_L x^L + ... + size_1 x - budget."""
    roots = np.roots([*sizes[::-1], -budget])
    return float(next(root.real for root in roots if 0 < root.real < 1 and root.imag == 0))


@pytest.mark.parametrize("layers", [resnet32(), vgg19(), small()])
@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.98])
def test_the_base_is_the_published_root(layers: Layers, sparsity: float) -> None:
    sizes = [layer.size for layer in layers]
    budget = kept_total(total(layers), sparsity)
    assert common_base(sizes, budget) == pytest.approx(published_base(sizes, budget), rel=1e-6)


def test_pyramidal_shares_fall_by_one_factor() -> None:
    layers = vgg19()
    counts = pyramidal(layers, 0.9)
    shares = [counts[layer.name] / layer.size for layer in layers[1:]]
    assert shares[0] ** (1 / 2) == pytest.approx(shares[10] ** (1 / 12), rel=1e-3)
    assert list(pyramidal(sized(100, 100), 0.625).values()) == [50, 25]


@pytest.mark.parametrize("sparsity", [1e-6, 0.5, 1 - 1e-6])
def test_the_bisection_ends_at_both_extremes(sparsity: float) -> None:
    layers = sized(3, 1_000_000, 5)
    assert sum(pyramidal(layers, sparsity).values()) == kept_total(total(layers), sparsity)
