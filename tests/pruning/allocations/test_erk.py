"""Erdos-Renyi-Kernel shares against the numbers of the RigL and jaxpruner codes. Those floor the zeros of every layer,
so they keep up to one weight a layer too many, and their common factor epsilon is larger by as much."""

from __future__ import annotations

import pytest

from prunecheck.pruning.allocations.erk import er, erk
from prunecheck.pruning.layers import Layer, share_kept
from tests.pruning.allocations.shapes import Layers, resnet32, resnet50, vgg19


def epsilon(layers: Layers, counts: dict[str, int]) -> float:
    """share * size / sum(shape) of the widest layer that is not whole: the factor all such layers have in common."""
    widest = max((la for la in layers if counts[la.name] < la.size), key=lambda la: sum(la.shape))
    return counts[widest.name] / sum(widest.shape)


def whole(layers: Layers, counts: dict[str, int]) -> set[str]:
    return {layer.name for layer in layers if counts[layer.name] == layer.size}


def test_resnet50() -> None:
    layers = resnet50()
    counts = erk(layers, 0.9)
    shares = share_kept(layers, counts)
    published = {
        "conv1": 0.420038,
        "layer1.0.conv2": 0.177338,
        "layer1.0.conv3": 0.958819,
        "layer1.0.downsample.0": 0.958819,
        "layer2.0.conv1": 0.574696,
        "layer2.0.conv2": 0.086684,
        "layer3.0.conv2": 0.042846,
        "layer4.0.conv1": 0.143116,
        "layer4.1.conv2": 0.021299,
        "layer4.2.conv2": 0.021299,
        "layer4.0.conv3": 0.119201,
        "layer4.0.downsample.0": 0.071511,
        "fc": 0.072608,
    }
    size = {layer.name: layer.size for layer in layers}
    for name, share in published.items():
        assert shares[f"{name}.weight"] == pytest.approx(share, rel=2e-5, abs=1.5 / size[f"{name}.weight"])
    assert whole(layers, counts) == {"layer1.0.conv1.weight"}
    assert epsilon(layers, counts) == pytest.approx(48.786097, abs=1 / 3000)


@pytest.mark.parametrize(
    ("layers", "sparsity", "factor", "dense"),
    [
        (resnet32(), 0.9, 38.121480, {"conv1.weight", "layer2.0.downsample.0.weight", "fc.weight"}),
        (resnet32(), 0.95, 18.687564, {"fc.weight"}),
        (resnet32(), 0.98, 7.375372, set()),
        (vgg19(), 0.9, 189.655864, {"features.0.weight", "classifier.weight"}),
    ],
)
def test_the_networks_of_su_et_al(layers: Layers, sparsity: float, factor: float, dense: set[str]) -> None:
    counts = erk(layers, sparsity)
    assert whole(layers, counts) == dense
    ours, widest = epsilon(layers, counts), max(sum(layer.shape) for layer in layers)
    assert ours - 1 / widest < factor < ours * (1 + len(layers) / sum(counts.values())) + 1 / widest


def test_single_published_shares() -> None:
    assert share_kept(resnet32(), erk(resnet32(), 0.9))["layer3.4.conv2.weight"] == pytest.approx(0.067734, abs=1e-5)
    assert share_kept(resnet32(), erk(resnet32(), 0.98))["fc.weight"] == pytest.approx(0.795157, abs=2 / 1280)
    assert share_kept(vgg19(), erk(vgg19(), 0.9))["features.15.weight"] == pytest.approx(0.0828, abs=5e-5)


def test_er_ignores_kernels() -> None:
    layers = (Layer("a", "conv", (20, 10, 3, 3)), Layer("b", "conv", (20, 10, 1, 1)), Layer("c", "linear", (40, 30)))
    shares = share_kept(layers, er(layers, 0.9))
    assert shares["a"] / shares["b"] == pytest.approx(1, rel=0.06)
    assert shares["c"] / shares["a"] == pytest.approx((70 / 1200) / (30 / 200), rel=0.02)
    assert share_kept(layers, erk(layers, 0.9))["b"] > 2.5 * shares["b"]
