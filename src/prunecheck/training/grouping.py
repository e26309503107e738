"""From K networks to the grouped one: torch.fx reads what they do, and every operation is done for all of them at once
where that gives the bits it gives one network, and network by network elsewhere.

A convolution of K groups, a batched product and whatever acts on channels one by one give equal bits as long as
channels come in whole vectors: what a kernel does with a rest depends on where in the tensor the rest is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from prunecheck.training.grouped import Grouped, Operation, Stack, Value
from prunecheck.training.sparse.fallback import Dense
from prunecheck.training.sparse.trace import RELU, Traced, check, is_call, traced

Form = Literal["apart", "channels", "rows"]
Joined = dict[str, Tensor]

VECTOR = 16
"""floats: of channels that may lie side by side"""
MEAN_VECTOR = 64
"""floats: a mean over the map takes four vectors at a time, and a single one in another order"""
SMALLEST_PRODUCT = 400
"""multiplications: below it torch's batched product is a plain loop, its single one is not"""
ALIGNED = 4
"""floats: of a row, for a matrix in the middle of a tensor to be treated like one that stands alone"""

POOLS = (nn.MaxPool2d, nn.AvgPool2d)
POOL_CALLS: tuple[Any, ...] = (F.max_pool2d, torch.max_pool2d, F.avg_pool2d)
MEAN_CALLS: tuple[Any, ...] = (F.adaptive_avg_pool2d,)
FLATTEN_CALLS: tuple[Any, ...] = (torch.flatten, "flatten", "view", "reshape")


class Ungroupable(Exception):
    """Train these networks one at a time. The message says why."""


def grouped(networks: Sequence[nn.Module], example: Tensor) -> Grouped:
    """*networks* as one. ``example``: a few images [B, C, H, W]. The networks are left in evaluation mode.

    Raises Ungroupable where they are not of one architecture, or do what is not known here.
    """
    if len({_look(network) for network in networks}) > 1:
        raise Ungroupable("they are not the same network")
    try:
        trace = traced(networks[0], example[:2])
        for network in networks[1:]:
            check(network)
    except Dense as reason:
        raise Ungroupable(reason.reason) from reason
    return _Builder(tuple(networks), trace).grouped()


def _look(network: nn.Module) -> tuple[object, ...]:
    """What two networks of one architecture have in common."""
    shapes = [(name, tuple(tensor.shape)) for name, tensor in network.state_dict().items()]
    return type(network), repr(network), *shapes


