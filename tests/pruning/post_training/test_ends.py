"""Embedding and head, pruned with the blocks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunecheck.errors import InfeasibleError
from prunecheck.pruning.post_training.blocks import capture_inputs
from prunecheck.pruning.post_training.ends import with_ends
from prunecheck.pruning.post_training.walk import prune_blocks
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS
from tests.pruning.post_training.nets import WIDTH, Net, draw, masks_of

TOKENS = 24


class WithEnds(Net):
    """Reads token numbers, scales what the blocks give, and has one output for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(TOKENS, WIDTH), nn.Linear(WIDTH, TOKENS, bias=False)
        self.embedding.weight.data, self.head.weight.data = (draw(TOKENS, WIDTH, seed=seed) for seed in (7, 9))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(super().forward(self.embedding(tokens)).mul(3))


def prune(method: str, *parts: str, check: str | None = None, **how: Any) -> tuple[WithEnds, dict[str, Tensor]]:
    net = WithEnds()
    rng = torch.Generator().manual_seed(3)
    tokens = [torch.randint(TOKENS, (1, 40), generator=rng) for _ in range(6)]
    forwards = [lambda one=one: net(one) for one in tokens]
    calibrated = POST_TRAINING_METHODS.get(method).is_calibrated or "ratios" in how
    inputs = capture_inputs(net.blocks, forwards) if calibrated else []
    named: dict[str, Any] = {part: (part, getattr(net, part)) for part in parts}
    blocks, inputs = with_ends(net.blocks, inputs, forwards if calibrated else [], **named)
    plugin = None if check is None else POST_TRAINING_CHECKS.get(check)
    chosen = POST_TRAINING_METHODS.get(method)
    return net, masks_of(list(prune_blocks(blocks, inputs, chosen, 0.5, check=plugin, **how)))


def test_the_head_is_pruned_from_what_the_pruned_blocks_make_it_receive() -> None:
    dense = WithEnds().head.weight.detach()
    net, masks = prune("wanda", "head")
    received: list[Tensor] = []
    net.head.register_forward_pre_hook(lambda _, args: received.append(args[0]))
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _ in range(6):
            net(torch.randint(TOKENS, (1, 40), generator=rng))
    scores = dense.abs() * torch.cat([one[0] for one in received]).norm(dim=0)
    expected = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, scores.topk(WIDTH // 2, dim=1).indices, True)
    assert torch.equal(masks["head.weight"], expected)
    assert torch.equal(net.head.weight, dense * expected)
    assert torch.equal(net.embedding.weight, WithEnds().embedding.weight)


@pytest.mark.parametrize("check", ["rearranged_rows", "update_withheld"])
def test_the_head_is_calibrated_on_blocks_that_no_check_has_corrupted(check: str) -> None:
    """Checks of masks and weights change the finished network only: the clean part of the head is that without them."""
    seen: list[Tensor] = []

    for one in (None, check):
        net = WithEnds()
        tokens = [torch.arange(TOKENS)[None], torch.arange(TOKENS).flip(0)[None]]
        forwards = [lambda t=t, net=net: net(t) for t in tokens]
        blocks, inputs = with_ends(net.blocks, capture_inputs(net.blocks, forwards), forwards, head=("head", net.head))
        net.head.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().clone()))
        plugin = None if one is None else POST_TRAINING_CHECKS.get(one)
        list(prune_blocks(blocks, inputs, POST_TRAINING_METHODS.get("sparsegpt"), 0.5, check=plugin))
    assert len(seen) == 4
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])


@pytest.mark.parametrize("granularity", ["row", "layer"])
def test_methods_without_calibration_prune_the_embedding_too(granularity: Any) -> None:
    net, masks = prune("magnitude", "embedding", "head", granularity=granularity)
    assert next(iter(masks)) == "embedding.weight"
    assert list(masks)[-1] == "head.weight"
    dense = WithEnds().embedding.weight.detach()
    assert int(masks["embedding.weight"].sum()) == TOKENS * WIDTH // 2
    assert torch.equal(net.embedding.weight, dense * masks["embedding.weight"])
    kept, removed = dense.abs()[masks["embedding.weight"]], dense.abs()[~masks["embedding.weight"]]
    if granularity == "layer":
        assert kept.min() > removed.max()


def test_with_global_granularity_all_layers_compete() -> None:
    net = WithEnds()
    _, masks = prune("magnitude", "embedding", "head", granularity="global")
    kept = torch.cat([net.get_parameter(name).detach()[mask].abs() for name, mask in masks.items()])
    removed = torch.cat([net.get_parameter(name).detach()[~mask].abs() for name, mask in masks.items()])
    assert kept.min() > removed.max()
    assert len(masks) == 11


@pytest.mark.parametrize("method", ["wanda", "magnitude"])
def test_ratios_are_about_blocks_and_the_head_loses_the_sparsity_of_the_study(method: str) -> None:
    _, masks = prune(method, "head", ratios="owl", granularity="layer")
    assert int(masks["head.weight"].sum()) == TOKENS * WIDTH // 2
    shares = [float(masks[f"layers.{i}.up.weight"].float().mean()) for i in range(3)]
    assert max(shares) - min(shares) > 0.1
    total = sum(int(mask.sum()) for mask in masks.values())
    assert total == sum(int(mask.sum()) for mask in prune(method, "head", granularity="layer")[1].values())


@pytest.mark.parametrize("method", ["wanda", "ria", "sparsegpt"])
def test_methods_that_need_activations_cannot_prune_an_embedding(method: str) -> None:
    with pytest.raises(InfeasibleError, match="an embedding receives token numbers"):
        prune(method, "embedding")


def test_every_pattern_and_method_prunes_the_head() -> None:
    for method in ("random", "ria", "sparsegpt"):
        _, masks = prune(method, "head", pattern="2:4")
        assert (masks["head.weight"].reshape(-1, 4).sum(dim=1) == 2).all()
