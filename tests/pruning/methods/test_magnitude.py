from __future__ import annotations

import torch

from prunecheck.pruning import METHODS
from prunecheck.pruning.masks import keep_top
from prunecheck.pruning.methods.magnitude import magnitude_init, magnitudes

MAGNITUDES = ["magnitude_init", "lottery_ticket", "weight_rewinding", "lr_rewinding", "hybrid_ticket"]


def test_size_not_sign() -> None:
    weights = {"w": torch.tensor([-3.0, 0.5, -0.0, 2.0])}
    assert magnitudes(weights)["w"].tolist() == [3, 0.5, 0, 2]
    flipped = {"w": -weights["w"]}
    assert torch.equal(magnitudes(flipped)["w"], magnitudes(weights)["w"])


def test_a_common_factor_changes_no_mask() -> None:
    weights = {"a": torch.randn(30, generator=torch.Generator().manual_seed(0))}
    halves = [keep_top(magnitude_init(weights={"a": f * weights["a"]}), {"a": 9}).masks["a"] for f in (1, 0.25, 64)]
    assert torch.equal(halves[0], halves[1])
    assert torch.equal(halves[0], halves[2])


def test_every_magnitude_method_ranks_alike() -> None:
    assert {METHODS.get(name).function for name in MAGNITUDES} == {magnitudes}
