"""Saliency and gradient magnitude: SNIP's score after training, and SNIP's score without the weight."""

from __future__ import annotations

import torch

from prunecheck.pruning import METHODS
from prunecheck.pruning.layers import weights_of
from prunecheck.pruning.methods.gradient import gradient
from prunecheck.pruning.methods.saliency import saliency
from prunecheck.pruning.methods.snip import snip
from tests.pruning.methods.tiny import close, loss_of, scene, slope_of


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
