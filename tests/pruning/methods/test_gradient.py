from __future__ import annotations

import torch

from prunecheck.pruning import METHODS
from prunecheck.pruning.layers import weights_of
from prunecheck.pruning.methods.gradient import gradient, saliency, snip
from tests.pruning.methods.tiny import Scene, close, loss_of, scene, slope_of


def snip_by_hand(where: Scene) -> dict[str, torch.Tensor]:
    """The published loop: one backward pass a batch, gradients add up, the absolute value comes last."""
    weights = {n: w.clone().requires_grad_() for n, w in weights_of(where.model).items()}
    for batch in where.batches:
        loss_of(where.model, [batch])(weights).backward()
    return {n: (w.detach() * w.grad).abs() for n, w in weights.items() if w.grad is not None}


def test_against_the_naive_loop() -> None:
    where = scene(dtype=torch.float64)
    ours = snip(weights=weights_of(where.model), loss=loss_of(where.model, where.batches))
    for name, expected in snip_by_hand(where).items():
        assert close(ours[name], expected)


def test_a_score_is_the_change_of_loss_when_the_weight_shrinks() -> None:
    where = scene(dtype=torch.float64)
    weights, loss = weights_of(where.model), loss_of(where.model, where.batches)
    scores = snip(weights=weights, loss=loss)
    step = 1e-5
    for name in weights:
        for index in (0, 7, 20):
            changed = {n: w.clone() for n, w in weights.items()}
            values = []
            for sign in (1, -1):
                changed[name].view(-1)[index] = weights[name].view(-1)[index] * (1 + sign * step)
                values.append(float(loss(changed).detach()))
            slope = (values[0] - values[1]) / (2 * step)
            assert abs(abs(slope) - float(scores[name].view(-1)[index])) < 1e-8


def test_a_zero_weight_scores_zero_and_a_scaled_loss_scales_all() -> None:
    where = scene()
    weights, loss = weights_of(where.model), loss_of(where.model, where.batches)
    weights = {n: w.clone() for n, w in weights.items()}
    weights["8.weight"][0, 0] = 0
    plain = snip(weights=weights, loss=loss)
    tripled = snip(weights=weights, loss=lambda w: 3 * loss(w))
    assert plain["8.weight"][0, 0] == 0
    for name in plain:
        assert close(tripled[name], 3 * plain[name], rtol=1e-4, atol=1e-5)


def test_a_convolution_before_normalisation_has_no_first_order_effect_as_a_whole() -> None:
    """Batch normalisation makes the loss blind to a filter's scale, so its signed scores sum to zero."""
    where = scene(dtype=torch.float64)
    weights, loss = weights_of(where.model), loss_of(where.model, where.batches)
    slope = slope_of(loss, weights)
    by_filter = (weights["0.weight"] * slope["0.weight"]).sum(dim=(1, 2, 3))
    scores = snip(weights=weights, loss=loss)["0.weight"].sum(dim=(1, 2, 3))
    assert float((by_filter.abs() / scores).max()) < 1e-3


def test_saliency_is_snip_at_another_time() -> None:
    where = scene(dtype=torch.float64)
    weights, loss = weights_of(where.model), loss_of(where.model, where.batches)
    slope = slope_of(loss, weights)
    scores = saliency(weights=weights, loss=loss)
    assert all(close(scores[n], (weights[n] * slope[n]).abs()) for n in weights)
    assert (saliency.when, saliency.rewind, saliency.retrain) == ("trained", "nothing", "rest")
    assert snip.when == "init"


def test_gradient_against_finite_differences() -> None:
    where = scene(dtype=torch.float64)
    weights, loss = weights_of(where.model), loss_of(where.model, where.batches)
    scores = gradient(weights=weights, loss=loss)
    step = 1e-5
    for name in weights:
        changed = {n: w.clone() for n, w in weights.items()}
        values = []
        for sign in (1, -1):
            changed[name].view(-1)[5] = weights[name].view(-1)[5] + sign * step
            values.append(float(loss(changed).detach()))
        assert abs(abs(values[0] - values[1]) / (2 * step) - float(scores[name].view(-1)[5])) < 1e-8


def test_weight_times_gradient_is_snip() -> None:
    where = scene(dtype=torch.float64)
    weights, loss = weights_of(where.model), loss_of(where.model, where.batches)
    scores, slopes = snip(weights=weights, loss=loss), gradient(weights=weights, loss=loss)
    assert all(close(scores[n], weights[n].abs() * slopes[n]) for n in weights)


FIELDS = {
    "gradient": ("global", "init", "init", "full", 1),
    "synflow": ("global", "init", "init", "full", 1),
    "saliency": ("global", "trained", "nothing", "rest", 1),
    "lamp": ("global", "trained", "nothing", "rest", 1),
    "magnitude_layerwise": ("uniform", "trained", "nothing", "rest", 1),
    "imp": ("global", "trained", "init", "full", 10),
}


def test_the_fields_methods_are_these_products_of_choices() -> None:
    found = {n: METHODS.get(n) for n in FIELDS}
    assert {n: (m.allocate, m.when, m.rewind, m.retrain, m.rounds) for n, m in found.items()} == FIELDS


def test_names_of_the_field_find_their_method() -> None:
    names = {
        "magnitude_trained": "lr_rewinding",
        "taylor": "saliency",
        "mag": "magnitude_init",
        "rand": "random_ticket",
    }
    assert {alias: METHODS.get(alias).name for alias in names} == names
