from __future__ import annotations

import pytest
import torch
from torch.nn.utils import prune

from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.masks import counts_of, global_counts, keep_top
from prunecheck.pruning.methods.lamp import lamp, relative_to_survivors


def naive(values: list[float]) -> list[float]:
    """Each square over the sum of the squares that come at or after it in order of size, ties by position."""
    order = sorted(range(len(values)), key=lambda i: (-(values[i] ** 2), i))
    scores = [0.0] * len(values)
    total = 0.0
    for i in order:
        total += values[i] ** 2
        scores[i] = values[i] ** 2 / total if total else 0.0
    return scores


def test_by_hand() -> None:
    assert relative_to_survivors(torch.tensor([[1.0, -2.0], [3.0, 0.0]])).tolist() == [
        [1 / 14, 4 / 13],
        [1.0, 0.0],
    ]


def test_against_the_naive_twin() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        weight = torch.randn(17, generator=generator).mul(4).round().div(4)  # with ties and zeros
        expected = naive(weight.tolist())
        assert relative_to_survivors(weight).tolist() == pytest.approx(expected, rel=1e-12, abs=1e-300)


def test_a_layer_of_zeros_scores_zero_and_a_scaled_layer_scores_the_same() -> None:
    weight = torch.randn(30, generator=torch.Generator().manual_seed(1))
    scores = lamp(weights={"w": weight, "small": weight / 1024, "none": torch.zeros(4)})
    assert torch.equal(scores["w"], scores["small"])
    assert not scores["none"].any()


def test_within_a_layer_it_ranks_like_magnitude_and_every_layer_survives() -> None:
    generator = torch.Generator().manual_seed(2)
    weights = {"a": torch.randn(40, generator=generator), "b": 1e-4 * torch.randn(60, generator=generator)}
    scores = lamp(weights=weights)
    for name, weight in weights.items():
        assert torch.equal(scores[name].argsort(), weight.abs().argsort())
    kept = counts_of(keep_top(scores, global_counts(scores, 2)).masks)
    assert kept == {"a": 1, "b": 1}


def test_masks_are_those_of_layerwise_pruning_with_lamps_counts() -> None:
    """The official code turns the scores into counts and prunes each layer by magnitude with torch."""
    generator = torch.Generator().manual_seed(3)
    weights = {"a": torch.randn(8, 5, generator=generator), "b": torch.randn(12, 9, generator=generator)}
    scores = lamp(weights=weights)
    masks = keep_top(scores, global_counts(scores, kept_total(148, 0.7))).masks
    for name, weight in weights.items():
        amount = weight.numel() - int(masks[name].sum())
        theirs = prune.L1Unstructured(amount).compute_mask(weight, torch.ones_like(weight))
        assert torch.equal(masks[name], theirs.bool())