class _Builder:
    def __init__(self, networks: tuple[nn.Module, ...], trace: Traced) -> None:
        self.networks, self.trace = networks, trace
        self.operations: list[Operation] = []
        self.stacks: list[Stack] = []
        self.places: dict[fx.Node, dict[Form, int]] = {}

    def grouped(self) -> Grouped:
        for node in self.trace.graph.nodes:
            if node.op == "placeholder":
                self.places[node] = {"apart": 0}
            elif node.op == "output":
                self._output(node.args[0])
            elif node in self.trace.shapes:
                self.places[node] = self._placed(node)
        return Grouped(self.networks, tuple(self.operations), tuple(self.stacks))

    def _placed(self, node: fx.Node) -> dict[Form, int]:
        sources = [source for source in node.all_input_nodes if source in self.trace.shapes]
        if len(sources) != 1:
            raise Ungroupable(f"{node.name} does not take one tensor")
        source, module = sources[0], self._module(node)
        if self._is(node, (nn.Identity,), ()):
            return self.places[source]
        if self._is(node, (nn.ReLU,), RELU):
            return self._relu(source)
        if type(module) is nn.Linear and len(self.trace.shapes[node]) == 2:
            return self._linear(source, str(node.target), module)
        if self._is(node, (nn.Flatten,), FLATTEN_CALLS) and self._flattens(node, source):
            return self._flatten(source)
        if type(module) is nn.Conv2d:
            return self._convolution(source, str(node.target), module)
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            return self._norm(source, str(node.target), module)
        if self._is(node, POOLS, POOL_CALLS):
            return self._pool(node, source, VECTOR)
        if self._is(node, (nn.AdaptiveAvgPool2d,), MEAN_CALLS):
            return self._pool(node, source, MEAN_VECTOR)
        raise Ungroupable(f"{node.name} is not known to act on every network alone")

    def _relu(self, source: fx.Node) -> dict[Form, int]:
        form = next(reversed(self.places[source]))
        if form == "apart":
            return self._emit(source, form, lambda values, _: [F.relu(value) for value in values])
        return self._emit(source, form, lambda value, _: F.relu(value))

    def _linear(self, source: fx.Node, name: str, module: nn.Linear) -> dict[Form, int]:
        if module.in_features % ALIGNED:
            return self._network_by_network(source, name)
        self._stack(name, ("weight",) if module.bias is None else ("weight", "bias"), rows=True)
        return self._emit(source, "rows", partial(_linear, f"{name}.weight", f"{name}.bias"))

    def _flattens(self, node: fx.Node, source: fx.Node) -> bool:
        """Whether it keeps the first dimension (images) and makes one of the others."""
        before, after = self.trace.shapes[source], self.trace.shapes[node]
        return len(after) == 2 and before[0] == after[0]

    def _flatten(self, source: fx.Node) -> dict[Form, int]:
        shape = self.trace.shapes[source]
        if len(shape) == 2:
            return self.places[source]
        if "channels" in self.places[source] and shape[2:] == (1, 1):
            return self._emit(source, "channels", partial(_to_rows, len(self.networks)), gives="rows")
        return self._emit(source, "apart", lambda values, _: torch.stack([v.flatten(1) for v in values]), gives="rows")

    def _convolution(self, source: fx.Node, name: str, module: nn.Conv2d) -> dict[Form, int]:
        even = module.in_channels % VECTOR == module.out_channels % VECTOR == 0
        if not even or module.groups != 1 or module.padding_mode != "zeros":
            return self._network_by_network(source, name)
        self._stack(name, ("weight",) if module.bias is None else ("weight", "bias"))
        return self._emit(source, "channels", partial(_convolution, name, module, len(self.networks)))

    def _norm(self, source: fx.Node, name: str, module: nn.BatchNorm1d | nn.BatchNorm2d) -> dict[Form, int]:
        usual = module.affine and module.track_running_stats and module.momentum is not None
        if not usual or module.num_features % VECTOR or not isinstance(module, nn.BatchNorm2d):
            return self._network_by_network(source, name)
        self._stack(name, ("weight", "bias"))
        self._stack(name, ("running_mean", "running_var"), parameter=False)
        counts = [network.get_buffer(f"{name}.num_batches_tracked") for network in self.networks]
        return self._emit(source, "channels", partial(_norm, name, module, counts))

    def _pool(self, node: fx.Node, source: fx.Node, vector: int) -> dict[Form, int]:
        module = self._module(node)
        rest = (node.args[1:], dict(node.kwargs))
        if any(isinstance(value, fx.Node) for value in (*node.args[1:], *node.kwargs.values())) or len(node.args) == 0:
            raise Ungroupable(f"{node.name} has an argument that is computed")
        pool: Callable[[Tensor], Tensor] = module or (lambda value: node.target(value, *rest[0], **rest[1]))  # type: ignore[operator]
        if self.trace.shapes[source][1] % vector:
            return self._emit(source, "apart", lambda values, _: [pool(value) for value in values])
        return self._emit(source, "channels", lambda value, _: pool(value))

    def _network_by_network(self, source: fx.Node, name: str) -> dict[Form, int]:
        modules = [network.get_submodule(name) for network in self.networks]
        return self._emit(source, "apart", lambda values, _: [m(v) for m, v in zip(modules, values, strict=True)])

    def _output(self, source: Any) -> None:
        if not isinstance(source, fx.Node) or len(self.trace.shapes[source]) != 2:
            raise Ungroupable("it does not return one row of numbers an image")
        self._value(source, "apart")
        self._add(self._value(source, "apart"), lambda values, _: values)

    def _module(self, node: fx.Node) -> Any:
        return self.networks[0].get_submodule(str(node.target)) if node.op == "call_module" else None

    def _is(self, node: fx.Node, modules: tuple[type, ...], functions: tuple[Any, ...]) -> bool:
        return is_call(self.networks[0], node, modules, functions)

    def _stack(self, name: str, what: Sequence[str], *, rows: bool = False, parameter: bool = True) -> None:
        self.stacks += [Stack(f"{name}.{one}", rows, parameter) for one in what]

    def _emit(
        self, source: fx.Node, takes: Form, work: Callable[[Value, Joined], Value], gives: Form | None = None
    ) -> dict[Form, int]:
        return {gives or takes: self._add(self._value(source, takes), work)}

    def _add(self, source: int, work: Callable[[Value, Joined], Value]) -> int:
        self.operations.append(Operation(source, work))
        return len(self.operations)

    def _value(self, node: fx.Node, form: Form) -> int:
        """The number of a node's value in some form."""
        places = self.places[node]
        if form not in places:
            have = next(iter(places))
            places[form] = self._add(places[have], CONVERSIONS[have, form](len(self.networks)))
        return places[form]


