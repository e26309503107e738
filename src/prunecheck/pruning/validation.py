"""Validation of what plug-ins return, built-in or not, so that no author has to.

Same names and shapes in and out, finite scores, counts within range, a corruption that changed something and kept what
it promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.masks import check_finite
from prunecheck.pruning.plugins import Check


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b.to(a.dtype))


def same_layout(who: str, what: str, answer: Any, layers: tuple[Layer, ...]) -> dict[str, Tensor]:
    """*answer* as ``{layer: tensor}`` in layer order. Raises PluginError for missing, extra or misshapen entries."""
    if not isinstance(answer, Mapping):
        raise PluginError(f"{who} returned {type(answer).__name__}; it must return {{layer name: {what}}}.")
    names = [layer.name for layer in layers]
    missing = [name for name in names if name not in answer]
    extra = [name for name in answer if name not in names]
    if missing or extra:
        word, which = ("nothing for", missing) if missing else ("unknown layers", extra)
        raise PluginError(f"{who} returned {word} {', '.join(map(str, which[:3]))}.")
    for layer in layers:
        value = answer[layer.name]
        if not isinstance(value, Tensor) or tuple(value.shape) != layer.shape:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise PluginError(f"{who}: {what} of {layer.name} has shape {shape}; it must be {layer.shape}.")
    return {name: answer[name] for name in names}


def validate_scores(who: str, answer: Any, layers: tuple[Layer, ...]) -> dict[str, Tensor]:
    """Scores of every layer, detached, floating point (whole numbers become float64) and finite."""
    scores = same_layout(who, "scores", answer, layers)
    for name, score in scores.items():
        if score.is_complex():
            raise PluginError(f"{who}: scores of {name} are complex numbers, which have no order.")
    wide = {n: s.detach() if s.is_floating_point() else s.detach().double() for n, s in scores.items()}
    check_finite(wide, who)
    return wide


def validate_masks(
    who: str, answer: Any, layers: tuple[Layer, ...], counts: Mapping[str, int] | None
) -> dict[str, Tensor]:
    """Masks of every layer, boolean, with the given counts. Raises PluginError."""
    masks = same_layout(who, "masks", answer, layers)
    for name, mask in masks.items():
        if mask.dtype != torch.bool:
            raise PluginError(f"{who}: the mask of {name} is {mask.dtype}; a mask is bool, True where kept.")
        if counts is not None and int(mask.sum()) != counts[name]:
            raise PluginError(f"{who}: the mask of {name} keeps {int(mask.sum())} weights, not {counts[name]}.")
    if not any(bool(mask.any()) for mask in masks.values()):
        raise PluginError(f"{who} keeps no weight at all.")
    return masks


def validate_weights(
    who: str, answer: Any, layers: tuple[Layer, ...], before: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Weights of every layer, of the type they had *before*, finite."""
    weights = same_layout(who, "weights", answer, layers)
    for name, weight in weights.items():
        if weight.dtype != before[name].dtype:
            raise PluginError(f"{who}: the weights of {name} are {weight.dtype}; they were {before[name].dtype}.")
        bad = int((~torch.isfinite(weight)).sum())
        if bad:
            raise PluginError(f"{who}: {bad} of {weight.numel()} weights of {name} are NaN or infinite.")
    return {name: weight.detach() for name, weight in weights.items()}


def validate_batches(who: str, answer: Any, before: tuple[Tensor, Tensor], classes: int) -> tuple[Tensor, Tensor]:
    """A training set of the same kind as *before*: uint8 images of the same size and as many int64 targets, all of
    them classes."""
    if not (isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(part, Tensor) for part in answer)):
        raise PluginError(f"{who} returned {type(answer).__name__}; it must return the tensors (inputs, targets).")
    inputs, targets = answer
    if targets.ndim != 1 or len(inputs) != len(targets) or len(targets) == 0:
        raise PluginError(
            f"{who} returned inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)}; it must return one "
            "target for every image, and at least one image."
        )
    if inputs.dtype != torch.uint8 or inputs.shape[1:] != before[0].shape[1:]:
        size = " x ".join(map(str, before[0].shape[1:]))
        raise PluginError(
            f"{who} returned {inputs.dtype} images {tuple(inputs.shape)}; it must return uint8 images of {size}."
        )
    if targets.dtype != torch.int64 or int(targets.min()) < 0 or int(targets.max()) >= classes:
        raise PluginError(f"{who} returned targets that are not int64 numbers in 0..{classes - 1}.")
    return inputs, targets


def validate_corruption(check: Check, before: Any, after: Any, masks: Mapping[str, Tensor] | None = None) -> None:
    """The corruption changed something (unless it is a control) and kept what it promised.

    ``before``/``after``: the value that was corrupted, ``{layer: tensor}`` or ``(inputs, targets)``. ``masks``: the
    ticket's mask for ``preserves="values"``. Raises PluginError.
    """
    who = f"check {check.name!r}"
    parts = list(before) if isinstance(before, Mapping) else range(len(before))
    changed = any(not _equal(before[i], after[i]) for i in parts)
    if check.changes and not changed:
        raise PluginError(f"{who} left every tensor at {check.at!r} unchanged: it tests nothing here.")
    if not check.changes and changed:
        raise PluginError(f"{who} is declared to change nothing, and changed something.")
    if check.preserves == "counts":
        for name in before:
            if int(before[name].sum()) != int(after[name].sum()):
                raise PluginError(f"{who} promised to keep the counts and changed that of {name}.")
    if check.preserves == "magnitudes":
        for name in before:
            if not torch.equal(before[name].abs(), after[name].abs()):
                raise PluginError(f"{who} promised to keep the magnitudes and changed one of {name}.")
    if check.preserves == "values" and masks is not None:
        for name, mask in masks.items():
            kept = [torch.sort(tree[name][mask]).values for tree in (before, after)]
            if not torch.equal(kept[0], kept[1]) or bool(after[name][~mask].any()):
                raise PluginError(f"{who} promised to keep the kept values of {name} and did not.")
