from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from prunecheck.pruning.layers import weights_of
from prunecheck.pruning.methods.movement import movement, sparsity_at
from prunecheck.pruning.train_loader import TrainLoader
from tests.pruning.methods.tiny import Scene, close, scene

SPARSITY = 0.7


def published_share_kept(step: int, total: int, first: float, last: float, warm_up: int) -> float:
    """The cubic schedule of the published run (initial warm-up 1, final warm-up 2, in units of *warm_up* steps)."""
    if step <= warm_up:
        return first
    if step > total - 2 * warm_up:
        return last
    return last + (first - last) * (1 - (step - warm_up) / (total - 3 * warm_up)) ** 3


class TopOfLayer(torch.autograd.Function):
    """1 for the highest scores of a layer, earlier positions first; the gradient passes unchanged."""

    @staticmethod
    def forward(_: Any, scores: Tensor, share: float) -> Tensor:
        order = scores.flatten().sort(descending=True, stable=True).indices
        mask = torch.zeros_like(scores).flatten()
        mask[order[: round(share * scores.numel())]] = 1
        return mask.reshape(scores.shape)

    @staticmethod
    def backward(_: Any, slope: Tensor) -> Any:
        return slope, None


def naive_loop(where: Scene, epochs: int) -> dict[str, Tensor]:
    """Scores as parameters of their own, updated by autograd through the selection; weights trained along."""
    weights = {name: weight.clone().requires_grad_() for name, weight in weights_of(where.model).items()}
    scores = {name: torch.zeros_like(weight).requires_grad_() for name, weight in weights.items()}
    trained = torch.optim.SGD(weights.values(), lr=0.01, momentum=0.9)
    step, total = 0, epochs * len(where.batches)
    for _ in range(epochs):
        for inputs, targets in where.batches:
            share = published_share_kept(step, total, 1.0, 1 - SPARSITY, total // 10)
            kept = {name: weight * TopOfLayer.apply(scores[name], share) for name, weight in weights.items()}
            trained.zero_grad()
            cross_entropy(functional_call(where.model, kept, (inputs,)), targets).backward()
            trained.step()
            for score in scores.values():
                assert score.grad is not None
                score.data -= score.grad
                score.grad = None
            step += 1
    return {name: score.detach() for name, score in scores.items()}


def learned(where: Scene, epochs: int, **changes: Any) -> dict[str, Tensor]:
    weights = weights_of(where.model)
    offer = {
        "weights": weights,
        "model": where.model,
        "masks": {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()},
        "sparsity": SPARSITY,
        "train_loader": TrainLoader(lambda _: where.batches, len(where.batches), cross_entropy, epochs, "movement"),
    }
    answer: dict[str, Tensor] = movement(**offer | changes, mask_epochs=epochs)
    return answer


def test_scores_equal_those_of_autograd_through_the_selection() -> None:
    where = scene(dtype=torch.float64)
    ours, theirs = learned(where, 10), naive_loop(where, 10)
    for name, expected in theirs.items():
        assert close(ours[name], expected, rtol=1e-6), name


@pytest.mark.parametrize("progress", [0.0, 0.05, 0.1, 0.2, 0.45, 0.79, 0.8, 0.95])
def test_sparsity_rises_as_in_the_published_run(progress: float) -> None:
    published = 1 - published_share_kept(round(1000 * progress), 1000, 1.0, 1 - SPARSITY, 100)
    assert sparsity_at(progress, SPARSITY) == pytest.approx(published)


def test_weight_that_gradient_descent_moves_away_from_0_scores_positive() -> None:
    where = scene(dtype=torch.float64)
    weights = weights_of(where.model)
    (inputs, targets), *_ = where.batches
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    loss = cross_entropy(functional_call(where.model, leaves, (inputs,)), targets)
    slopes = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
    one = Scene(where.model, where.batches[:1])
    scores = learned(one, 1)
    for name, weight in weights.items():
        away = (weight - 1e-6 * slopes[name]).abs() > weight.abs()
        assert torch.equal(scores[name] > 0, away & (slopes[name] != 0)), name
