"""What can be pruned: the weights of convolutions and linear layers, in ``model.modules()`` order.

Biases and normalisation are never pruned and never counted, as in the official code of Su et al. 2020. A weight shared
by several modules is one layer, named after its first appearance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from prunecheck.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """One prunable weight. ``name`` is its parameter name, ``shape`` (out, in / groups, *kernel)."""

    name: str
    kind: Literal["conv", "linear"]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def fan_in(self) -> int:
        return self.shape[1]

    @property
    def fan_out(self) -> int:
        return self.shape[0]


def layers_of(model: nn.Module) -> tuple[Layer, ...]:
    """Every Conv*/Linear weight of *model* once, in module order.

    Raises ModelError where there is none, or where one is lazy or not a plain parameter.
    """
    from torch import nn
    from torch.nn.modules.conv import _ConvNd
    from torch.nn.parameter import UninitializedParameter

    found: list[Layer] = []
    seen: set[int] = set()
    for prefix, module in model.named_modules(remove_duplicate=True):
        if not isinstance(module, (_ConvNd, nn.Linear)):
            continue
        name = f"{prefix}.weight" if prefix else "weight"
        weight = module._parameters.get("weight")
        if weight is None:
            raise ModelError(
                f"{name} of {type(model).__name__} is not a plain parameter (parametrised or already pruned). "
                "Make it permanent first, e.g. with torch.nn.utils.prune.remove."
            )
        if isinstance(weight, UninitializedParameter):
            raise ModelError(f"{name} is lazy and has no shape yet: run one forward pass before pruning.")
        if id(weight) not in seen:
            seen.add(id(weight))
            kind: Literal["conv", "linear"] = "linear" if isinstance(module, nn.Linear) else "conv"
            found.append(Layer(name, kind, tuple(weight.shape)))
    if not found:
        raise ModelError(f"{type(model).__name__} has no convolution and no linear layer: nothing to prune.")
    return tuple(found)


def weights_of(model: nn.Module, layers: tuple[Layer, ...] | None = None) -> dict[str, Tensor]:
    """``{parameter name: detached weight}`` of the prunable layers, sharing memory with *model*."""
    return {layer.name: model.get_parameter(layer.name).detach() for layer in layers or layers_of(model)}


def total(layers: tuple[Layer, ...]) -> int:
    return sum(layer.size for layer in layers)


def share_kept(layers: tuple[Layer, ...], counts: Mapping[str, int]) -> dict[str, float]:
    """``{layer name: kept / size}``."""
    return {layer.name: counts[layer.name] / layer.size for layer in layers}


def family_of(model: str) -> str:
    """``vgg`` for networks named or classed so, else ``resnet``: the smart ratio has a form for each."""
    return "vgg" if model.rpartition(":")[2].lower().startswith("vgg") else "resnet"
