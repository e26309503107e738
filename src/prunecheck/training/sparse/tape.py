"""Running a network as a list of operations, forwards and backwards.

The whole network is one function to autograd. So gradients are summed where they arise instead of in separate
passes, and every buffer returns to the pool as soon as it is no longer read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from prunecheck.training.sparse.maps import Map, Pool, Shape


@dataclass
class State:
    """One pass through the network. Values and gradients are numbered; a value is a Map, a tensor or a plain object.

    ``keep``: a backward pass will follow. ``wanted``: values whose gradient is needed.
    """

    parameters: Sequence[Tensor]
    pool: Pool
    keep: bool
    wanted: frozenset[int]
    values: dict[int, Any] = field(default_factory=dict)
    saved: dict[int, Any] = field(default_factory=dict)
    gradients: dict[int, Any] = field(default_factory=dict)
    slopes: dict[int, Tensor] = field(default_factory=dict)

    def map(self, value: int) -> Map:
        found: Map = self.values[value]
        return found

    def new(self, value: int, shape: Shape) -> Map:
        made = self.pool.take(shape)
        self.values[value] = made
        return made

    def room(self, value: int) -> tuple[Map, bool]:
        """The gradient buffer of a map, and whether it already has a content to add to."""
        if value in self.gradients:
            return self.gradients[value], True
        made = self.pool.take(self.map(value).shape)
        self.gradients[value] = made
        return made, False

    def hand_on(self, value: int, gradient: Map) -> None:
        """*gradient*, which is not written to any more, is (part of) the gradient of *value*."""
        if value not in self.wanted:
            self.pool.give(gradient)
        elif value in self.gradients:
            self.gradients[value].flat.add_(gradient.flat)
            self.pool.give(gradient)
        else:
            self.gradients[value] = gradient

    def add_gradient(self, value: int, gradient: Tensor) -> None:
        """The same for a tensor."""
        if value in self.wanted:
            known = self.gradients.get(value)
            self.gradients[value] = gradient if known is None else known + gradient

    def add_slope(self, parameter: int, slope: Tensor) -> None:
        """*slope* is (part of) the gradient of a parameter."""
        known = self.slopes.get(parameter)
        self.slopes[parameter] = slope if known is None else known + slope

    def drop(self, value: int) -> None:
        gone = self.values.pop(value, None)
        if isinstance(gone, Map):
            self.pool.give(gone)


class Operation(Protocol):
    """One step of the network: it reads ``inputs`` and writes ``output``."""

    @property
    def inputs(self) -> tuple[int, ...]: ...

    @property
    def output(self) -> int: ...

    def forward(self, state: State) -> None: ...

    def backward(self, state: State) -> None:
        """Take the gradient of ``output`` out of the state and pass on those of inputs and parameters."""


@dataclass(frozen=True)
class Program:
    """``result``: the value that is returned. ``trained``: values that depend on a parameter."""

    operations: tuple[Operation, ...]
    result: int
    trained: frozenset[int]

    def forward(self, state: State, inputs: Tensor) -> Tensor:
        state.values[0] = inputs
        # Without a backward pass a buffer is free after its last use; with one the values are needed again.
        last = {} if state.keep else self._last_uses()
        for i, operation in enumerate(self.operations):
            operation.forward(state)
            for value in last.get(i, ()):
                state.drop(value)
        result: Tensor = state.values[self.result]
        return result

    def backward(self, state: State, gradient: Tensor) -> Tensor | None:
        state.gradients[self.result] = gradient
        for operation in reversed(self.operations):
            # Values that no gradient reaches do not influence the result.
            if operation.output in state.gradients:
                operation.backward(state)
            state.drop(operation.output)
        into: Tensor | None = state.gradients.pop(0, None)
        return into

    def _last_uses(self) -> dict[int, list[int]]:
        """Operation -> values that are not read after it."""
        last = {value: i for i, operation in enumerate(self.operations) for value in operation.inputs}
        found: dict[int, list[int]] = {}
        for value, i in last.items():
            if value != self.result:
                found.setdefault(i, []).append(value)
        return found


def run(program: Program, pool: Pool, inputs: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The network's output for *inputs* [images, channels, height, width], differentiable once."""
    if torch.is_grad_enabled() and (inputs.requires_grad or any(p.requires_grad for p in parameters)):
        out: Tensor = _Run.apply(program, pool, inputs, *parameters)
        return out
    return program.forward(State(parameters, pool, False, frozenset()), inputs)


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, program: Program, pool: Pool, inputs: Tensor, *parameters: Tensor) -> Tensor:
        every = {0, *(operation.output for operation in program.operations)}
        # If the images need a gradient, every value depends on something that does.
        wanted = frozenset(every) if inputs.requires_grad else program.trained
        ctx.program, ctx.state = program, State(parameters, pool, True, wanted)
        return program.forward(ctx.state, inputs).detach()  # else the output and its state would be a reference cycle

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        state: State | None = ctx.state
        if state is None:
            raise RuntimeError("the buffers of this forward pass are gone: it was differentiated before")
        # Gone first: buffers are given back to the pool below and will be overwritten by other passes.
        ctx.state = None
        into = ctx.program.backward(state, gradient)
        slopes = (None if not p.requires_grad else state.slopes.get(i) for i, p in enumerate(state.parameters))
        return None, None, into, *slopes
