"""Masks for other programs: safetensors files, and modules in the form of ``torch.nn.utils.prune``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from prunecheck import tensors
from prunecheck.errors import StudyError
from prunecheck.interop.read import read_masks
from prunecheck.store.durable import write_file


def save_masks(masks: Mapping[str, Tensor], path: str | Path) -> Path:
    """Write masks as bool tensors to a ``.safetensors`` file, whole or not at all; equal masks give equal bytes.

    Raises StudyError for another file name or for tensors that are not bool, StoreError when the disk refuses.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise StudyError(f"{path}: masks are written to .safetensors files.")
    for name, mask in masks.items():
        if mask.dtype != torch.bool:
            raise StudyError(f"the mask of {name} is {mask.dtype}; a mask is bool, True where kept.")
    write_file(path, tensors.to_bytes(masks))
    return path


def to_torch_prune(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    """Put *model* (in place) into the form of ``torch.nn.utils.prune``: ``weight_orig`` and a buffer ``weight_mask``.

    That form lasts through training, but ``copy.deepcopy`` of such a module fails and its state dict has other names;
    ``torch.nn.utils.prune.remove`` makes the zeros permanent. Returns the model. Raises as ``read_masks``.
    """
    for name, mask in read_masks(masks, model).items():
        owner, _, leaf = name.rpartition(".")
        weight = model.get_parameter(name)
        prune.custom_from_mask(model.get_submodule(owner), leaf, mask.to(weight.device))  # type: ignore[no-untyped-call]
    return model
