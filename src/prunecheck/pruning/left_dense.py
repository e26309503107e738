"""Weights that no mask covers: a sparsity counts prunable weights alone, and may be far from that of all parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunecheck.pruning.layers import ALSO, Kind, Layer, weights_in
from prunecheck.text import counted, percent, printable

if TYPE_CHECKING:
    from torch import nn

SMALL = 0.01
"""Uncovered weights below this share of all parameters are not worth a remark, such as a vision transformer's position
embeddings."""
_PARAMETRISED = re.compile(r"parametrizations\.(\w+)\.original\d*$")


@dataclass(frozen=True)
class LeftDense:
    """``parameters`` of the network, ``covered``: those that masks cover. ``tensors``: names of the other tensors with
    more than one dimension, the largest first (biases and normalisation have one). ``also``: the kinds in ``ALSO``
    that some of these tensors belong to, ``would``: how many do."""

    parameters: int
    covered: int
    tensors: tuple[str, ...]
    also: tuple[Kind, ...]
    would: int

    @property
    def share(self) -> float:
        """The fraction of all parameters that stays dense."""
        return 1 - self.covered / self.parameters

    def true_sparsity(self, sparsity: float) -> float:
        """The fraction removed of all parameters, for a sparsity of the covered ones."""
        return sparsity * self.covered / self.parameters

    def sentence(self, sparsities: Collection[float]) -> str:
        named = printable(self.tensors[0], 120)
        named += f" and {counted(len(self.tensors) - 1, 'more tensor')}" if len(self.tensors) > 1 else ""
        first, *more = (
            (percent(sparsity), percent(round(self.true_sparsity(sparsity), 4))) for sparsity in sorted(sparsities)
        )
        removed = [f"A sparsity of {first[0]} removes {first[1]} of all parameters"]
        removed += [f"one of {sparsity} {truth}" for sparsity, truth in more]
        text = (
            f"{percent(round(self.share, 4))} of the {self.parameters:,} parameters stay dense, among them {named}. "
            f"{', '.join(removed)}."
        )
        if not self.also:
            return text
        part = "them" if self.would == len(self.tensors) else f"{self.would} of these {len(self.tensors)} tensors"
        return f"{text} also_prune = {json.dumps(list(self.also))} prunes {part} too."


def left_dense(model: nn.Module, layers: Collection[Layer]) -> LeftDense | None:
    """What the masks of *layers* do not cover; None where that is next to nothing but biases and normalisation."""
    masked = {layer.name for layer in layers}
    others = {
        f"{prefix}.{name}" if prefix else name: found[0]
        for prefix, module in model.named_modules()
        if (found := weights_in(module, ALSO)) and found[0] in ALSO
        for name in found[1]
    }
    total, open_ = 0, {}
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        plain = _PARAMETRISED.sub(r"\1", name).removesuffix("_orig")
        if plain not in masked and sum(side > 1 for side in parameter.shape) > 1:
            open_[plain] = parameter.numel()
    if sum(open_.values()) < SMALL * total:
        return None
    names = tuple(sorted(open_, key=lambda name: -open_[name]))
    also = tuple(kind for kind in ALSO if kind in {others.get(name) for name in names})
    covered = sum(layer.size for layer in layers)
    return LeftDense(total, covered, names, also, sum(name in others for name in names))
