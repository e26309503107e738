"""A copy of a network that computes only kept weights; its state dict has the original's names and shapes."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.training.sparse import decide
from prunecheck.training.sparse.build import Builder, layer_of, sparse_layer
from prunecheck.training.sparse.conv import SparseConv
from prunecheck.training.sparse.fallback import Dense
from prunecheck.training.sparse.maps import Pool
from prunecheck.training.sparse.native import Weight
from prunecheck.training.sparse.tape import Program, run
from prunecheck.training.sparse.trace import Traced, traced

CHUNK = 128
"""images evaluated at a time: more would not fit into the cache"""
TOLERANCE = 1e-3
"""largest relative difference from the original's output that rounding explains"""


class SparseNetwork(nn.Module):
    """Made by :func:`sparse_network`. Its parameters are the original's in number and order, pruned ones as 1-D tensors
    of their kept values; its state dict has the original's names and full shapes, with zeros where it is pruned."""

    def __init__(self, shell: nn.Module, weights: Mapping[str, Weight], program: Program, described: list[Any]) -> None:
        super().__init__()
        self._shell = [shell]  # in a list, so that its parameters are not registered
        self._weights = dict(weights)
        self._program = program
        self._pool = Pool()
        self._described = described
        self._by_image = False
        self._numbers = nn.ParameterList(
            nn.Parameter(_survivors(parameter, weights[name]), requires_grad=parameter.requires_grad)
            for name, parameter in shell.named_parameters()
        )
        self.train(shell.training)

    def forward(self, inputs: Tensor) -> Tensor:
        # What is not computed sparsely meets maps in bfloat16.
        with torch.autocast("cpu", torch.bfloat16) if self._pool.dtype is torch.bfloat16 else nullcontext():
            return self._forward(inputs)

    def _forward(self, inputs: Tensor) -> Tensor:
        parameters = tuple(self._numbers)
        if self.training or torch.is_grad_enabled():
            return run(self._program, self._pool, inputs, parameters)
        size = CHUNK if self._by_image else max(len(inputs), 1)
        parts = [run(self._program, self._pool, part, parameters) for part in torch.split(inputs, size)]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def train(self, mode: bool = True) -> SparseNetwork:
        super().train(mode)
        self._shell[0].train(mode)
        return self

    def describe(self) -> list[tuple[str, str, str]]:
        """(layer, "sparse" or "dense", why) of every pruned layer."""
        return list(self._described)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """That of the original network: its names, full shapes, pruned weights 0, buffers included."""
        state: dict[str, Any] = self._shell[0].state_dict(*args, **kwargs)
        prefix = kwargs.get("prefix", "")
        for (name, weight), parameter in zip(self._weights.items(), self._numbers, strict=True):
            state[prefix + name] = weight.full(parameter.detach()).detach().clone()
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Of the original network; values of pruned weights are ignored."""
        del assign
        result = self._shell[0].load_state_dict(state_dict, strict=strict)
        with torch.no_grad():
            for (name, weight), parameter in zip(self._weights.items(), self._numbers, strict=True):
                if name in state_dict:
                    parameter.copy_(_survivors(state_dict[name], weight))
        return result


def sparse_network(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    example: Tensor,
    precision: str = "float32",
    instructions: Collection[str] = (),
) -> SparseNetwork:
    """The sparse copy of *model*, which is not changed. *masks*: ``{parameter name: bool}``, True = keep; *example*: a
    batch of inputs. *precision*: ``bfloat16`` stores activations and their gradients in bfloat16, and sums in float32;
    *instructions*: the processor's for bfloat16. Raises Dense where the ordinary dense path is the right one."""
    try:
        shell = copy.deepcopy(model)
    except Exception as error:
        raise Dense(f"it cannot be copied ({type(error).__name__})") from error
    # Two images are enough for tracing and for the comparison below.
    example = example[:2].detach()
    found = traced(shell, example)
    sparse, described = _chosen(shell, masks, found, decide.rates_of(precision, instructions))
    weights = {
        name: Weight(i, parameter.shape, _positions(masks.get(name)))
        for i, (name, parameter) in enumerate(shell.named_parameters())
    }
    windows = [layer.window for layer in sparse.values()]
    # One border for all maps, the widest that is needed, so that a map can be read by any layer.
    border = max(max(window.border, window.gradient_border) for window in windows)
    program = Builder(shell, found, weights, sparse, border).program()
    made = SparseNetwork(shell, weights, program, described)
    # Compared in evaluation mode, in which batch norm does not mix the images and dropout is off.
    made.eval()
    made._by_image = _compare(made, shell, masks, example)
    if precision == "bfloat16":  # compared in float32, in which rounding does not hide an error
        made._pool = Pool(torch.bfloat16)
    made.train(model.training)
    return made


def _chosen(
    shell: nn.Module, masks: Mapping[str, Tensor], found: Traced, rates: decide.Rates
) -> tuple[dict[str, SparseConv], list[tuple[str, str, str]]]:
    """The sparse layers by module name, and every decision. Raises Dense where too little is gained."""
    sparse: dict[str, SparseConv] = {}
    described: list[tuple[str, str, str]] = []
    layers: list[decide.Layer] = []
    for node in found.graph.nodes:
        name = str(node.target)
        # A layer that is called twice is one layer, and is decided once.
        if node.op != "call_module" or any(layer.name == name for layer in layers):
            continue
        module = shell.get_submodule(name)
        if type(module) not in (nn.Linear, nn.Conv2d):
            continue
        rank = 2 if isinstance(module, nn.Linear) else 4
        mask = masks.get(f"{name}.weight")
        fits = rank == len(found.shapes[node])
        counted = shell.get_parameter(f"{name}.weight") if mask is None else mask
        layer = layer_of(name, found.shapes[node], counted, mask is not None, rates)
        made = sparse_layer(module, mask) if fits and mask is not None and layer.is_sparse else None
        # The rule needs the work that is really done: a layer without a sparse form is computed in full.
        layers.append(layer if made else replace(layer, kept=layer.outputs * layer.taps))
        if made is not None:
            sparse[name] = made
        if mask is not None:
            described.append((name, "sparse" if made else "dense", layer.why))
    if not sparse or not decide.worth_it(layers):
        raise Dense("too many weights survive for a sparse computation to be faster")
    return sparse, described


def _compare(made: SparseNetwork, shell: nn.Module, masks: Mapping[str, Tensor], example: Tensor) -> bool:
    """Verify that the sparse network computes what the masked network computes. Returns True if images do not influence
    each other, so that a batch may be evaluated in parts."""
    with torch.no_grad():
        for name, mask in masks.items():
            # The original's pruned weights may hold any values, the copy has none.
            shell.get_parameter(name).masked_fill_(~mask, 0)
        wanted, ours = shell(example), made(example)
        if not _alike(ours, wanted):
            raise Dense("its sparse form computes something else")
        return len(example) > 1 and _alike(torch.cat([shell(image[None]) for image in example]), wanted)


def _alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and float((a - b).abs().max()) <= TOLERANCE * float(1 + b.abs().max())


def _positions(mask: Tensor | None) -> Tensor | None:
    return None if mask is None else torch.nonzero(mask.reshape(-1)).reshape(-1)


def _survivors(parameter: Tensor, weight: Weight) -> Tensor:
    detached = parameter.detach()
    if weight.survivors is None:
        return detached.clone()
    return detached.reshape(-1)[weight.survivors]
