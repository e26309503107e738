"""Keep a ticket a ticket while any PyTorch code trains it.

Momentum, weight decay and adaptive optimisers move weights whose gradient is 0. So both ends are held: the gradients
of pruned weights are zeroed as they arrive (they then take no part in clipping or momentum), and the weights
themselves after every optimiser step. Nothing is stored in the module: its state dict, its copies and its pickles are
those of an ordinary network.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from prunecheck.interop.read import read_masks


def apply(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set every pruned weight of *model* to 0, in place, once. Raises as ``read_masks``."""
    _zero(model, {name: ~mask for name, mask in read_masks(masks, model).items()})


def keep(model: nn.Module, masks: Mapping[str, Tensor]) -> Hold:
    """Apply the masks and keep them applied: after every step of any ``torch.optim`` optimiser, built before or after,
    pruned weights are exactly 0.

    Returns the handle; ``handle.remove()`` or leaving its ``with`` block lets the weights go. A deep copy of the model
    is not held: call ``keep`` on it. Not for parameters that are torn apart or replaced (FSDP). Raises as
    ``read_masks``.
    """
    return Hold(model, read_masks(masks, model))


class Hold:
    """Masks held on one model, until ``remove``. Does not keep the model alive."""

    def __init__(self, model: nn.Module, masks: Mapping[str, Tensor]) -> None:
        self._model = weakref.ref(model)
        self._pruned = {name: ~mask.to(model.get_parameter(name).device) for name, mask in masks.items()}
        self.zero()
        self._hooks: list[Any] = [
            weight.register_hook(partial(self._zero_gradient, name))  # type: ignore[no-untyped-call]
            for name, weight in ((name, model.get_parameter(name)) for name in masks)
            if weight.requires_grad
        ]
        self._hooks.append(register_optimizer_step_post_hook(self._after_step))
        weakref.finalize(model, _remove, self._hooks)

    def zero(self) -> None:
        """Set the pruned weights to 0 now: for optimisers that are not of ``torch.optim``."""
        model = self._model()
        if model is not None:
            _zero(model, self._pruned)

    def remove(self) -> None:
        """Let the weights go; they stay 0 until something moves them."""
        _remove(self._hooks)

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _after_step(self, _optimiser: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        self.zero()

    def _zero_gradient(self, name: str, gradient: Tensor) -> Tensor:
        pruned = self._pruned[name]
        if pruned.device != gradient.device:  # the model was moved
            pruned = self._pruned[name] = pruned.to(gradient.device)
        return gradient.masked_fill(pruned, 0)  # not a product: infinity times 0 would spoil a scaled step


@torch.no_grad()
def _zero(model: nn.Module, pruned: Mapping[str, Tensor]) -> None:
    for name, mask in pruned.items():
        weight = model.get_parameter(name)
        weight.masked_fill_(mask.to(weight.device), 0)


def _remove(hooks: list[Any]) -> None:
    while hooks:
        hooks.pop().remove()
