"""What can be pruned: the weights of convolutions and linear layers, in ``model.modules()`` order, and those of
attention and of recurrent layers where they are asked for.

Biases and normalisation are never pruned and never counted, as in the official code of Su et al. 2020. A weight shared
by several modules is one layer, named after its first appearance.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from prunecheck.errors import ModelError, StudyError
from prunecheck.text import unknown

if TYPE_CHECKING:
    from torch import Tensor, nn

Kind = Literal["conv", "linear", "attention", "recurrent"]
KINDS: tuple[Kind, ...] = ("conv", "linear", "attention", "recurrent")
ALSO: tuple[Kind, ...] = ("attention", "recurrent")
"""kinds that are prunable only where they are asked for: the masks of earlier results leave them dense"""


@dataclass(frozen=True)
class Layer:
    """One prunable weight. ``name`` is its parameter name, ``shape`` (out, in / groups, *kernel); the projections of
    query, key and value, and the gates of an LSTM or GRU, lie one behind the other in ``out``."""

    name: str
    kind: Kind
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


def validate_also(also: str | Iterable[str]) -> tuple[Kind, ...]:
    """The kinds in *also*, each once, in a fixed order; text is split at commas. Raises StudyError."""
    asked = [kind.strip() for kind in (also.split(",") if isinstance(also, str) else also) if kind]
    for kind in asked:
        if kind not in ALSO:
            raise StudyError(f"also_prune: {unknown('kind of weights', kind, ALSO)}")
    return tuple(kind for kind in ALSO if kind in asked)


def weights_in(module: nn.Module, also: Collection[str] = ()) -> tuple[Kind, tuple[str, ...]] | None:
    """The kind of a module's own prunable weights and their names in it; None where it has none.

    ``also``: ``"attention"`` adds the input projections of ``nn.MultiheadAttention`` (its output projection is a linear
    layer anyway), ``"recurrent"`` the weights of RNN, LSTM, GRU and their cells.
    """
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    if isinstance(module, nn.Linear):
        return "linear", ("weight",)
    if isinstance(module, _ConvNd):
        return "conv", ("weight",)
    if "attention" in also and isinstance(module, nn.MultiheadAttention):
        one = bool(module._qkv_same_embed_dim)
        return "attention", ("in_proj_weight",) if one else ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    if "recurrent" in also and isinstance(module, nn.RNNBase):
        return "recurrent", tuple(name for name in module._flat_weights_names if name.startswith("weight_"))
    if "recurrent" in also and isinstance(module, nn.RNNCellBase):
        return "recurrent", ("weight_ih", "weight_hh")
    return None


def layers_of(model: nn.Module, also: Collection[str] = ()) -> tuple[Layer, ...]:
    """Every Conv*/Linear weight of *model* once, in module order, and those of the kinds in *also*.

    Raises ModelError where there is none, or where one is lazy or not a plain parameter.
    """
    from torch.nn.parameter import UninitializedParameter

    found: list[Layer] = []
    seen: set[int] = set()
    for prefix, module in model.named_modules(remove_duplicate=True):
        kind, names = weights_in(module, also) or ("linear", ())
        for own in names:
            name = f"{prefix}.{own}" if prefix else own
            weight = module._parameters.get(own)
            if weight is None:
                raise ModelError(
                    f"{name} of {type(model).__name__} is not a plain parameter (parametrised or already pruned). "
                    "Make it permanent first, e.g. with torch.nn.utils.prune.remove."
                )
            if isinstance(weight, UninitializedParameter):
                raise ModelError(f"{name} is lazy and has no shape yet: run one forward pass before pruning.")
            if id(weight) not in seen:
                seen.add(id(weight))
                found.append(Layer(name, kind, tuple(weight.shape)))
    if not found:
        raise ModelError(nothing_to_prune(model))
    return tuple(found)


def nothing_to_prune(model: nn.Module) -> str:
    """The message for a network without a prunable weight, with the kinds that would make some prunable."""
    others = dict.fromkeys(found[0] for module in model.modules() if (found := weights_in(module, ALSO)))
    hint = f" also_prune = {json.dumps(list(others))} prunes the weights it has." if others else ""
    return f"{type(model).__name__} has no convolution and no linear layer: nothing to prune.{hint}"


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
