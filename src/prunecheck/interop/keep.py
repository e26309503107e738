"""Masked training: pruned weights stay 0 while any PyTorch code trains the network.

Momentum, weight decay and adaptive optimisers move weights whose gradient is 0. Therefore the gradients of pruned
weights are zeroed as they arrive (they then take no part in clipping or momentum), and the weights themselves after
every optimiser step. Nothing is stored in the module: its state dict, its copies and its pickles are those of an
ordinary network.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from prunecheck.errors import StudyError
from prunecheck.interop.read import read_masks


def apply(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set every pruned weight of *model* to 0, in place, once. Raises as ``read_masks``."""
    _zero(model, {name: ~mask for name, mask in read_masks(masks, model).items()})


def keep(model: nn.Module, masks: Mapping[str, Tensor]) -> MaskedTraining:
    """Apply the masks and keep them applied: after every step of any ``torch.optim`` optimiser, built before or after,
    pruned weights are exactly 0.

    Returns a handle: ``handle.remove()``, or leaving its ``with`` block, ends it. A deep copy of the model is not
    affected: call ``keep`` on the copy. Not for parameters that are split or replaced (FSDP). Raises as ``read_masks``.
    """
    return MaskedTraining(model, read_masks(masks, model))


class MaskedTraining:
    """The handle of ``keep``: pruned weights of one model are 0 after every step, until ``remove``.

    It does not keep the model alive.
    """

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
        """Remove the hooks; pruned weights stay 0 until an optimiser updates them."""
        _remove(self._hooks)

    def __enter__(self) -> MaskedTraining:
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


def lightning_callback(masks: Mapping[str, Tensor], submodule: str = "") -> Any:
    """A ``Callback`` for ``Trainer(callbacks=[...])`` of Lightning 2: ``keep`` from the start of training to its end.

    ``submodule``: where the pruned network is in the LightningModule, e.g. ``"net"``; empty: it is the module itself.

    Raises StudyError where Lightning is not installed.
    """

    class KeepMasks(_base(("lightning.pytorch", "pytorch_lightning"), "Callback")):  # type: ignore[misc]
        training: MaskedTraining | None = None

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
            self.training = keep(pl_module.get_submodule(submodule), masks)

        def on_train_batch_end(self, *_args: Any, **_kwargs: Any) -> None:
            _zero_now(self.training)  # for strategies whose optimiser is not torch's

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
            _end(self.training)

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ARG002
            _end(self.training)

    return KeepMasks()


def hugging_face_callback(masks: Mapping[str, Tensor], submodule: str = "") -> Any:
    """A ``TrainerCallback`` for ``Trainer(callbacks=[...])`` of Hugging Face; as ``lightning_callback``."""

    class KeepMasks(_base(("transformers",), "TrainerCallback")):  # type: ignore[misc]
        training: MaskedTraining | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_kwargs: Any) -> None:  # noqa: ARG002
            self.training = keep(model.get_submodule(submodule), masks)

        def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
            _zero_now(self.training)  # for optimisers that are not torch's

        def on_train_end(self, *_args: Any, **_kwargs: Any) -> None:
            _end(self.training)

    return KeepMasks()


def _base(packages: tuple[str, ...], name: str) -> Any:
    for package in packages:
        try:
            return getattr(import_module(package), name)
        except ImportError:
            continue
    raise StudyError(f"{packages[0].split('.')[0]} is not installed, and its callback needs it.")


def _zero_now(training: MaskedTraining | None) -> None:
    if training is not None:
        training.zero()


def _end(training: MaskedTraining | None) -> None:
    if training is not None:
        training.remove()
