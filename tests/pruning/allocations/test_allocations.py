"""Properties of every registered allocation."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from prunecheck.errors import PluginError
from prunecheck.pruning import ALLOCATIONS
from prunecheck.pruning.allocations.simple import uniform
from prunecheck.pruning.counts import check_counts, kept_total
from prunecheck.pruning.layers import total
from tests.offers import ask
from tests.pruning.allocations.shapes import Layers, resnet32, resnet50, small, vgg19

SPARSITIES = [0.3, 0.5, 0.77, 0.8, 0.85]
PRUNING = [name for name in ALLOCATIONS.names() if name != "nothing"]


def scores_for(layers: Layers, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {layer.name: torch.randn(layer.shape, generator=generator).abs() for layer in layers}


def counts_under(
    name: str, layers: Layers, sparsity: float, family: str, scores: dict[str, torch.Tensor] | None = None
) -> dict[str, int]:
    offers = {"layers": layers, "sparsity": sparsity, "family": family, "scores": scores}
    counts: dict[str, int] = ask(ALLOCATIONS.get(name), **offers, given=uniform(layers, sparsity))
    return counts


def test_the_hand_written_networks_have_the_published_sizes() -> None:
    assert (len(resnet32()), total(resnet32())) == (34, 1_855_584)
    assert (len(vgg19()), total(vgg19())) == (17, 20_024_000)
    assert (len(resnet50()), total(resnet50())) == (54, 25_502_912)
    assert [total(net(classes)) for net in (resnet32, vgg19) for classes in (100, 200)] == [
        1_867_104,
        1_879_904,
        20_070_080,
        20_121_280,
    ]


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("name", PRUNING)
def test_the_total_is_exact_and_no_layer_overflows(name: str, sparsity: float) -> None:
    for layers in (small(), small()[:-1]):
        counts = counts_under(name, layers, sparsity, "resnet", scores_for(layers))
        check_counts(counts, {layer.name: layer.size for layer in layers})
        assert sum(counts.values()) == kept_total(total(layers), sparsity)


@pytest.mark.parametrize("name", [name for name in PRUNING if ALLOCATIONS.get(name).is_known_ahead])
def test_exact_on_the_large_networks(name: str) -> None:
    for layers, family in ((resnet32(), "resnet"), (vgg19(100), "vgg"), (resnet50(), "resnet")):
        for sparsity in (0.2, 0.5, 0.8, 0.95, 0.97):
            counts = counts_under(name, layers, sparsity, family)
            check_counts(counts, {layer.name: layer.size for layer in layers})
            assert sum(counts.values()) == kept_total(total(layers), sparsity)


@pytest.mark.parametrize("name", PRUNING)
def test_a_sparser_network_is_sparser_in_every_layer(name: str) -> None:
    scores = scores_for(small())
    chain = [counts_under(name, small(), sparsity, "vgg", scores) for sparsity in SPARSITIES[:4]]
    for dense, sparse in pairwise(chain):
        assert all(sparse[layer] <= dense[layer] + 1 for layer in dense)  # 1: rounding


def test_nothing_keeps_everything() -> None:
    assert ask(ALLOCATIONS.get("nothing"), layers=small()) == {layer.name: layer.size for layer in small()}


def test_aliases_and_the_nearest_name() -> None:
    assert ALLOCATIONS.get("layerwise").name == "uniform"
    assert ALLOCATIONS.get("uniform+").name == "uniform_plus"
    with pytest.raises(PluginError, match=r"'smart_ration' is not an allocation. Did you mean 'smart_ratio'"):
        ALLOCATIONS.get("smart_ration")
