"""Running a method: its arguments are built, it is called, its answer is validated."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.errors import PluginError
from prunecheck.process_state import standard_modes
from prunecheck.pruning import Method
from prunecheck.pruning.call_plugin import call_plugin
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import Layer, layers_of, total, weights_of
from prunecheck.pruning.masks import counts_of
from prunecheck.pruning.patterns import Pattern, layers_under, parse_pattern
from prunecheck.pruning.presets import scoring_for
from prunecheck.pruning.pruned import masks_in_module
from prunecheck.pruning.scoring_inputs import Batch, ScoringLoss, halved, redrawn, scoring_copy
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.structure import has_pattern
from prunecheck.pruning.task import Task
from prunecheck.pruning.train_loader import TrainLoader
from prunecheck.pruning.validation import validate_masks, validate_scores
from prunecheck.text import percent

NEEDS_BATCHES = frozenset({"batches", "loss"})
NEEDS_COPY = frozenset({"model", "loss"})
SLACK = 0.01
"""The fraction of the kept weights by which a method with its own counts may miss the total."""


@standard_modes()
def run_method(
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
    input_shape: tuple[int, ...] = (),
    preset: str | None = None,
    pattern: str | None = None,
    train_loader: TrainLoader | None = None,
    also: Collection[str] = (),
) -> dict[str, Tensor]:
    """The scores (or, for ``gives="masks"``, the masks) of a method on one model, validated.

    ``masks``: of the previous round. ``label``, ``seed``, ``sparsity``: they choose the method's random stream.
    ``preset``: scores the copy of the network that a published code scores, in place of the network itself.
    ``train_loader``: for a method that learns its masks. ``also``: further kinds of prunable weights, see
    ``layers_of``.
    """
    layers: tuple[Layer, ...] = layers_of(model, also)
    how = scoring_for(preset, method.name)
    if how.redraw:
        model = _with(model, redrawn(layers, how.redraw, seed))
    if how.halves:
        batches = halved(batches)
    masks = masks or {layer.name: torch.ones(layer.shape, dtype=torch.bool) for layer in layers}
    contiguous = torch.contiguous_format  # networks are channels-last here, and plug-ins say w.view(-1)
    weights = {
        name: (w * masks[name].to(w.device)).contiguous(memory_format=contiguous)
        for name, w in weights_of(model, layers).items()
    }
    scored = scoring_copy(model, how.normalisation) if NEEDS_COPY & set(method.asks) else model
    if scored is not model:
        scored.load_state_dict(weights, strict=False)  # pruned weights of an earlier round are 0 in the model too
    if scored is not model and method.gives == "masks":  # torch.nn.utils.prune, for one, needs weights it can flatten
        scored.to(memory_format=torch.contiguous_format)
    offer = {
        "weights": weights,
        "model": scored,
        "batches": batches,
        "loss": ScoringLoss(scored, batches, task),
        "train_loader": train_loader,
        "layers": layers,
        "input_shape": input_shape,
        "counts": dict(counts or {}),
        "masks": dict(masks),
        "pattern": pattern,
        "sparsity": sparsity,
        "rng": stream(seed, "method", label, f"{sparsity:.12g}" if method.gives == "masks" else "scores"),
    }
    answer = call_plugin(method, offer, options)
    if train_loader is not None:
        train_loader.validate()
    if method.gives == "masks":
        if isinstance(answer, nn.Module):
            answer = {layer.name: found.mask for layer, found in masks_in_module(answer, also).items()}
        chosen = validate_masks(f"method {method.name!r}", answer, layers, counts)
        if counts is None:
            _validate_total(method, chosen, total(layers), sparsity)
        if pattern is not None:
            _validate_pattern(method, chosen, layers, parse_pattern(pattern))
        return chosen
    return validate_scores(f"method {method.name!r}", answer, layers)


def _with(model: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """A copy of *model* with other values for these weights."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in weights.items():
            changed.get_parameter(name).copy_(weight)
    return changed


def _validate_total(method: Method, masks: Mapping[str, Tensor], weights: int, sparsity: float) -> None:
    """Pruners that count for themselves round in their own ways, but must reach the sparsity. Raises PluginError."""
    kept, wanted = sum(counts_of(masks).values()), kept_total(weights, sparsity)
    if abs(kept - wanted) > SLACK * wanted:
        raise PluginError(
            f"method {method.name!r} keeps {kept} of {weights} weights; a sparsity of {percent(sparsity)} leaves "
            f"{wanted}, give or take {percent(SLACK)} of them."
        )


def _validate_pattern(method: Method, masks: Mapping[str, Tensor], layers: tuple[Layer, ...], pattern: Pattern) -> None:
    """A method that asks for the pattern follows it in every layer it prunes. Raises PluginError."""
    fits = layers_under(pattern, layers)
    for layer in layers:
        mask = masks[layer.name]
        if bool(mask.any()) and not bool(mask.all()) and not (layer in fits and has_pattern(mask, pattern)):
            raise PluginError(f"method {method.name!r}: the mask of {layer.name} has not the pattern {str(pattern)!r}.")
