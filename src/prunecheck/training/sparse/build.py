"""Translates a traced network into a program: every node becomes an operation on maps or a call of torch.

Sparse layers make maps. What follows a map and has a form for maps stays one (batch norm, ReLU, sums, max-pooling);
anything else gets an ordinary tensor. A batch norm waits for the sum or the ReLU behind it, so that all become one
operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from prunecheck.training.sparse.conv import SparseConv, sparse_conv
from prunecheck.training.sparse.decide import Layer, Rates
from prunecheck.training.sparse.fold import Window
from prunecheck.training.sparse.native import Constant, Native, Parameter, Ref, Weight
from prunecheck.training.sparse.operations import Conv, Join, MaxPool, Mean, Norm, Normalise, Pack, Unpack
from prunecheck.training.sparse.tape import Operation, Program
from prunecheck.training.sparse.trace import RELU, SUM, Traced, is_call, writes_in_place

MAX_POOL: tuple[Any, ...] = (F.max_pool2d, torch.max_pool2d)
POOL_NAMES = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")


@dataclass(frozen=True)
class Waiting:
    """A map that a batch norm (None: nothing) and the sum with another map are still to be applied to."""

    source: int
    module: Norm | None
    prefix: str
    other: int | None = None


@dataclass(frozen=True)
class Place:
    """Where a node's value is found: as a map, as a tensor (or plain object), or both."""

    map: int | None = None
    tensor: int | None = None
    waiting: Waiting | None = None


