"""Calling a plug-in, built-in or not, with exactly what it asks for, and without any effect on what others compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.errors import PluginError
from prunecheck.process_state import process_state_kept, standard_modes
from prunecheck.pruning.plugins import Allocation, Check, Method
from prunecheck.pruning.post_training_plugins import PostTrainingCheck, PostTrainingMethod
from prunecheck.pruning.seeds import torch_stream

Plugin = Method | Allocation | Check | PostTrainingMethod | PostTrainingCheck


def call_plugin(plugin: Plugin, offer: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Call a plug-in with exactly what it asks for and verify that it left what it was given as it was.

    Global generators and settings of torch and the process are put back after the call. Only a pruner that hands back
    the very model it was given may have changed that: its answer is the change. Otherwise what it was given is put back
    before PluginError is raised: it may be the training set of other steps.
    """
    given = {name: offer[name] for name in plugin.asks}
    held = {name: _Held(value) for name, value in given.items()}
    answer, changed = None, []
    try:
        # A stream of its own: what a plug-in draws from torch's global generator does not depend on earlier steps.
        with process_state_kept(), torch_stream(0, "plugin", plugin.name), standard_modes():
            answer = plugin.function(**given, **options)
    finally:
        # Also where the plug-in raises: other steps of this process share these tensors.
        for name, value in given.items():
            is_answer = isinstance(value, nn.Module) and answer is value
            if not is_answer and held[name].put_back():
                changed.append(name)
    if changed:
        raise PluginError(f"{plugin.name} changed the {changed[0]} it was given; work on a copy.")
    return answer


class _Held:
    """The tensors of one value that a plug-in is given, with copies of them."""

    def __init__(self, value: Any) -> None:
        self._value, self._tensors = value, _tensors(value)
        self._copies = [tensor.detach().clone() for tensor in self._tensors]

    @torch.no_grad()
    def put_back(self) -> bool:
        """Undo what was done to the tensors in place; True if they, or what holds them, had changed."""
        now = _tensors(self._value)
        changed = len(now) != len(self._tensors) or any(a is not b for a, b in zip(now, self._tensors, strict=True))
        for tensor, copy in zip(self._tensors, self._copies, strict=True):
            if tensor.shape != copy.shape:
                # copy_() would refuse another shape, or broadcast.
                tensor.data = copy
                changed = True
            elif not torch.equal(_bits(tensor.detach()), _bits(copy)):
                tensor.copy_(copy)
                changed = True
        return changed


def _tensors(value: Any) -> list[Tensor]:
    """The tensors a plug-in could change."""
    if isinstance(value, nn.Module):
        return [*value.parameters(), *value.buffers()]
    if isinstance(value, Mapping):
        return [v for v in value.values() if isinstance(v, Tensor)]
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in _tensors(item)]
    return []


def _bits(tensor: Tensor) -> Tensor:
    """Values compared as bits, so that NaN equals itself."""
    return tensor.contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else tensor.reshape(-1)
