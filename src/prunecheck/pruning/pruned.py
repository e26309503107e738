"""Masks out of whatever form a pruned network has: ``torch.nn.utils.prune`` buffers, parametrisations, plain zeros.

``torch.nn.utils.prune`` turns ``weight`` into ``weight_orig`` and a buffer ``weight_mask``; a parametrisation keeps
``parametrizations.weight.original`` and, where it is a mask, a buffer ``parametrizations.weight.0.mask``. Anything
else is pruned where it is exactly 0.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunecheck.errors import ModelError, StudyError
from prunecheck.pruning.layers import Layer, nothing_to_prune, weights_in

FEW_ZEROS = 0.001
"""A layer with fewer zeros than this share is probably not pruned: some weights are 0 by accident."""
_PARAMETRISED = re.compile(r"(.*?)parametrizations\.(\w+)\.\d+\.mask")


@dataclass(frozen=True)
class Found:
    """The mask of one weight, bool, True = kept. ``is_plain``: read off zeros, which may be there by chance."""

    mask: Tensor
    is_plain: bool

    @property
    def is_pruned(self) -> bool:
        """A mask given as such, or more zeros than can be there by chance."""
        return not self.is_plain or int((~self.mask).sum()) >= FEW_ZEROS * self.mask.numel()


def weight_of(key: str) -> str:
    """The name of the weight that an entry of a state dict speaks of: ``conv1.weight_mask -> conv1.weight``."""
    match = _PARAMETRISED.fullmatch(key)
    return match[1] + match[2] if match else key.removesuffix("_mask")


def mask_in_state(state: Mapping[str, Tensor], name: str) -> Found | None:
    """The mask of the weight *name* in a state dict; None where there is no such weight.

    Raises StudyError for a mask buffer with values other than 0 and 1.
    """
    buffers = [key for key in state if key != name and weight_of(key) == name]
    if buffers:
        masks = [_hard(key, state[key]) for key in buffers]
        return Found(torch.stack(masks).all(dim=0), is_plain=False)
    if name not in state:
        return None
    return Found(state[name] != 0, is_plain=state[name].dtype != torch.bool)


def masks_in_module(model: nn.Module, also: Collection[str] = ()) -> dict[Layer, Found]:
    """The mask of every Conv*/Linear weight of a module in any pruned form, in module order, shared weights once, and
    those of the kinds in *also*.

    Raises ModelError where there is no such weight.
    """
    from torch.nn.parameter import UninitializedParameter

    found: dict[Layer, Found] = {}
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        kind, names = weights_in(module, also) or ("linear", ())
        own = dict([*module.named_parameters(), *module.named_buffers()]) if names else {}
        for name in names:
            forms = (name, f"{name}_orig", f"parametrizations.{name}.original")
            source = next((own[key] for key in forms if key in own), getattr(module, name))
            if isinstance(source, UninitializedParameter):
                raise ModelError(f"{prefix}.{name} is lazy and has no shape yet: run one forward pass before pruning.")
            if id(source) in seen:
                continue
            seen.add(id(source))
            mask = mask_in_state({key: tensor.detach() for key, tensor in own.items()}, name)
            if mask is None:  # a parametrisation of another kind: what it makes of the weight decides
                mask = Found(getattr(module, name).detach() != 0, is_plain=True)
            found[Layer(f"{prefix}.{name}" if prefix else name, kind, tuple(source.shape))] = mask
    if not found:
        raise ModelError(nothing_to_prune(model))
    return found


def _hard(key: str, mask: Tensor) -> Tensor:
    kept = mask != 0
    if not torch.equal(kept.to(mask.dtype), mask):
        raise StudyError(f"{key} holds values other than 0 and 1: it is no mask.")
    return kept
