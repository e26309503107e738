"""Smart ratios. The golden counts are what the authors' published function returned when it was executed."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.errors import InfeasibleError
from prunecheck.pruning.allocations.smart_ratio import (
    official_counts,
    pass_overflow_on,
    raw_shares,
    smart_ratio,
)
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import Layer, total
from tests.pruning.allocations.shapes import Layers, resnet32, small, vgg19

GOLDEN = json.loads((Path(__file__).parent / "smart_ratio_golden.json").read_text(encoding="utf-8"))
CLASSES = {"cifar10": 10, "cifar100": 100, "tinyimagenet": 200}


def network(key: str) -> tuple[Layers, str, float]:
    name, data, sparsity = key.split("/")
    family = "vgg" if name.startswith("vgg") else "resnet"
    return (vgg19 if family == "vgg" else resnet32)(CLASSES[data]), family, float(sparsity)


def test_there_are_twelve_golden_entries() -> None:
    assert len(GOLDEN) == 12


@pytest.mark.parametrize("key", GOLDEN)
def test_official_counts_to_the_last_weight(key: str) -> None:
    layers, family, sparsity = network(key)
    assert total(layers) == GOLDEN[key]["total"]
    counts = official_counts(layers, sparsity, family)
    assert list(counts.values()) == GOLDEN[key]["keep"]
    assert sum(counts.values()) == GOLDEN[key]["kept"]


@pytest.mark.parametrize("key", GOLDEN)
def test_the_default_has_the_exact_total_and_is_within_three_weights_of_the_official(key: str) -> None:
    layers, family, sparsity = network(key)
    counts = smart_ratio(layers, sparsity, family)
    assert sum(counts.values()) == kept_total(total(layers), sparsity)
    assert list(counts) == [layer.name for layer in layers]
    assert max(abs(k - golden) for k, golden in zip(counts.values(), GOLDEN[key]["keep"], strict=True)) <= 3


def poured(layers: Layers, sparsity: float, family: str, linear: Fraction) -> list[Fraction]:
    """Naive twin in exact fractions: what overflows is carried to the next layer with room, and round again."""
    last = layers[-1]
    shares = [Fraction(share) for share in raw_shares(len(layers), family)][:-1]
    sizes = [layer.size for layer in layers[:-1]]
    budget = kept_total(total(layers), sparsity) - int(linear * last.size)
    scale = budget / sum(share * size for share, size in zip(shares, sizes, strict=True))
    kept = [scale * share * size for share, size in zip(shares, sizes, strict=True)]
    while any(k > size for k, size in zip(kept, sizes, strict=True)):
        i = next(i for i, (k, size) in enumerate(zip(kept, sizes, strict=True)) if k > size)
        kept[(i + 1) % len(kept)] += kept[i] - sizes[i]
        kept[i] = Fraction(sizes[i])
    return [*kept, Fraction(int(linear * last.size))]


@pytest.mark.parametrize("sparsity", [0.1, 0.2, 0.5, 0.7, 0.9, 0.98])
@pytest.mark.parametrize(("layers", "family"), [(vgg19(), "vgg"), (resnet32(), "resnet")])
def test_all_surplus_is_passed_on(layers: Layers, family: str, sparsity: float) -> None:
    counts = smart_ratio(layers, sparsity, family)
    assert sum(counts.values()) == kept_total(total(layers), sparsity)
    for kept, exact in zip(counts.values(), poured(layers, sparsity, family, Fraction(3, 10)), strict=True):
        assert abs(kept - exact) < 1 + 1e-3


@pytest.mark.parametrize(("layers", "family"), [(vgg19(), "vgg"), (resnet32(), "resnet")])
@pytest.mark.parametrize("sparsity", [0.1, 0.2, 0.5, 0.8])
def test_official_and_default_agree_while_the_first_layer_overflows(
    layers: Layers, family: str, sparsity: float
) -> None:
    """Many layers are whole here; the difference is the official floor at every term."""
    official, ours = official_counts(layers, sparsity, family), smart_ratio(layers, sparsity, family)
    assert sum(official[layer.name] == layer.size for layer in layers) >= 8
    assert sum(abs(official[name] - ours[name]) for name in ours) <= len(layers)


def test_the_official_code_loses_surplus_where_the_first_layer_is_tiny() -> None:
    """Its overflow walk stops at the first layer with less than one weight to carry."""
    layers = tuple(Layer(f"{i}", "conv", (1, 1, 1, 1) if i == 0 else (20, 20, 1, 1)) for i in range(30))
    budget = kept_total(total(layers), 0.5)
    assert sum(official_counts(layers, 0.5, "resnet").values()) < 0.95 * budget
    assert sum(smart_ratio(layers, 0.5, "resnet").values()) == budget


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 100)), min_size=1, max_size=8))
def test_overflow_is_conserved_and_capped(pairs: list[tuple[int, float]]) -> None:
    sizes = [size for size, _ in pairs]
    wanted = [share for _, share in pairs]
    factor = min(1.0, sum(sizes) / max(sum(wanted), 1e-9))
    wanted = [factor * value for value in wanted]
    kept = pass_overflow_on(wanted, sizes)
    assert sum(kept) == pytest.approx(sum(wanted), rel=1e-9, abs=1e-9)
    assert all(-1e-9 <= k <= size for k, size in zip(kept, sizes, strict=True))


def test_the_formula_by_hand() -> None:
    assert raw_shares(3, "resnet") == [12, 6, 2]
    assert raw_shares(3, "vgg") == [12, 6 / 4, 2 / 9]


@pytest.mark.parametrize(
    ("layers", "family", "sparsity"),
    [(resnet32(100), "resnet", 0.998), (resnet32(200), "resnet", 0.996), (vgg19(100), "vgg", 0.9993)],
)
def test_too_sparse_is_refused_with_the_largest_sparsity_that_works(
    layers: Layers, family: str, sparsity: float
) -> None:
    for allocate in (smart_ratio, official_counts):
        with pytest.raises(InfeasibleError, match="fixed share of") as caught:
            allocate(layers, sparsity, family)
        named = float(str(caught.value).split()[-1].rstrip("%.")) / 100
        assert sparsity - 0.001 < named < sparsity
    counts = smart_ratio(layers, round(named, 6), family)
    assert sum(counts.values()) == kept_total(total(layers), round(named, 6))
    with pytest.raises(InfeasibleError):
        smart_ratio(layers, round(named + 0.0001, 6), family)


@pytest.mark.parametrize("layers", [resnet32(), resnet32(100), vgg19(), small()])
@pytest.mark.parametrize("linear", [0.0, 0.1, 0.3])
def test_too_dense_is_refused_with_the_smallest_sparsity_that_works(layers: Layers, linear: float) -> None:
    with pytest.raises(InfeasibleError, match="too low for linear") as caught:
        smart_ratio(layers, 0.00001, "resnet", linear)
    named = float(re.findall(r"([\d.]+)%", str(caught.value))[-1]) / 100
    assert sum(smart_ratio(layers, round(named, 6), "resnet", linear).values()) == kept_total(
        total(layers), round(named, 6)
    )


def test_only_the_last_linear_layer_has_the_fixed_share() -> None:
    layers = (*small(), Layer("head.weight", "linear", (10, 10)))
    counts = smart_ratio(layers, 0.9, "resnet")
    assert counts["head.weight"] == 30
    assert counts["fc.weight"] < 20
    assert official_counts(layers, 0.9, "resnet")["fc.weight"] == 48


def test_no_linear_layer_or_nothing_but_one() -> None:
    convs = small()[:-1]
    assert sum(smart_ratio(convs, 0.9, "resnet").values()) == kept_total(total(convs), 0.9)
    assert smart_ratio((small()[-1],), 0.9, "resnet") == {"fc.weight": 16}


@pytest.mark.parametrize("linear", [-0.1, 1.1])
def test_the_fixed_share_is_a_fraction(linear: float) -> None:
    with pytest.raises(InfeasibleError, match=r"must lie in \[0, 1\]"):
        smart_ratio(small(), 0.9, "resnet", linear)
