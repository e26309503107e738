"""K networks of one architecture as one network of K groups: fewer and larger calls, to the same bits.

What K networks hold under one name lies side by side in one tensor as long as they are trained together; the networks'
own parameters are windows onto it, so that masks, optimiser and momentum stay those of every network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Value = Any
"""a list of K tensors, one tensor [B, K*C, H, W] or one [K, B, F]"""


@dataclass(frozen=True)
class Stack:
    """Parameters or buffers of one name, joined along their first dimension, or (``rows``) along a new one."""

    name: str
    rows: bool
    parameter: bool

    def held(self, network: nn.Module) -> Tensor:
        return network.get_parameter(self.name) if self.parameter else network.get_buffer(self.name)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        whole = torch.stack(list(parts)) if self.rows else torch.cat(list(parts))
        return whole.contiguous(memory_format=torch.channels_last) if whole.ndim == 4 else whole

    def split(self, whole: Tensor, count: int) -> Sequence[Tensor]:
        return whole.unbind() if self.rows else whole.chunk(count)


@dataclass(frozen=True)
class Operation:
    """``work(value, joined)``: makes a value from the one numbered ``source``."""

    source: int
    work: Callable[[Value, dict[str, Tensor]], Value]


@dataclass(frozen=True)
class Grouped:
    """``operations``: number n makes value n + 1; value 0 is the list of K batches, the last one that of K outputs."""

    networks: tuple[nn.Module, ...]
    operations: tuple[Operation, ...]
    stacks: tuple[Stack, ...]
    joined: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, batches: Sequence[Tensor]) -> Sequence[Tensor]:
        """The K outputs [B, classes] for K batches [B, C, H, W], in training mode. Only within ``side_by_side``."""
        values: list[Value] = [batches]
        for operation in self.operations:
            values.append(operation.work(values[operation.source], self.joined))
        outputs: Sequence[Tensor] = values[-1]
        return outputs

    @contextmanager
    def side_by_side(self) -> Iterator[None]:
        """Within the block a change of a network is one of the joined tensors, and the other way round. Afterwards
        every network has memory of its own again."""
        try:
            for stack in self.stacks:
                self._join(stack)
            yield
        finally:
            self.joined.clear()
            for network in self.networks:
                for tensor in (*network.parameters(), *network.buffers()):
                    tensor.data = tensor.data.clone()

    @torch.no_grad()
    def _join(self, stack: Stack) -> None:
        parts = [stack.held(network) for network in self.networks]
        whole = stack.join([part.detach() for part in parts])
        for part, window in zip(parts, stack.split(whole, len(parts)), strict=True):
            part.data = window
        self.joined[stack.name] = whole.requires_grad_(stack.parameter)

    def hand_out_gradients(self) -> None:
        """Give every network its part of the gradients of a backward pass."""
        for stack in self.stacks:
            whole = self.joined[stack.name]
            if whole.grad is not None:
                for network, part in zip(self.networks, stack.split(whole.grad, len(self.networks)), strict=True):
                    stack.held(network).grad = part
                whole.grad = None
