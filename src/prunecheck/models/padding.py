"""Weights of convolutions that only ever multiply padding, as where a network for 224 pixels is given 32."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunecheck.errors import STOPS
from prunecheck.text import percent, printable

FEW = 0.05
"""a smaller share of the weights is not worth a remark"""


@dataclass(frozen=True)
class PaddingOnly:
    """``share``: the fraction of the weights of all convolutions and linear layers that only ever multiply padding,
    because the features are too small for the kernels; ``layers``: the convolutions they belong to."""

    share: float
    layers: tuple[str, ...]

    def sentence(self, model: str, side: int) -> str:
        name = printable(self.layers[0], 120)
        others = f" and {len(self.layers) - 1} more" if len(self.layers) > 1 else ""
        return (
            f"{percent(round(self.share, 2))} of the weights of {printable(model)} only ever multiply padding: images "
            f"of {side} x {side} pixels are too small for {name}{others}. Removing these weights costs nothing, which "
            "distorts every comparison of masks. Use larger images (data.size) or a network for small ones, such as "
            'model = "resnet18" (3 x 3 stem, no pooling).'
        )


def padding_only(model: nn.Module, channels: int, side: int) -> PaddingOnly | None:
    """None where next to no weight multiplies padding alone, or where the network does not take such images."""
    dead: dict[str, int] = {}

    def look(name: str, layer: nn.Conv2d, inputs: tuple[Tensor, ...]) -> None:
        positions = layer.weight.shape[2] * layer.weight.shape[3]
        reached = 1
        for axis in (0, 1):
            reached *= _reached(layer, axis, inputs[0].shape[2 + axis])
        if reached < positions and layer.padding_mode == "zeros":
            dead[name] = layer.weight.numel() // positions * (positions - reached)

    hooks = [
        module.register_forward_pre_hook(lambda layer, inputs, name=name: look(name, layer, inputs))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    mode = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, channels, side, side))
    except STOPS:
        raise
    except BaseException:  # the network is the user's; what it refuses is reported where it is tried
        return None
    finally:
        model.train(mode)
        for hook in hooks:
            hook.remove()
    total = sum(m.weight.numel() for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear)))
    share = sum(dead.values()) / total if total else 0.0
    return PaddingOnly(share, tuple(sorted(dead, key=lambda name: -dead[name]))) if share >= FEW else None


def _reached(layer: nn.Conv2d, axis: int, side: int) -> int:
    """How many rows (axis 0) or columns (axis 1) of the kernel meet an input of *side* pixels at any output."""
    kernel, stride, dilation = layer.kernel_size[axis], layer.stride[axis], layer.dilation[axis]
    # the two numbers of the last axis come first in this list
    before, after = layer._reversed_padding_repeated_twice[2 * (1 - axis) : 2 * (1 - axis) + 2]
    outputs = (side + before + after - dilation * (kernel - 1) - 1) // stride + 1
    return sum(
        any(0 <= out * stride - before + row * dilation < side for out in range(outputs)) for row in range(kernel)
    )
