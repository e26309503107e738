"""What a linear layer receives on the calibration sequences, accumulated in the arithmetic of the published codes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.pruning.post_training.layers import Layer


@dataclass(frozen=True)
class LayerInputs:
    """``norms`` [inputs]: the L2 norm of every input over all tokens / sqrt(sequences), the square root of Wanda's
    ``scaler_row``. ``gram`` [inputs, inputs]: 2 x x^T summed over all tokens / sequences, SparseGPT's ``H``. Both
    float32, None where they were not asked for."""

    tokens: int
    norms: Tensor | None
    gram: Tensor | None


class _Accumulator:
    def __init__(self, layer: Layer, needs: Collection[str]) -> None:
        inputs, device = layer.in_features, layer.device
        self.sequences = self.tokens = 0
        self.squares = torch.zeros(inputs, device=device) if "norms" in needs else None
        self.gram = torch.zeros(inputs, inputs, device=device) if "gram" in needs else None

    def read(self) -> LayerInputs:
        return LayerInputs(self.tokens, None if self.squares is None else self.squares.sqrt(), self.gram)


class _Products:
    """Sums over the tokens of a tensor, computed once for the layers that receive the same one (query, key, value)."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str, int], tuple[Tensor, Tensor]] = {}

    def of(self, inputs: Tensor, what: str, sequences: int) -> Tensor:
        key = (id(inputs), what, sequences)
        if key not in self._known:
            flat = inputs.reshape(-1, inputs.shape[-1]).t().float()
            if what == "norms":
                value = torch.norm(flat, p=2, dim=1) ** 2 / sequences
            else:
                # Scaled before the product, as published: the sum would be rounded differently afterwards.
                scaled = math.sqrt(2 / sequences) * flat
                value = scaled.matmul(scaled.t())
            self._known[key] = (inputs, value)  # the tensor is held, so that its id is not given to another
        return self._known[key][1]

    def clear(self) -> None:
        self._known.clear()


class Recorder:
    """Accumulates what each of *layers* receives while it is recording."""

    def __init__(self, layers: Mapping[str, Layer], needs: Collection[str]) -> None:
        self._layers = layers
        self._sums = {name: _Accumulator(layer, needs) for name, layer in layers.items()}
        self._products = _Products()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Within the block every forward pass counts; one at a time."""
        handles = [layer.module.register_forward_hook(self._hook(name)) for name, layer in self._layers.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._products.clear()

    def _hook(self, name: str) -> Any:
        def add(_: nn.Module, args: tuple[Tensor, ...], __: Any) -> None:
            sums, inputs = self._sums[name], args[0].detach()
            batch = inputs.shape[0] if inputs.ndim == 3 else 1
            before, sums.sequences = sums.sequences, sums.sequences + batch
            sums.tokens += inputs.numel() // inputs.shape[-1]
            for what, total in (("norms", sums.squares), ("gram", sums.gram)):
                if total is not None:
                    total *= before / sums.sequences
                    total += self._products.of(args[0], what, sums.sequences)

        return add

    def read(self, name: str) -> LayerInputs:
        return self._sums[name].read()
