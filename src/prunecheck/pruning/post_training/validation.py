"""Refusal of answers of plug-ins that cannot be used: shapes, finite values, counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from prunecheck.errors import PluginError


def validate_tensor(who: str, what: str, layer: str, value: Any, shape: Sequence[int]) -> None:
    if not isinstance(value, Tensor) or tuple(value.shape) != tuple(shape):
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise PluginError(f"{who}: {what} of {layer} has shape {got}; it must be {tuple(shape)}.")
    if value.is_complex():
        raise PluginError(f"{who}: {what} of {layer} is complex.")
    bad = int((~torch.isfinite(value)).sum())
    if bad:
        raise PluginError(f"{who}: {bad} of {value.numel()} values of {what} of {layer} are NaN or infinite.")


def validate_mask(who: str, layer: str, mask: Any, shape: Sequence[int], kept: int) -> None:
    if not isinstance(mask, Tensor) or tuple(mask.shape) != tuple(shape) or mask.dtype != torch.bool:
        got = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise PluginError(f"{who}: the mask of {layer} is {got}; it must be bool {tuple(shape)}, True where kept.")
    if int(mask.sum()) != kept:
        raise PluginError(f"{who}: the mask of {layer} keeps {int(mask.sum())} weights, not {kept}.")
