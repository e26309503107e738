from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from prunecheck.pruning.layers import weights_of
from prunecheck.pruning.masks import counts_of
from prunecheck.pruning.methods.edge_popup import edge_popup
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.train_loader import TrainLoader
from tests.pruning.methods.tiny import Scene, scene

KEEP = 0.3


class TopOfLayer(torch.autograd.Function):
    """The published selection: sort, set the first n - k to 0 and the rest to 1, pass the gradient on."""

    @staticmethod
    def forward(_: Any, scores: Tensor, share: float) -> Tensor:
        order = scores.flatten().sort().indices
        mask = torch.zeros_like(scores).flatten()
        mask[order[int((1 - share) * scores.numel()) :]] = 1
        return mask.reshape(scores.shape)

    @staticmethod
    def backward(_: Any, slope: Tensor) -> Any:
        return slope, None


def published_loop(where: Scene, epochs: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Training as in the published code: autograd through abs() and the selection, cosine learning rate by epoch."""
    weights, scores = weights_of(where.model), {}
    for name, weight in weights.items():
        bound = math.sqrt(3) * math.sqrt(2 / (1 + 5)) / math.sqrt(weight[0].numel())  # kaiming_uniform_, a = sqrt(5)
        scores[name] = torch.from_numpy(rng.uniform(-bound, bound, tuple(weight.shape))).requires_grad_()
    optimiser = torch.optim.SGD(scores.values(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for epoch in range(epochs):
        optimiser.param_groups[0]["lr"] = 0.5 * (1 + np.cos(np.pi * epoch / epochs)) * 0.1
        for inputs, targets in where.batches:
            kept = {name: weight * TopOfLayer.apply(scores[name].abs(), KEEP) for name, weight in weights.items()}
            optimiser.zero_grad()
            cross_entropy(functional_call(where.model, kept, (inputs,)), targets).backward()
            optimiser.step()
    return {name: TopOfLayer.apply(score.abs(), KEEP).bool() for name, score in scores.items()}


def published_counts(where: Scene) -> dict[str, int]:
    return {name: w.numel() - int((1 - KEEP) * w.numel()) for name, w in weights_of(where.model).items()}


def learned(where: Scene, epochs: int, **changes: Any) -> dict[str, Tensor]:
    weights = weights_of(where.model)
    offer = {
        "weights": weights,
        "model": where.model,
        "masks": {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()},
        "counts": published_counts(where),
        "train_loader": TrainLoader(lambda _: where.batches, len(where.batches), cross_entropy, epochs, "edge_popup"),
        "rng": stream(0, "test"),
    }
    answer: dict[str, Tensor] = edge_popup(**offer | changes, mask_epochs=epochs)
    return answer


@torch.no_grad()
def loss_under(where: Scene, masks: dict[str, Tensor]) -> float:
    kept = {name: weight * masks[name] for name, weight in weights_of(where.model).items()}
    return sum(float(cross_entropy(functional_call(where.model, kept, (x,)), y)) for x, y in where.batches)


def test_masks_equal_those_of_the_published_training_loop() -> None:
    where = scene(dtype=torch.float64)
    ours, theirs = learned(where, 12), published_loop(where, 12, stream(0, "test"))
    start = published_loop(where, 0, stream(0, "test"))
    assert any(not torch.equal(start[name], theirs[name]) for name in start), "training has to change the masks"
    for name, mask in theirs.items():
        assert torch.equal(ours[name], mask), name


def test_learning_lowers_the_loss_of_the_untrained_weights_under_the_mask() -> None:
    where = scene()
    before = [loss_under(where, learned(where, 1, lr=0.0, rng=stream(seed, "test"))) for seed in range(3)]
    after = [loss_under(where, learned(where, 30, rng=stream(seed, "test"))) for seed in range(3)]
    assert max(after) < min(before)


def test_weights_removed_in_an_earlier_round_stay_removed() -> None:
    where = scene()
    earlier = learned(where, 2)
    counts = {name: kept // 2 for name, kept in counts_of(earlier).items()}
    masked = {name: weight * earlier[name] for name, weight in weights_of(where.model).items()}
    later = learned(where, 5, masks=earlier, counts=counts, weights=masked)
    assert counts_of(later) == counts
    assert not any(bool((later[name] & ~earlier[name]).any()) for name in later)