@dataclass
class Builder:
    """``weights``: every parameter by name. ``layers``: the sparse ones by module name. ``border``: of image maps."""

    shell: nn.Module
    traced: Traced
    weights: Mapping[str, Weight]
    layers: Mapping[str, SparseConv]
    border: int
    operations: list[Operation] = field(default_factory=list)
    places: dict[fx.Node, Place] = field(default_factory=dict)
    trained: set[int] = field(default_factory=set)
    count: int = 1

    def program(self) -> Program:
        for node in self.traced.graph.nodes:
            if node.op == "output":
                result = self._tensor(node.args[0])
                return Program(tuple(self.operations), result, frozenset(self.trained))
            self.places[node] = self._placed(node)
        raise AssertionError("a traced graph has an output")

    def _placed(self, node: fx.Node) -> Place:
        if node.op == "placeholder":
            return Place(tensor=0)
        if node.op == "get_attr":
            return Place(tensor=self._attribute(str(node.target)))
        if node.op == "call_module" and node.target in self.layers:
            return self._sparse(node)
        if is_call(self.shell, node, (nn.Identity,), ()):
            return self.places[node.all_input_nodes[0]]
        found = self._on_maps(node) if any(self._is_map(n) for n in node.all_input_nodes) else None
        return found or self._native(node)

    def _on_maps(self, node: fx.Node) -> Place | None:
        """The node as an operation on maps, None if it has no such form."""
        sources = node.all_input_nodes
        if is_call(self.shell, node, (nn.BatchNorm1d, nn.BatchNorm2d), ()):
            return self._norm(node)
        if is_call(self.shell, node, (nn.ReLU,), RELU) and len(sources) == 1:
            return Place(map=self._settled(sources[0], relu=True))
        if is_call(self.shell, node, (), SUM) and self._is_plain_sum(node):
            return self._sum(node)
        if len(sources) == 1 and len(self.traced.shapes[sources[0]]) == 4:
            if (window := self._max_pool(node)) is not None:
                source = self._map(sources[0])
                return Place(map=self._emit(MaxPool(source, self.count, window)))
            if self._is_global_mean(node):
                return Place(tensor=self._emit(Mean(self._map(sources[0]), self.count)))
        return None

    def _sparse(self, node: fx.Node) -> Place:
        name = str(node.target)
        bias = self.weights.get(f"{name}.bias")
        source = self._map(node.all_input_nodes[0])
        border = self._border(node)
        conv = Conv(
            source,
            self.count,
            self.layers[name],
            self.weights[f"{name}.weight"].number,
            bias.number if bias else None,
            border,
        )
        return Place(map=self._emit(conv, trains=True))

    def _norm(self, node: fx.Node) -> Place | None:
        module = self.shell.get_submodule(str(node.target))
        assert isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))
        source = self._map(node.all_input_nodes[0])
        waiting = Waiting(source, module, str(node.target))
        # A ReLU or sum behind the norm takes it over; without one it must be computed here.
        if self._follower(node) is None:
            return Place(map=self._emit_waiting(waiting, relu=False))
        return Place(waiting=waiting)

    def _sum(self, node: fx.Node) -> Place:
        first, second = node.args[0], node.args[1]
        assert isinstance(first, fx.Node)
        assert isinstance(second, fx.Node)
        # The one that still waits comes first: its norm becomes part of the sum, the other must exist as a map.
        if self.places[first].waiting is None and self.places[second].waiting is not None:
            first, second = second, first
        other = self._map(second)
        open_ = self.places[first].waiting
        # A second sum cannot become part of one that waits, nor a norm whose value is read elsewhere as well.
        if open_ is None or open_.other is not None or len(first.users) > 1:
            open_ = Waiting(self._map(first), None, "")
        waiting = Waiting(open_.source, open_.module, open_.prefix, other)
        if self._follower(node) is None:
            return Place(map=self._emit_waiting(waiting, relu=False))
        return Place(waiting=waiting)

    def _follower(self, node: fx.Node) -> fx.Node | None:
        """The one sum or ReLU that reads *node* and can take it over."""
        # Another reader would need the value before the sum or ReLU, which is never computed once it is taken over.
        if len(node.users) != 1:
            return None
        user = next(iter(node.users))
        if is_call(self.shell, user, (nn.ReLU,), RELU):
            return user
        return user if is_call(self.shell, user, (), SUM) and self._is_plain_sum(user) else None

    def _native(self, node: fx.Node) -> Place:
        def stand_in(argument: fx.Node) -> Any:
            return Ref(self._tensor(argument))

        args, kwargs = fx.map_arg(node.args, stand_in), fx.map_arg(node.kwargs, stand_in)
        target: Any = node.target
        weights: dict[str, Weight] = {}
        if node.op == "call_module":
            module = self.shell.get_submodule(str(node.target))
            names = (name for name, _ in module.named_parameters())
            target, weights = module, {name: self.weights[f"{node.target}.{name}"] for name in names}
        elif node.op == "call_method":
            # a view of what has another memory order here would be refused
            target = getattr(Tensor, "reshape" if node.target == "view" else str(node.target))
        copies = writes_in_place(self.shell, node)
        made = Native(target, tuple(args), dict(kwargs), self.count, weights, copies)
        return Place(tensor=self._emit(made, trains=bool(weights)))

    def _attribute(self, name: str) -> int:
        if name in self.weights:
            return self._emit(Parameter(self.weights[name], self.count), trains=True)
        owner, _, attribute = name.rpartition(".")
        return self._emit(Constant(self.shell.get_submodule(owner), attribute, self.count))

    def _is_map(self, node: fx.Node) -> bool:
        place = self.places[node]
        return place.map is not None or place.waiting is not None

    def _map(self, node: fx.Node) -> int:
        place = self.places[node]
        if place.map is not None:
            return place.map
        if place.waiting is not None:
            return self._settled(node, relu=False)
        assert place.tensor is not None
        found = self._emit(Pack(place.tensor, self.count, self._border(node)))
        # Kept under the same node: a second reader must not pack it again.
        self.places[node] = Place(map=found, tensor=place.tensor)
        return found

    def _tensor(self, node: Any) -> int:
        place = self.places[node]
        if place.tensor is not None:
            return place.tensor
        source = self._map(node)
        found = self._emit(Unpack(source, self.count, flat=len(self.traced.shapes[node]) == 2))
        # Both forms are remembered: a later reader takes the one it needs without another copy.
        self.places[node] = Place(map=source, tensor=found)
        return found

    def _settled(self, node: fx.Node, relu: bool) -> int:
        """The map of *node*, with a ReLU where its only reader is one."""
        waiting = self.places[node].waiting
        if waiting is None:
            source = self._map(node)
            return self._emit(Join(source, None, self.count, relu=True)) if relu else source
        found = self._emit_waiting(waiting, relu)
        if not relu:
            self.places[node] = Place(map=found)
        return found

    def _emit_waiting(self, waiting: Waiting, relu: bool) -> int:
        if waiting.module is None:
            return self._emit(Join(waiting.source, waiting.other, self.count, relu))
        gain, offset = (self.weights.get(f"{waiting.prefix}.{part}") for part in ("weight", "bias"))
        numbers = (gain.number if gain else None), (offset.number if offset else None)
        made = Normalise(waiting.source, waiting.other, self.count, waiting.module, *numbers, relu)
        return self._emit(made, trains=True)

    def _emit(self, operation: Operation, trains: bool = False) -> int:
        self.operations.append(operation)
        if trains or any(value in self.trained for value in operation.inputs):
            self.trained.add(operation.output)
        self.count += 1
        return operation.output

    def _border(self, node: fx.Node) -> int:
        # Two-dimensional values are images of one pixel, whose neighbours no layer reads.
        return self.border if len(self.traced.shapes[node]) == 4 else 0

    def _is_plain_sum(self, node: fx.Node) -> bool:
        """Of two tensors of one shape."""
        if len(node.args) != 2 or node.kwargs or not all(isinstance(part, fx.Node) for part in node.args):
            return False
        # A sum that broadcasts is left to torch: the loops need two maps of one shape.
        shapes = [self.traced.shapes.get(part) for part in node.all_input_nodes]
        return len(shapes) == 2 and shapes[0] == shapes[1] and shapes[0] is not None and len(shapes[0]) in (2, 4)

    def _max_pool(self, node: fx.Node) -> Window | None:
        if not is_call(self.shell, node, (nn.MaxPool2d,), MAX_POOL):
            return None
        if node.op == "call_module":
            module = self.shell.get_submodule(str(node.target))
            given = {name: getattr(module, name) for name in POOL_NAMES}
        else:
            given = dict(zip(POOL_NAMES, node.args[1:], strict=False)) | dict(node.kwargs)
        given.pop("input", None)
        kernel = _pair(given.get("kernel_size"))
        stride = given.get("stride")
        window = Window(kernel, kernel if stride in (None, [], ()) else _pair(stride), _pair(given.get("padding", 0)))
        # Dilation, rounding up and returned indices have no form for maps and are left to torch.
        usual = _pair(given.get("dilation", 1)) == (1, 1) and not given.get("ceil_mode") and max(kernel) <= 15
        return window if usual and not given.get("return_indices") else None

    def _is_global_mean(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            module = self.shell.get_submodule(str(node.target))
            # The exact type: a subclass may compute something else.
            return type(module) is nn.AdaptiveAvgPool2d and module.output_size in (1, (1, 1))
        if node.target is F.adaptive_avg_pool2d:
            return len(node.args) == 2 and node.args[1] in (1, (1, 1))
        return False


def _pair(side: Any) -> tuple[int, int]:
    return (int(side), int(side)) if isinstance(side, int) else (int(side[0]), int(side[1]))


def sparse_layer(module: nn.Module, mask: Tensor) -> SparseConv | None:
    """The sparse form of a pruned module, None if it has none."""
    # The exact type: a subclass may compute something else.
    if type(module) is nn.Linear:
        return sparse_conv(mask.numpy()[:, :, None, None], Window((1, 1)), 1)
    window = window_of(module)
    return sparse_conv(mask.numpy(), window, int(module.groups)) if window is not None else None  # type: ignore[arg-type]


def window_of(module: nn.Module) -> Window | None:
    # Padding by reflection or repetition cannot be had from a border of zeros.
    if type(module) is not nn.Conv2d or module.padding_mode != "zeros":
        return None
    padding: Any = (0, 0) if module.padding == "valid" else module.padding
    if isinstance(padding, str):
        reach = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        # "same" with an even kernel pads the two sides differently, which a window cannot express.
        if any(r % 2 for r in reach):
            return None
        padding = (reach[0] // 2, reach[1] // 2)
    return Window(_pair(module.kernel_size), _pair(module.stride), _pair(padding), _pair(module.dilation))


def layer_of(name: str, output: torch.Size, weight: Tensor, is_mask: bool, rates: Rates) -> Layer:
    """The input of the rule on a module whose output has that shape. *weight*: its weight or its mask."""
    pixels = output[2] * output[3] if len(output) == 4 else 1
    kept = int(weight.sum()) if is_mask else weight.numel()
    return Layer(name, weight.shape[0], weight[0].numel(), pixels, kept, rates)
