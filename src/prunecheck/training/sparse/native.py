"""Operations executed by torch: on ordinary tensors, each differentiated by autograd separately."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from prunecheck.training.sparse.tape import State


@dataclass(frozen=True)
class Ref:
    """Stands for a value of the tape among the arguments of a call."""

    value: int


@dataclass(frozen=True)
class Weight:
    """A parameter as a network sees it. ``survivors``: positions in the flattened weight (int64), None for all of it;
    ``shape``: of the full weight."""

    number: int
    shape: torch.Size
    survivors: Tensor | None = None

    def full(self, parameter: Tensor) -> Tensor:
        """The weight with zeros where it is pruned, differentiable."""
        if self.survivors is None:
            return parameter
        # All weights are kept: a reshape does it, without a scatter.
        if len(self.survivors) == self.shape.numel():
            return parameter.reshape(self.shape)
        flat = torch.zeros(self.shape.numel(), dtype=parameter.dtype)
        return flat.index_put((self.survivors,), parameter).reshape(self.shape)


@dataclass(frozen=True)
class Native:
    """A call of *target*, a module (with its ``weights`` by name) or a function. ``copies``: it overwrites inputs."""

    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: int
    weights: Mapping[str, Weight]
    copies: bool = False

    @property
    def inputs(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(_refs((self.args, dict(self.kwargs)))))

    def forward(self, state: State) -> None:
        given = {value: state.values[value] for value in self.inputs}
        if not state.keep:
            state.values[self.output] = self._call(state, given)
            return
        # Leaves of a graph of its own: autograd must stop at this operation, since the tape passes gradients on.
        leaves = {
            value: tensor.detach().requires_grad_()
            for value, tensor in given.items()
            if value in state.wanted and isinstance(tensor, Tensor) and tensor.is_floating_point()
        }
        # autograd is off inside the function that runs the tape.
        with torch.enable_grad():
            out = self._call(state, given | leaves)
        if isinstance(out, Tensor):
            state.saved[self.output] = out, leaves
            out = out.detach()
        state.values[self.output] = out

    def backward(self, state: State) -> None:
        gradient = state.gradients.pop(self.output)
        out, leaves = state.saved.pop(self.output)
        used = {weight.number for weight in self.weights.values()}
        numbers = [number for number in used if state.parameters[number].requires_grad]
        sources = [*leaves.values(), *(state.parameters[number] for number in numbers)]
        if not out.requires_grad or not sources:
            return
        # allow_unused: an input may have no influence on the output, such as one that only gives its shape.
        found = torch.autograd.grad(out, sources, gradient, allow_unused=True)
        for value, slope in zip(leaves, found, strict=False):
            if slope is not None:
                state.add_gradient(value, slope)
        for number, slope in zip(numbers, found[len(leaves) :], strict=True):
            if slope is not None:
                state.add_slope(number, slope)

    def _call(self, state: State, given: Mapping[int, Any]) -> Any:
        args, kwargs = _filled(self.args, given, self.copies), _filled(dict(self.kwargs), given, self.copies)
        if not isinstance(self.target, nn.Module):
            return self.target(*args, **kwargs)
        weights = {name: weight.full(state.parameters[weight.number]) for name, weight in self.weights.items()}
        return functional_call(self.target, weights, args, kwargs)


@dataclass(frozen=True)
class Parameter:
    """A parameter that the network uses directly."""

    weight: Weight
    output: int

    @property
    def inputs(self) -> tuple[int, ...]:
        return ()

    def forward(self, state: State) -> None:
        state.values[self.output] = self.weight.full(state.parameters[self.weight.number].detach())

    def backward(self, state: State) -> None:
        gradient = state.gradients.pop(self.output)
        kept = self.weight.survivors
        state.add_slope(self.weight.number, gradient if kept is None else gradient.reshape(-1)[kept])


@dataclass(frozen=True)
class Constant:
    """A buffer of the network, read when it is used."""

    owner: nn.Module
    name: str
    output: int

    @property
    def inputs(self) -> tuple[int, ...]:
        return ()

    def forward(self, state: State) -> None:
        # Read at every pass, since buffers change during training.
        state.values[self.output] = getattr(self.owner, self.name)

    def backward(self, state: State) -> None:
        state.gradients.pop(self.output)


def _refs(part: Any) -> list[int]:
    if isinstance(part, Ref):
        return [part.value]
    if isinstance(part, dict):
        return [value for inner in part.values() for value in _refs(inner)]
    if isinstance(part, (tuple, list)):
        return [value for inner in part for value in _refs(inner)]
    if isinstance(part, slice):
        return _refs((part.start, part.stop, part.step))
    return []


def _filled(part: Any, given: Mapping[int, Any], copies: bool) -> Any:
    if isinstance(part, Ref):
        # The tape still needs the value that would be overwritten, and autograd refuses changes of a leaf in place.
        value = given[part.value]
        return value.clone() if copies and isinstance(value, Tensor) else value
    if isinstance(part, dict):
        return {name: _filled(inner, given, copies) for name, inner in part.items()}
    if isinstance(part, (tuple, list)):
        return type(part)(_filled(inner, given, copies) for inner in part)
    if isinstance(part, slice):
        return slice(*(_filled(inner, given, copies) for inner in (part.start, part.stop, part.step)))
    return part
