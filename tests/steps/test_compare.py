"""The mask tier against sets of positions, and against the expectation for random positions in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prunecheck.models import build
from prunecheck.pruning.allocations.smart_ratio import official_counts
from prunecheck.pruning.layers import layers_of
from prunecheck.pruning.masks import permuted, random_masks
from prunecheck.pruning.seeds import stream
from prunecheck.steps.compare import overlap

Masks = dict[str, torch.Tensor]


def drawn(seed: int, shares: dict[str, float]) -> Masks:
    rng = np.random.default_rng(seed)
    return {name: torch.from_numpy(rng.random((7, 5)) < share) for name, share in shares.items()}


def positions(masks: Masks) -> set[tuple[object, ...]]:
    return {(name, *map(int, index)) for name, mask in masks.items() for index in np.argwhere(mask.numpy())}


def test_overlap_is_that_of_the_sets_of_positions() -> None:
    for seed in range(20):
        a, b = drawn(seed, {"x": 0.2, "y": 0.7}), drawn(seed + 100, {"x": 0.5, "y": 0.1})
        facts = overlap(a, b)
        first, second = positions(a), positions(b)
        assert facts["iou"] == pytest.approx(len(first & second) / len(first | second))
        assert (facts["kept_clean"], facts["kept_corrupted"]) == (len(first), len(second))
        assert facts["moved"] == len(first - second)


def test_correlation_of_the_kept_shares() -> None:
    a, b = drawn(0, {"x": 0.2, "y": 0.7, "z": 0.4}), drawn(1, {"x": 0.1, "y": 0.5, "z": 0.9})
    shares = [[float(mask.float().mean()) for mask in masks.values()] for masks in (a, b)]
    assert overlap(a, b)["counts_correlation"] == pytest.approx(np.corrcoef(shares)[0, 1])
    level = {name: torch.ones(7, 5, dtype=torch.bool) for name in a}
    assert overlap(level, b)["counts_correlation"] is None


def test_the_same_and_the_empty() -> None:
    a = drawn(0, {"x": 0.3, "y": 0.6})
    assert overlap(a, a)["iou"] == 1
    assert overlap(a, a)["moved"] == 0
    nothing = {name: torch.zeros_like(mask) for name, mask in a.items()}
    assert overlap(a, nothing)["iou"] == 0
    assert overlap(nothing, nothing)["iou"] == 1


def test_chance_on_the_papers_network() -> None:
    """ResNet-32 at 98 %: of 37,094 weights a rearrangement is expected to leave 2,244.8 in place, an overlap of 3 %."""
    layers = layers_of(build("resnet32", 10, 3, 32))
    counts = official_counts(layers, 0.98, "resnet")
    kept = sum(counts.values())
    expected = sum(counts[layer.name] ** 2 / layer.size for layer in layers)
    assert (kept, round(expected, 1)) == (37094, 2244.8)
    clean = random_masks(layers, counts, stream(0, "clean"))
    moved = {name: permuted(mask, stream(0, "moved", name)) for name, mask in clean.items()}
    facts = overlap(clean, moved)
    assert facts["chance_iou"] == pytest.approx(expected / (2 * kept - expected))
    assert round(facts["chance_iou"], 4) == 0.0312
    variance = sum(
        counts[la.name] ** 2 * (la.size - counts[la.name]) ** 2 / (la.size**2 * (la.size - 1)) for la in layers
    )  # of hypergeometric draws
    assert abs(kept - facts["moved"] - expected) < 4 * variance**0.5
    assert facts["counts_correlation"] == 1
