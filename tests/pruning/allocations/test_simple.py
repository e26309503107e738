from __future__ import annotations

import numpy as np
import pytest
import torch

from prunecheck.errors import InfeasibleError
from prunecheck.pruning.allocations.simple import (
    balanced,
    common_base,
    convolutions,
    er,
    erk,
    everything,
    pyramidal,
    uniform,
    uniform_plus,
)
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import Layer, share_kept, total
from prunecheck.pruning.masks import keep_top
from prunecheck.pruning.presets import rule_for
from tests.pruning.allocations.shapes import Layers, resnet32, resnet50, small, vgg19
from tests.pruning.allocations.test_allocations import scores_for


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


def test_global_keeps_the_largest_scores_of_the_whole_network() -> None:
    layers, scores = small(), scores_for(small())
    counts = everything(layers, scores, 0.9)
    masks = keep_top(scores, counts).masks
    kept = torch.cat([scores[n][masks[n]] for n in scores])
    removed = torch.cat([scores[n][~masks[n]] for n in scores])
    assert kept.min() > removed.max()
    assert len(kept) == round(0.1 * total(layers))


def test_global_conv_leaves_linear_layers_whole_and_counts_them() -> None:
    layers, scores = small(), scores_for(small())
    scores["fc.weight"] *= 0  # the worst scores of all change nothing
    counts = convolutions(layers, scores, 0.9)
    masks = keep_top(scores, counts).masks
    assert masks["fc.weight"].all()
    assert sum(int(mask.sum()) for mask in masks.values()) == round(0.1 * total(layers))
    convs = [n for n in scores if n != "fc.weight"]
    assert min(scores[n][masks[n]].min() for n in convs) > max(scores[n][~masks[n]].max() for n in convs)


def test_global_conv_against_the_official_counting_line() -> None:
    """The official LT_prune.py prunes one weight more: index int(n * p) of the sorted convolutions goes too."""
    layers, scores = small(), scores_for(small())
    rule = rule_for("official", "lottery_ticket")
    assert rule is not None
    conv = sorted(torch.cat([scores[la.name].reshape(-1) for la in layers if la.kind == "conv"]).tolist())
    official = sum(value > conv[rule.rank(total(layers), 0.9)] for value in conv) + layers[-1].size
    exact = sum(convolutions(layers, scores, 0.9).values())
    assert exact - official in (0, 1)


def test_a_whole_linear_layer_may_eat_the_budget() -> None:
    layers = (Layer("a", "conv", (10, 10, 1, 1)), Layer("fc", "linear", (10, 10)))
    scores = {"a": torch.rand(10, 10, 1, 1), "fc": torch.rand(10, 10)}
    with pytest.raises(InfeasibleError, match=r"fixed share of fc alone is 100\. .* works here is 50%"):
        convolutions(layers, scores, 0.6)
    assert convolutions(layers, scores, 0.5) == {"a": 0, "fc": 100}
