"""Masks from files, dicts, state dicts and pruned modules, in one form: ``{parameter name: bool tensor}``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor, nn

from prunecheck.errors import StudyError
from prunecheck.interop.files import Nested, dense, from_array, leaves, read_tensors
from prunecheck.interop.match import kinds_with_masks, masks_by_layer, masks_by_name, masks_of_layers, plain_name
from prunecheck.pruning.layers import ALSO, layers_of
from prunecheck.pruning.masks import Masks
from prunecheck.pruning.pruned import FEW_ZEROS, Found, masks_in_module
from prunecheck.text import printable, printable_path

Source: TypeAlias = "nn.Module | Mapping[str, Tensor | np.ndarray] | str | Path"


def read_masks(source: Source, model: nn.Module | None = None) -> Masks:
    """``{parameter name: bool tensor}``, True = keep, from any form of a pruned network.

    ``source``: bool tensors or arrays by parameter name; a state dict (of ``torch.nn.utils.prune``, of
    parametrisations with a ``mask`` buffer, or with plain zeros); a module in one of these forms; a checkpoint in which
    these are nested or wrapped; or the path of a ``.safetensors``, ``.npz`` or ``.pt`` file with one of them. Masks
    that stand beside weights are taken, and not the zeros of the weights. ``model``: the unpruned network; with it
    every convolution and linear layer must have a mask of its shape, and the masks come in its order; weights of
    attention and of recurrent layers have one where one of their kind is pruned. Without it, a state dict's
    prunable layers are taken to be its weights of two or more dimensions.

    Warns where a layer has so few zeros that they may be there by chance. Raises StudyError for unknown names (with
    the nearest one), missing layers, other shapes, unreadable files, masks that contradict each other, and where
    nothing or everything is pruned.
    """
    where, found = _found(source, model)
    _judge_zeros(where, found)
    return {name: one.mask for name, one in found.items()}


def _found(source: Source, model: nn.Module | None) -> tuple[str, dict[str, Found]]:
    """Where the masks come from, in words, and the masks."""
    if isinstance(source, nn.Module):
        where, every = type(source).__name__, masks_in_module(source, ALSO)
        also = {layer.kind for layer, one in every.items() if layer.kind in ALSO and one.is_pruned}
        found = {layer.name: one for layer, one in every.items() if layer.kind not in ALSO or layer.kind in also}
        if model is None:
            return where, found
        return where, masks_by_layer(
            where, {plain_name(name): one for name, one in found.items()}, layers_of(model, also)
        )
    if isinstance(source, (str, Path)):
        where, tensors = printable_path(source), read_tensors(Path(source))
    else:
        where, tensors = "the masks", _as_tensors(source)
    if model is None:
        return where, masks_by_name(where, tensors)
    others = tuple(layer for layer in layers_of(model, ALSO) if layer.kind in ALSO)
    return where, masks_of_layers(where, tensors, layers_of(model, kinds_with_masks(tensors, others)))


def _as_tensors(source: Mapping[str, Any]) -> Nested:
    if not isinstance(source, Mapping):
        raise StudyError(f"the masks: a {type(source).__name__} has no names; give {{parameter name: mask}}.")
    is_checkpoint = any(isinstance(value, Mapping) for value in source.values())
    tensors: Nested = {}
    items = leaves(source) if is_checkpoint else (((str(name),), value) for name, value in source.items())
    for names, value in items:
        name = ".".join(names)
        if isinstance(value, np.ndarray):
            try:
                tensors[names] = from_array(value)
            except (TypeError, ValueError):
                raise StudyError(
                    f"the masks: {printable(name)} is an array of {value.dtype}, not of numbers."
                ) from None
        elif isinstance(value, Tensor):
            tensors[names] = dense("the masks", name, value)
        elif not is_checkpoint and value is not None:  # beside nested tensors there are epochs, names, None
            raise StudyError(f"the masks: {printable(name)} is {type(value).__name__}, not a tensor.")
    if not tensors:
        raise StudyError("the masks: there is none.")
    return tensors


def _judge_zeros(where: str, found: Mapping[str, Found]) -> None:
    """Warn of zeros that may be accidental: initialisers and rounding create them too."""
    zeros = {name: int((~one.mask).sum()) for name, one in found.items() if one.is_plain}
    if not any(bool(one.mask.any()) for one in found.values()):
        raise StudyError(f"{where}: every weight is pruned: nothing is left to train.")
    if len(zeros) == len(found) and not any(zeros.values()):
        raise StudyError(f"{where}: no weight is exactly 0 and there is no mask: nothing is pruned here.")
    for name, count in zeros.items():
        size = found[name].mask.numel()
        if 0 < count < FEW_ZEROS * size:
            warnings.warn(
                f"{where}: {name} has {count} zeros among {size} weights, which may be 0 by chance; "
                "they are taken as pruned. Give its mask to be sure.",
                stacklevel=3,
            )
