"""What is known of a mask before anything is trained: counts, empty layers, and what is really connected."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from prunecheck.process_state import standard_modes
from prunecheck.pruning.layers import ALSO, weights_in

CENTRING = (nn.GroupNorm, nn.LayerNorm, nn.modules.instancenorm._InstanceNorm)
"""normalisations that subtract a mean of what they are given: with them a signal says nothing about paths"""

AVERAGE: dict[Any, Callable[..., Tensor]] = {
    F.max_pool1d: F.avg_pool1d,
    F.max_pool2d: F.avg_pool2d,
    F.max_pool3d: F.avg_pool3d,
    F.adaptive_max_pool1d: F.adaptive_avg_pool1d,
    F.adaptive_max_pool2d: F.adaptive_avg_pool2d,
    F.adaptive_max_pool3d: F.adaptive_avg_pool3d,
}


@standard_modes()
def connected_weights(
    model: nn.Module, masks: Mapping[str, Tensor], image: tuple[int, ...]
) -> dict[str, Tensor] | None:
    """The kept weights that lie on a path from input to output (Vysogorets & Kempe 2023), as masks.

    All weights are set to their mask (scaled to keep sums finite), biases to 0, normalisation to the identity; with
    an input of ones every activation counts paths, and so does every gradient. A maximum over a window becomes a sum:
    a path leads through all of it. None for networks in which signals are not sums of non-negative terms.
    """
    if any(isinstance(module, CENTRING) for module in model.modules()):
        return None
    # Gates and softmax saturate: where they do, the gradient of a path is 0.
    for prefix, module in model.named_modules():
        kind, names = weights_in(module, ALSO) or ("linear", ())
        if kind in ALSO and any(f"{prefix}.{name}".lstrip(".") in masks for name in names):
            return None
    net = copy.deepcopy(model).double().eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.reset_running_stats()
        for name, parameter in net.named_parameters():
            if name in masks:
                fan_in = max(1, parameter[0].numel())
                parameter.copy_(masks[name] / fan_in**0.5)
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    parameters = [net.get_parameter(name) for name in masks]
    try:
        with _WindowsAdd():
            paths = net(torch.ones((1, *image), dtype=torch.float64)).sum()
        gradients = torch.autograd.grad(paths, parameters, allow_unused=True, materialize_grads=True)
    except (RuntimeError, TypeError, AttributeError):
        return None
    if not all(bool(torch.isfinite(g).all()) and bool((g >= 0).all()) for g in (paths, *gradients)):
        return None
    return {name: mask & (g > 0) for (name, mask), g in zip(masks.items(), gradients, strict=True)}


class _WindowsAdd(TorchFunctionMode):
    """Within the block max-pooling is average-pooling. TypeError for windows with gaps, which it has not."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if function not in AVERAGE:
            return function(*args, **options)
        options.pop("return_indices", None)  # False: with indices the function is another one
        if options.pop("dilation", 1) not in (1, (1, 1), (1, 1, 1)):
            raise TypeError("an average has no gaps")
        return AVERAGE[function](*args, **options)


def dead_units(connected: Mapping[str, Tensor]) -> int:
    return sum(int((~mask.reshape(len(mask), -1).any(dim=1)).sum()) for mask in connected.values())
