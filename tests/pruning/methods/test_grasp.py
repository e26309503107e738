from __future__ import annotations

import pytest
import torch

from prunecheck.pruning.layers import weights_of
from prunecheck.pruning.masks import global_counts, keep_top
from prunecheck.pruning.methods.grasp import grasp
from tests.pruning.methods.tiny import Scene, close, loss_of, scene, slope_of

Tree = dict[str, torch.Tensor]


def gradient(where: Scene, weights: Tree, temperature: float) -> Tree:
    return slope_of(loss_of(where.model, where.batches), weights, temperature)


def published(where: Scene, temperature: float) -> Tree:
    """The published double loop over batches, which ranks -w * Hg over the size of its sum and removes the largest."""
    weights = {n: w.clone().requires_grad_() for n, w in weights_of(where.model).items()}
    leaves = list(weights.values())
    total = [torch.zeros_like(w) for w in leaves]
    for batch in where.batches:
        slopes = torch.autograd.grad(loss_of(where.model, [batch])(weights, temperature), leaves)
        total = [a + b for a, b in zip(total, slopes, strict=True)]
    for batch in where.batches:
        slopes = torch.autograd.grad(loss_of(where.model, [batch])(weights, temperature), leaves, create_graph=True)
        torch.stack([(t * s).sum() for t, s in zip(total, slopes, strict=True)]).sum().backward()
    scores = {n: -w.detach() * w.grad for n, w in weights.items() if w.grad is not None}
    size = sum(float(s.sum()) for s in scores.values())
    return {n: s / (abs(size) + 1e-10) for n, s in scores.items()}


@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_against_the_published_double_loop(temperature: float) -> None:
    where = scene(dtype=torch.float64)
    ours = grasp(weights_of(where.model), loss_of(where.model, where.batches), temperature)
    theirs = published(where, temperature)
    size = abs(sum(float(s.sum()) for s in ours.values()))
    for name in ours:
        assert close(-ours[name] / (size + 1e-10), theirs[name], rtol=1e-6, atol=1e-9)
    kept = keep_top(ours, global_counts(ours, 60)).masks
    cut = sorted(torch.cat([s.reshape(-1) for s in theirs.values()]).tolist())[59]
    assert all(torch.equal(kept[n], theirs[n] <= cut) for n in kept)


@pytest.mark.parametrize("temperature", [1.0, 200.0])
def test_against_finite_differences_of_the_gradient(temperature: float) -> None:
    """H g = (gradient at w + h g - gradient at w - h g) / 2h."""
    where = scene(dtype=torch.float64)
    weights = weights_of(where.model)
    scores = grasp(weights, loss_of(where.model, where.batches), temperature)
    g = gradient(where, weights, temperature)
    step = 1e-4 / max(float(t.abs().max()) for t in g.values())
    ahead = gradient(where, {n: w + step * g[n] for n, w in weights.items()}, temperature)
    behind = gradient(where, {n: w - step * g[n] for n, w in weights.items()}, temperature)
    for name in scores:
        expected = weights[name] * (ahead[name] - behind[name]) / (2 * step)
        assert close(scores[name], expected, rtol=1e-5, atol=1e-6)


def test_the_temperature_is_an_option_of_two_hundred() -> None:
    where = scene(dtype=torch.float64)
    weights, loss = weights_of(where.model), loss_of(where.model, where.batches)
    default, explicit = grasp(weights, loss), grasp(weights, loss, 200.0)
    assert all(torch.equal(default[n], explicit[n]) for n in default)
    assert dict(grasp.options) == {"temperature": 200.0}


def test_scores_scale_with_the_square_of_the_loss() -> None:
    where = scene(dtype=torch.float64)
    weights, loss = weights_of(where.model), loss_of(where.model, where.batches)
    plain = grasp(weights, loss, 1.0)
    tripled = grasp(weights, lambda w, t: 3 * loss(w, t), 1.0)
    for name in plain:
        assert close(tripled[name], 9 * plain[name])
