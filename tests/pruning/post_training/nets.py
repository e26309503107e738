"""A network of three blocks and calibration sequences, all from numpy streams: equal on every machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunecheck.pruning.post_training.blocks import BlockInputs, capture_inputs
from prunecheck.pruning.post_training.walk import BlockResult, prune_blocks
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS

WIDTH, HIDDEN = 48, 160


def draw(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).standard_normal(shape) * scale).float()


class Block(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)
        for i, layer in enumerate((self.query, self.up, self.down)):
            layer.weight.data = draw(*layer.weight.shape, seed=seed + i, scale=0.2)

    def forward(self, hidden: Tensor, attention_mask: Any = None) -> tuple[Tensor]:  # noqa: ARG002
        return (hidden + self.down(torch.relu(self.up(torch.tanh(self.query(hidden))))),)


class Net(nn.Module):
    def __init__(self, blocks: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(100 * (i + 1)) for i in range(blocks))

    def forward(self, hidden: Tensor) -> Tensor:
        for layer in self.layers:
            hidden = layer(hidden, attention_mask=None)[0]
        return hidden

    @property
    def blocks(self) -> list[tuple[str, nn.Module]]:
        return [(f"layers.{i}", block) for i, block in enumerate(self.layers)]


def sequences(n: int = 8) -> list[Tensor]:
    scale = 1 + torch.arange(WIDTH) % 5
    return [draw(1, 40, WIDTH, seed=1000 + i) * scale for i in range(n)]


def captured(net: Net, n: int = 8) -> list[BlockInputs]:
    return capture_inputs(net.blocks, [lambda one=one: net(one) for one in sequences(n)])


def pruned(
    method: str, sparsity: float = 0.5, *, check: str | None = None, **how: Any
) -> tuple[Net, list[BlockResult]]:
    net = Net()
    inputs = captured(net)
    plugin = None if check is None else POST_TRAINING_CHECKS.get(check)
    chosen = POST_TRAINING_METHODS.get(method)
    return net, list(prune_blocks(net.blocks, inputs, chosen, sparsity, check=plugin, **how))


def weights_of(net: Net) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in net.named_parameters()}


def masks_of(results: list[BlockResult]) -> dict[str, Tensor]:
    return {name: mask for result in results for name, mask in result.masks.items()}
