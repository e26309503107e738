"""The smart ratio's ablations: the official numbers under the preset, and what their names say without it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from prunecheck.errors import InfeasibleError
from prunecheck.pruning.allocations.smart_ratio import DECAYS, official_counts, raw_shares, smart_ratio
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import total
from tests.pruning.allocations.shapes import Layers, resnet32, vgg19

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "presets.json").read_text(encoding="utf-8"))
ABLATIONS: dict[str, list[int]] = GOLDEN["smart_ratio_ablations"]
NETWORKS: dict[str, Layers] = {"resnet32": resnet32(), "vgg19": vgg19()}


def family_of(name: str) -> str:
    return "vgg" if name == "vgg19" else "resnet"


@pytest.mark.parametrize("key", ABLATIONS)
def test_official_counts_of_the_ablations_to_the_last_weight(key: str) -> None:
    name, decay, sparsity = key.split("/")
    counts = official_counts(NETWORKS[name], float(sparsity), family_of(name), decay=decay)
    assert list(counts.values()) == ABLATIONS[key]


@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_total_is_exact_and_the_shares_go_where_the_name_says(name: str, decay: str) -> None:
    layers = NETWORKS[name]
    for sparsity in (0.8, 0.9, 0.98):
        counts = smart_ratio(layers, sparsity, family_of(name), decay=decay)
        assert sum(counts.values()) == kept_total(total(layers), sparsity)
        shares = [counts[layer.name] / layer.size for layer in layers[:-1]]
        slack = 1 / min(layer.size for layer in layers[:-1])
        for before, after in pairwise(shares):
            if decay == "ascending":
                assert after >= before - slack
            else:
                assert after <= before + slack
        assert max(shares) > min(shares) + 0.01 or decay == "uniform"


def test_the_official_ascending_shares_of_a_vgg_do_not_ascend_and_starve_a_resnet() -> None:
    vgg = official_counts(vgg19(), 0.9, "vgg", decay="ascending")
    shares = [vgg[layer.name] / layer.size for layer in vgg19()[:-1]]
    assert shares == sorted(shares, reverse=True)
    assert official_counts(resnet32(), 0.9, "resnet", decay="ascending")["conv1.weight"] == 0


def test_the_forms_by_hand() -> None:
    assert raw_shares(3, "resnet", "linear") == [3, 2, 1]
    assert raw_shares(3, "vgg", "linear") == [3, 2 / 4, 1 / 9]
    assert raw_shares(3, "resnet", "cubic") == [27, 8, 1]
    assert raw_shares(3, "vgg", "ascending") == raw_shares(3, "resnet", "ascending") == [2, 6, 12]
    assert raw_shares(3, "vgg", "uniform") == [1, 1, 1]
    assert raw_shares(4, "vgg", None) == raw_shares(4, "vgg", "quadratic") == raw_shares(4, "vgg")


def test_no_decay_is_the_quadratic_one() -> None:
    for allocate in (smart_ratio, official_counts):
        assert allocate(resnet32(), 0.9, "resnet") == allocate(resnet32(), 0.9, "resnet", decay="quadratic")


def test_an_unknown_decay_is_refused_with_the_nearest() -> None:
    for allocate in (smart_ratio, official_counts):
        with pytest.raises(InfeasibleError, match=r"decay = 'ascend' is not a decay\. Did you mean 'ascending'"):
            allocate(resnet32(), 0.9, "resnet", decay="ascend")
