"""Tracing by torch.fx: the graph of a network and the shape of every value in it."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from prunecheck.training.sparse.fallback import Dense

RELU: tuple[Any, ...] = (F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_")
SUM: tuple[Any, ...] = (operator.add, operator.iadd, torch.add, "add", "add_")
IN_PLACE_OPERATORS: tuple[Any, ...] = (
    operator.iadd, operator.imul, operator.isub, operator.itruediv, operator.setitem, F.relu_, torch.relu_,
)  # fmt: skip


@dataclass(frozen=True)
class Traced:
    """``shapes``: of every node whose value is a tensor, for two images."""

    graph: fx.Graph
    shapes: dict[fx.Node, torch.Size]
    output: Tensor


def traced(model: nn.Module, example: Tensor) -> Traced:
    """The graph of *model*, which is left in evaluation mode. Raises Dense if it has no graph that is always valid."""
    check(model)
    graphs = []
    # Both modes: one program serves both, so that their graphs must be the same.
    for training in (True, False):
        model.train(training)
        try:
            graphs.append(fx.Tracer().trace(model))
        except Exception as error:
            line = (str(error).strip().splitlines() or [""])[0].rstrip(".")
            raise Dense(f"its forward pass cannot be traced ({type(error).__name__}: {line})") from error
    if str(graphs[0]) != str(graphs[1]):
        raise Dense("its forward pass takes another path in training than in evaluation")
    graph = graphs[1]
    _check_in_place(model, graph)
    recorder = _Recorder(fx.GraphModule(model, graph))
    with torch.no_grad():
        output = recorder.run(example)
    if not isinstance(output, Tensor):
        raise Dense("it returns something else than one tensor")
    return Traced(graph, recorder.shapes, output)


class _Recorder(fx.Interpreter):
    """Runs a graph and records shapes."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, torch.Size] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n] = result.shape
        elif n.op != "output" and _holds_tensors(result):
            raise Dense(f"{n.name} returns several tensors")
        return result


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_holds_tensors(inner) for inner in value)
    return isinstance(value, Tensor)


def check(model: nn.Module) -> None:
    """Raise Dense for properties that a copy of the network would not reproduce."""
    seen: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        # A parameter that is shared would be trained as two in the copy.
        if seen.setdefault(id(parameter), name) != name:
            raise Dense(f"{name} and {seen[id(parameter)]} are one parameter")
        if parameter.dtype != torch.float32 or parameter.device.type != "cpu":
            raise Dense(f"{name} is {str(parameter.dtype).removeprefix('torch.')} on {parameter.device.type}")
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            raise Dense(f"{name} has hooks")
    for name, module in model.named_modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        # The copy calls functions of its own in place of these modules, and would skip the hooks.
        if any(hooks):
            raise Dense(f"{name or type(module).__name__} has hooks")
        if parametrize.is_parametrized(module):
            raise Dense(f"{name or type(module).__name__} is parametrised")


def writes_in_place(model: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return bool(getattr(model.get_submodule(str(node.target)), "inplace", False))
    if node.op == "call_method":
        # "__" at the end marks methods such as __add__, which overwrite nothing.
        return str(node.target).endswith("_") and not str(node.target).endswith("__")
    return node.op == "call_function" and (node.target in IN_PLACE_OPERATORS or bool(node.kwargs.get("inplace")))


def _check_in_place(model: nn.Module, graph: fx.Graph) -> None:
    """Raise Dense if an overwritten value is read again, since values here are never overwritten."""
    position = {node: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if writes_in_place(model, node) and node.all_input_nodes:
            overwritten = node.all_input_nodes[0]
            if any(position[user] > position[node] for user in overwritten.users):
                raise Dense(f"{node.name} overwrites {overwritten.name}, which is used again")


def is_call(model: nn.Module, node: fx.Node, modules: tuple[type, ...], functions: tuple[Any, ...]) -> bool:
    """Whether a node calls one of these modules (exactly, not a subclass), functions or methods (by name)."""
    if node.op == "call_module":
        return type(model.get_submodule(str(node.target))) in modules
    return node.op in ("call_function", "call_method") and node.target in functions