def _linear(weight: str, bias: str, rows: Tensor, joined: Joined) -> Tensor:
    whole, added = joined[weight], joined.get(bias)
    count, images, features = rows.shape
    if images * features * whole.shape[1] < SMALLEST_PRODUCT:
        biases = [None] * count if added is None else added.unbind()
        return torch.stack([F.linear(*each) for each in zip(rows.unbind(), whole.unbind(), biases, strict=True)])
    result: Tensor = _Linear.apply(rows, whole, added)
    return result


class _Linear(torch.autograd.Function):
    """K linear layers. The gradient of the weights is the product that torch takes for a single layer: the one it takes
    for a batched product has its sides exchanged, and rounds differently."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.biased = bias is not None
        turned = weight.transpose(1, 2)
        return torch.bmm(rows, turned) if bias is None else torch.baddbmm(bias.unsqueeze(1), rows, turned)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        rows, weight = ctx.saved_tensors
        to_rows = torch.bmm(slope, weight) if ctx.needs_input_grad[0] else None
        return to_rows, torch.bmm(slope.transpose(1, 2), rows), slope.sum(1) if ctx.biased else None


def _convolution(name: str, module: nn.Conv2d, count: int, images: Tensor, joined: Joined) -> Tensor:
    weight, bias = joined[f"{name}.weight"], joined.get(f"{name}.bias")
    return F.conv2d(images, weight, bias, module.stride, module.padding, module.dilation, count)


def _norm(name: str, module: nn.BatchNorm2d, counts: list[Tensor], images: Tensor, joined: Joined) -> Tensor:
    torch._foreach_add_(counts, 1)
    mean, variance, weight, bias = (
        joined[f"{name}.{what}"] for what in ("running_mean", "running_var", "weight", "bias")
    )
    assert module.momentum is not None
    return F.batch_norm(images, mean, variance, weight, bias, True, module.momentum, module.eps)


def _to_rows(count: int, images: Tensor, _joined: Joined) -> Tensor:
    """[B, K*C, 1, 1] -> [K, B, C]"""
    return images.reshape(len(images), count, -1).transpose(0, 1).contiguous()


def _to_channels(images: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(images), 1).contiguous(memory_format=torch.channels_last)


def _apart(count: int, images: Tensor, _joined: Joined) -> list[Tensor]:
    return [part.contiguous(memory_format=torch.channels_last) for part in images.chunk(count, 1)]


CONVERSIONS: dict[tuple[Form, Form], Callable[[int], Callable[[Value, Joined], Value]]] = {
    ("apart", "channels"): lambda _: lambda values, _: _to_channels(values),
    ("apart", "rows"): lambda _: lambda values, _: torch.stack(list(values)),
    ("channels", "apart"): lambda count: partial(_apart, count),
    ("rows", "apart"): lambda _: lambda value, _: value.unbind(),
}
