"""The checks that corrupt the ticket itself: its positions and its values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from prunecheck.errors import PluginError
from prunecheck.pruning.checks.masks import identity, layerwise_rearrange, planted
from prunecheck.pruning.checks.weights import layerwise_weight_shuffle
from prunecheck.pruning.masks import counts_of, random_mask
from prunecheck.pruning.seeds import stream


def masks() -> dict[str, torch.Tensor]:
    return {
        "conv": random_mask((10, 5, 3, 3), 90, stream(0, "conv")),
        "dense": torch.ones(4, 4, dtype=torch.bool),
        "empty": torch.zeros(4, 4, dtype=torch.bool),
    }


def test_identity_is_equal() -> None:
    after = identity(masks=masks())
    assert all(torch.equal(after[name], mask) for name, mask in masks().items())


def test_rearrange_keeps_counts_and_overlaps_as_chance_says() -> None:
    clean, rng = masks(), stream(0, "check")
    law = stats.hypergeom(450, 90, 90)
    overlaps = []
    for _ in range(800):
        after = layerwise_rearrange(masks=clean, patterns=dict.fromkeys(clean), rng=rng)
        assert counts_of(after) == counts_of(clean)
        overlaps.append(int((after["conv"] & clean["conv"]).sum()))
    assert abs(np.mean(overlaps) - law.mean()) < 4 * law.std() / np.sqrt(800)
    assert torch.equal(after["dense"], clean["dense"])
    assert torch.equal(after["empty"], clean["empty"])


def test_layers_are_rearranged_independently() -> None:
    mask = random_mask((300,), 150, stream(0, "one"))
    pair = {"a": mask, "b": mask}
    after = layerwise_rearrange(masks=pair, patterns=dict.fromkeys(pair), rng=stream(0, "check"))
    assert not torch.equal(after["a"], after["b"])


def test_shuffle_moves_kept_values_among_kept_positions() -> None:
    clean = masks()
    weights = {n: torch.randn(m.shape, generator=torch.Generator().manual_seed(1)) * m for n, m in clean.items()}
    after = layerwise_weight_shuffle(weights=weights, masks=clean, rng=stream(0, "check"))
    for name, mask in clean.items():
        assert torch.equal(after[name][mask].sort().values, weights[name][mask].sort().values)
        assert not after[name][~mask].any()
    assert int((after["conv"] == weights["conv"])[clean["conv"]].sum()) < 10


def test_shuffle_sends_every_value_everywhere_and_moves_kept_zeros_too() -> None:
    mask = torch.tensor([True, True, False, True, True])
    weights = {"w": torch.tensor([1.0, 2.0, 0.0, 0.0, 4.0])}  # a kept weight may be 0
    rng = stream(0, "check")
    seen: dict[tuple[float, ...], int] = {}
    for _ in range(2400):
        after = tuple(layerwise_weight_shuffle(weights=weights, masks={"w": mask}, rng=rng)["w"].tolist())
        assert after[2] == 0
        seen[after] = seen.get(after, 0) + 1
    assert len(seen) == 24
    assert stats.chisquare(list(seen.values())).pvalue > 1e-4


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_planted_redraws_the_given_share_and_leaves_the_rest(share: float) -> None:
    clean = masks()
    moving = round(share * 90)
    lost = []
    for seed in range(200):
        after = planted(masks=clean, patterns=dict.fromkeys(clean), rng=stream(seed, "check"), share=share)
        assert counts_of(after) == counts_of(clean)
        lost.append(90 - int((after["conv"] & clean["conv"]).sum()))
    assert max(lost) <= moving
    # the moving ones go to the free places, their old ones included
    law = stats.hypergeom(450 - 90 + moving, 450 - 90, moving)
    assert abs(np.mean(lost) - law.mean()) < 4 * law.std() / np.sqrt(200)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, float("nan")])
def test_planted_refuses_what_is_no_share(share: float) -> None:
    with pytest.raises(PluginError, match="must lie in"):
        planted(masks=masks(), patterns=dict.fromkeys(masks()), rng=stream(0, "check"), share=share)
