"""The weight matrices of a block, [outputs, inputs] however their modules store them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


class Layer:
    """One weight matrix that can be pruned: of an ``nn.Linear``; of a ``Conv1D`` of transformers, which stores
    [inputs, outputs]; of an ``nn.Embedding``, whose outputs are the tokens, as if it were the head."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._parameter: nn.Parameter = module.weight  # type: ignore[assignment]
        self._transposed = _is_conv1d(module)

    @property
    def weight(self) -> Tensor:
        """[outputs, inputs], contiguous; not to be written to."""
        return self.as_stored(self._parameter.detach())

    @property
    def shape(self) -> tuple[int, int]:
        first, second = self._parameter.shape
        return (second, first) if self._transposed else (first, second)

    @property
    def in_features(self) -> int:
        return self.shape[1]

    @property
    def numel(self) -> int:
        return self._parameter.numel()

    @property
    def device(self) -> torch.device:
        return self._parameter.device

    @property
    def dtype(self) -> torch.dtype:
        return self._parameter.dtype

    @torch.no_grad()
    def write(self, weight: Tensor) -> None:
        self._parameter.copy_(self.as_stored(weight))

    def as_stored(self, matrix: Tensor) -> Tensor:
        """A matrix [outputs, inputs] in the shape of the parameter, and the other way round."""
        return matrix.t().contiguous() if self._transposed else matrix


def _is_conv1d(module: nn.Module) -> bool:
    # By name: transformers is an extra, and a model that has such layers has imported it itself.
    return any(
        kind.__name__ == "Conv1D" and kind.__module__.startswith("transformers.") for kind in type(module).__mro__
    )


def is_prunable(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or _is_conv1d(module)


def layers_of(name: str, block: nn.Module) -> dict[str, Layer]:
    """``{name in the model: layer}`` of a block's linear layers, in module order. *name*: of the block."""
    return {f"{name}.{own}": Layer(module) for own, module in block.named_modules() if is_prunable(module)}


@dataclass(frozen=True)
class NotPrunable:
    """Weights of the blocks that cannot be pruned: tensors of two and more dimensions outside linear layers, such as
    the experts of a mixture that are one tensor. (``pruning.left_dense`` is about what the masks of one study do not
    cover, of which ``also_prune`` may cover more.) ``weights`` in ``tensors``, the ``largest`` of which is named;
    ``total``: all weights in tensors of two and more dimensions."""

    tensors: int
    weights: int
    total: int
    largest: str


def not_prunable(blocks: Iterable[tuple[str, nn.Module]]) -> NotPrunable:
    """What no method prunes in *blocks*; ``largest`` is empty where that is nothing."""
    rest: dict[str, int] = {}
    total = 0
    for name, block in blocks:
        known = {id(layer.module.weight) for layer in layers_of(name, block).values()}
        for own, parameter in block.named_parameters():
            if parameter.ndim < 2:
                continue
            total += parameter.numel()
            if id(parameter) not in known:
                rest[f"{name}.{own}"] = parameter.numel()
    return NotPrunable(len(rest), sum(rest.values()), total, max(rest, key=lambda one: rest[one], default=""))
