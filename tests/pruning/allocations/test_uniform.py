from __future__ import annotations

import pytest

from prunecheck.errors import InfeasibleError
from prunecheck.pruning.allocations.uniform import uniform, uniform_plus
from prunecheck.pruning.layers import Layer, total
from tests.pruning.allocations.shapes import resnet32, small


@pytest.mark.parametrize("sparsity", [0.2, 0.9, 0.98])
def test_uniform_keeps_the_same_share_everywhere(sparsity: float) -> None:
    for layer in resnet32():
        assert abs(uniform(resnet32(), sparsity)[layer.name] - (1 - sparsity) * layer.size) < 1


def test_uniform_plus_spares_the_ends() -> None:
    layers = resnet32()
    counts = uniform_plus(layers, 0.9)
    assert counts["conv1.weight"] == 864
    assert counts["fc.weight"] == 256  # 20 % of 1280
    share = (185_558 - 864 - 256) / (total(layers) - 864 - 1280)
    assert all(abs(counts[layer.name] - share * layer.size) < 1 for layer in layers[1:-1])


def test_uniform_plus_leaves_the_last_layer_alone_where_it_keeps_more_anyway() -> None:
    layers = small()
    counts = uniform_plus(layers, 0.5)
    share = (sum(counts.values()) - layers[0].size) / (total(layers) - layers[0].size)
    assert counts["a.weight"] == layers[0].size
    assert abs(counts["fc.weight"] - share * 160) < 1


def test_uniform_plus_without_convolution_or_with_too_little_left() -> None:
    perceptron = (Layer("a", "linear", (300, 784)), Layer("b", "linear", (10, 300)))
    assert uniform_plus(perceptron, 0.9) == {"a": 23_820 - 600, "b": 600}
    with pytest.raises(InfeasibleError, match=r"a\.weight, fc\.weight alone is 248\. .* works here is 88\.21%"):
        uniform_plus(small(), 0.95)
    assert sum(uniform_plus(small(), 0.8821).values()) == 248


@pytest.mark.parametrize("sparsity", [0.7, 0.75, 0.77, 0.79, 0.8, 0.85])
def test_the_last_layer_keeps_a_fifth_whatever_the_first_one_takes(sparsity: float) -> None:
    """The whole first layer of a small network leaves the others well below the overall share."""
    assert uniform_plus(small(), sparsity)["fc.weight"] >= 32
