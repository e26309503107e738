"""Reads masks from files, dicts, state dicts and pruned modules into one form: ``{parameter name: bool tensor}``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from prunecheck.errors import StudyError
from prunecheck.interop.files import read_tensors
from prunecheck.pruning.layers import Layer, layers_of
from prunecheck.pruning.masks import Masks
from prunecheck.pruning.pruned import Found, mask_in_state, masks_in_module, weight_of
from prunecheck.text import nearest, printable, printable_path, unknown

Source: TypeAlias = "nn.Module | Mapping[str, Tensor | np.ndarray] | str | Path"

WRAPPERS = ("", "module.", "_orig_mod.", "model.")
"""Prefixes that data parallelism, ``torch.compile`` and Lightning add to names."""
FEW_ZEROS = 0.001
"""A layer with fewer zeros than this share is probably not pruned: some weights are 0 by accident."""


def read_masks(source: Source, model: nn.Module | None = None) -> Masks:
    """``{parameter name: bool tensor}``, True = keep, from any form of a pruned network.

    ``source``: bool tensors or arrays by parameter name; a state dict (of ``torch.nn.utils.prune``, of
    parametrisations with a ``mask`` buffer, or with plain zeros); a module in one of these forms; or the path of a
    ``.safetensors``, ``.npz`` or ``.pt`` file with either. ``model``: the unpruned network; with it every prunable
    layer must have a mask of its shape, and the masks come in its order. Without it, a state dict's prunable layers
    are taken to be its weights of two or more dimensions.

    Warns where a layer has so few zeros that they may be there by chance. Raises StudyError for unknown names (with
    the nearest one), missing layers, other shapes, unreadable files, and where nothing is pruned at all.
    """
    where, found = _found(source, None if model is None else layers_of(model))
    _judge_zeros(where, found)
    return {name: one.mask for name, one in found.items()}


def _found(source: Source, layers: tuple[Layer, ...] | None) -> tuple[str, dict[str, Found]]:
    """A description of the source, and the masks."""
    if isinstance(source, nn.Module):
        where = type(source).__name__
        found = {layer.name: one for layer, one in masks_in_module(source).items()}
        if layers is not None:
            _refuse_unknown(where, found, layers)
            found = {layer.name: _fitting(where, layer, found.get(layer.name), ()) for layer in layers}
        return where, found
    if isinstance(source, (str, Path)):
        where, tensors = printable_path(source), read_tensors(Path(source))
    else:
        where, tensors = "the masks", _as_tensors(source)
    if layers is None:
        return where, _unnamed(where, tensors)
    tensors = _unwrapped(tensors, layers)
    every_one_a_mask = all(tensor.dtype == torch.bool for tensor in tensors.values())
    named = {weight_of(key) for key, tensor in tensors.items() if every_one_a_mask or _is_mask_of_weight(key, tensors)}
    _refuse_unknown(where, sorted(named), layers)
    unknown = set(tensors) - {layer.name for layer in layers}
    return where, {layer.name: _fitting(where, layer, mask_in_state(tensors, layer.name), unknown) for layer in layers}


def _as_tensors(source: Mapping[str, Tensor | np.ndarray]) -> dict[str, Tensor]:
    tensors = {}
    for name, value in source.items():
        if not isinstance(value, (Tensor, np.ndarray)):
            raise StudyError(f"the masks: {printable(str(name))} is {type(value).__name__}, not a tensor.")
        tensors[str(name)] = value.detach() if isinstance(value, Tensor) else torch.from_numpy(value)
    if not tensors:
        raise StudyError("the masks: there is none.")
    return tensors


def _unwrapped(tensors: Mapping[str, Tensor], layers: tuple[Layer, ...]) -> dict[str, Tensor]:
    """The names as the model has them, without prefixes of wrappers."""
    names = {layer.name for layer in layers}
    for prefix in WRAPPERS:
        shorter = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
        if any(weight_of(key) in names for key in shorter):
            return shorter
    return dict(tensors)


def _is_mask_of_weight(key: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether an entry is the pruning mask of something with the dimensions of a weight."""
    return weight_of(key) != key and f"{weight_of(key)}_orig" in tensors and tensors[key].dim() > 1


def _refuse_unknown(where: str, named: Iterable[str], layers: tuple[Layer, ...]) -> None:
    names = [layer.name for layer in layers]
    for name in named:
        if name not in names:
            raise StudyError(f"{where}: {unknown('prunable layer of the model', name, names)}")


def _fitting(where: str, layer: Layer, found: Found | None, unknown: Iterable[str]) -> Found:
    """The mask, if there is one and it fits; otherwise StudyError suggests the nearest name that fits no layer."""
    if found is None:
        guess = nearest(layer.name, unknown)
        hint = f" Is it {printable(guess)!r}?" if guess else " Give one of all True where a layer is not pruned."
        raise StudyError(f"{where}: there is no mask for {layer.name}.{hint}")
    if tuple(found.mask.shape) != layer.shape:
        raise StudyError(
            f"{where}: the mask of {layer.name} has shape {tuple(found.mask.shape)}; the weight has {layer.shape}."
        )
    return found


def _unnamed(where: str, tensors: Mapping[str, Tensor]) -> dict[str, Found]:
    """The prunable tensors, if no model is given."""
    every_one_a_mask = all(tensor.dtype == torch.bool for tensor in tensors.values())
    found = {}
    for name in dict.fromkeys(weight_of(key) for key in tensors):
        one = mask_in_state(tensors, name)
        is_weight = name.rpartition(".")[2] == "weight" and one is not None and one.mask.dim() > 1
        if one is not None and (every_one_a_mask or is_weight):
            found[name] = one
    if not found:
        raise StudyError(f"{where}: there is no weight of two or more dimensions, and no mask of one.")
    return found


def _judge_zeros(where: str, found: Mapping[str, Found]) -> None:
    """Warn of zeros that may be accidental: initialisers and rounding create them too."""
    zeros = {name: int((~one.mask).sum()) for name, one in found.items() if one.is_plain}
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
