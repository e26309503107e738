"""What a method is offered when it is asked: weights, a private model, scoring batches, the loss over both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.core.layers import Layer, layers_of, weights_of
from prunecheck.core.seeds import stream
from prunecheck.plugins import Method
from prunecheck.plugins.guards import ask, sound_masks, sound_scores
from prunecheck.stages.context import Context, Params
from prunecheck.training.feed import Feed
from prunecheck.training.scoring import Batch, ScoringLoss, balanced_samples, scoring_copy
from prunecheck.training.task import Task, task_named

NEEDS_BATCHES = frozenset({"batches", "loss"})
NEEDS_COPY = frozenset({"model", "loss"})


def scoring_batches(context: Context, params: Params) -> list[Batch]:
    """The study's scoring batches: class-balanced, without augmentation, from the (perhaps corrupted) training set."""
    images = context.images(params)
    inputs, targets = context.training_set(params)
    feed = Feed(inputs, targets, images.mean, images.std, device=params["device"])
    how, rng = params["scoring"], stream(params["seed"], "scoring batches")
    return [feed.select(i) for i in balanced_samples(targets.numpy(), how["samples_per_class"], how["batches"], rng)]


def weights_and_model(context: Context, params: Params, inputs: Mapping[str, str]) -> nn.Module:
    """The network a method prunes: initial, or as an earlier step left it; pruned weights of an earlier round are 0."""
    model = context.model(params)
    if "weights" in inputs:
        model.load_state_dict(context.tree(inputs["weights"], "final"))
    return model


def asked(
    method: Method,
    model: nn.Module,
    batches: list[Batch],
    task: Task,
    *,
    masks: Mapping[str, Tensor] | None = None,
    counts: Mapping[str, int] | None = None,
    sparsity: float,
    options: Mapping[str, Any],
    seed: int,
    label: str,
) -> dict[str, Tensor]:
    """The scores (or, for ``gives="masks"``, the masks) of a method on one model, proved sound."""
    layers: tuple[Layer, ...] = layers_of(model)
    masks = masks or {layer.name: torch.ones(layer.shape, dtype=torch.bool) for layer in layers}
    weights = {name: (w * masks[name].to(w.device)).clone() for name, w in weights_of(model, layers).items()}
    twin = scoring_copy(model) if NEEDS_COPY & set(method.asks) else model
    offer = {
        "weights": weights,
        "model": twin,
        "batches": batches,
        "loss": ScoringLoss(twin, batches, task),
        "layers": layers,
        "counts": dict(counts or {}),
        "masks": dict(masks),
        "sparsity": sparsity,
        "rng": stream(seed, "method", label, f"{sparsity:.12g}" if method.gives == "masks" else "scores"),
    }
    answer = ask(method, offer, options)
    if method.gives == "masks":
        return sound_masks(f"method {method.name!r}", answer, layers, counts)
    return sound_scores(f"method {method.name!r}", answer, layers)


def task_of(params: Params) -> Task:
    return task_named(params["task"])
