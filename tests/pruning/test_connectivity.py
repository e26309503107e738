"""Connected weights against a search for paths, edge by edge, that knows nothing of gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prunecheck.models import build
from prunecheck.pruning.connectivity import connected_weights
from prunecheck.pruning.layers import layers_of
from prunecheck.steps.mask import mask_results

Node = tuple[str, int, int, int]
Edge = tuple[Node, Node, tuple[str, tuple[int, ...]] | None]
"""from, to, and the weight it goes through (none for pooling)"""


def conv_edges(name: str, mask: np.ndarray, side: int, source: str, target: str) -> Iterator[Edge]:
    """A 3 x 3 convolution with padding 1."""
    for index in np.argwhere(mask):
        out, into, down, right = map(int, index)
        for row in range(side):
            for column in range(side):
                r, c = row + down - 1, column + right - 1
                if 0 <= r < side and 0 <= c < side:
                    yield (source, into, r, c), (target, out, row, column), (name, (out, into, down, right))


def pool_edges(channels: int, side: int, source: str, target: str) -> Iterator[Edge]:
    for channel in range(channels):
        for row in range(side):
            for column in range(side):
                yield (source, channel, row, column), (target, channel, row // 2, column // 2), None


def linear_edges(name: str, mask: np.ndarray, source: str, target: str) -> Iterator[Edge]:
    for index in np.argwhere(mask):
        out, into = map(int, index)
        yield (source, into, 0, 0), (target, out, 0, 0), (name, (out, into))


def reached(edges: list[Edge], from_: int, to: int, layer: str) -> set[Node]:
    """All nodes that can be reached from *layer*, forwards (0 -> 1) or backwards (1 -> 0)."""
    found = {node for edge in edges for node in edge[:2] if node[0] == layer}
    while True:
        new = {edge[to] for edge in edges if edge[from_] in found} - found
        if not new:
            return found
        found |= new


def on_a_path(edges: list[Edge]) -> set[tuple[str, tuple[int, ...]]]:
    forwards, backwards = reached(edges, 0, 1, "in"), reached(edges, 1, 0, "out")
    return {w for source, target, w in edges if w is not None and source in forwards and target in backwards}


def as_set(masks: dict[str, Tensor]) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, tuple(int(i) for i in index)) for name, mask in masks.items() for index in torch.nonzero(mask)}


class Pooled(nn.Module):
    """4 x 4 images, two convolutions, pooled twice down to one pixel, linear. Biases and norms lead nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.b = nn.Conv2d(3, 3, 3, padding=1)
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.a(x))), 2)
        x = nn.MaxPool2d(2)(F.relu(self.b(x)))
        return self.fc(x.flatten(1))


def random_masks(model: nn.Module, keep: dict[str, float], rng: np.random.Generator) -> dict[str, Tensor]:
    return {name: torch.from_numpy(rng.random(tuple(model.get_parameter(name).shape)) < k) for name, k in keep.items()}


@pytest.mark.parametrize("kept", [0.03, 0.1, 0.3])
def test_a_convolutional_network_with_max_pooling(kept: float) -> None:
    rng, model = np.random.default_rng(7), Pooled()
    found_less_than_all = 0
    for _ in range(12):
        masks = random_masks(model, {"a.weight": kept, "b.weight": kept, "fc.weight": 0.5}, rng)
        a, b, fc = (mask.numpy() for mask in masks.values())
        edges = [
            *conv_edges("a.weight", a, 4, "in", "a"),
            *pool_edges(3, 4, "a", "pool a"),
            *conv_edges("b.weight", b, 2, "pool a", "b"),
            *pool_edges(3, 2, "b", "pool b"),
            *linear_edges("fc.weight", fc, "pool b", "out"),
        ]
        connected = connected_weights(model, masks, (2, 4, 4))
        assert connected is not None
        assert as_set(connected) == on_a_path(edges)
        found_less_than_all += on_a_path(edges) != as_set(masks)
    assert found_less_than_all


def test_a_perceptron() -> None:
    rng = np.random.default_rng(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    names = ["1.weight", "3.weight", "5.weight"]
    for _ in range(40):
        masks = random_masks(model, dict.fromkeys(names, 0.25), rng)
        edges = [
            edge
            for i, name in enumerate(names)
            for edge in linear_edges(name, masks[name].numpy(), ("in", "x", "y")[i], ("x", "y", "out")[i])
        ]
        connected = connected_weights(model, masks, (6, 1, 1))
        assert connected is not None
        assert as_set(connected) == on_a_path(edges)


def test_a_residual_network_is_connected_through_its_shortcuts() -> None:
    model = build("resnet8_w16", 10, 3, 8)
    masks = {layer.name: torch.ones(layer.shape, dtype=torch.bool) for layer in layers_of(model)}
    block = next(name for name in masks if name.endswith("conv2.weight"))
    masks[block] = torch.zeros_like(masks[block])
    connected = connected_weights(model, masks, (3, 8, 8))
    assert connected is not None
    into_nowhere = block.replace("conv2", "conv1")
    lost = [name for name in masks if not connected[name].any()]
    assert set(lost) == {block, into_nowhere}


def test_the_model_is_left_alone() -> None:
    model = Pooled().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    masks = {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in ("a.weight", "b.weight")}
    connected_weights(model, masks, (2, 4, 4))
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


class Odd(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.a, self.b = kind, nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 2)
        self.norm = nn.GroupNorm(2, 4) if kind == "group norm" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.a(x))
        if self.kind == "difference":
            x = x - 2 * x.roll(1, dims=1)
        if self.kind == "gaps":
            x = F.max_pool2d(x, 2, dilation=2)
        if self.kind == "refuses":
            raise RuntimeError("only 32 x 32")
        return self.b(x.mean((2, 3)))


@pytest.mark.parametrize("kind", ["group norm", "difference", "gaps", "refuses"])
def test_where_signals_are_no_sums_nothing_is_claimed(kind: str) -> None:
    model = Odd(kind)
    masks = {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in ("a.weight", "b.weight")}
    masks["a.weight"][1:, :, 0] = False
    assert connected_weights(model, masks, (1, 8, 8)) is None


def test_the_plain_one_is_told() -> None:
    model = Odd("plain")
    masks = {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in ("a.weight", "b.weight")}
    masks["b.weight"][:, 2] = False
    connected = connected_weights(model, masks, (1, 8, 8))
    assert connected is not None
    assert not connected["a.weight"][2].any()
    assert int(connected["a.weight"].sum()) == 27


def test_the_facts_of_a_mask() -> None:
    layers = layers_of(build("convnet", 10, 1, 8))
    masks = {layer.name: torch.ones(layer.shape, dtype=torch.bool) for layer in layers}
    masks["conv2.weight"][5:] = False  # 27 of 32 filters are dead, and so is what reads them
    facts = mask_results(masks, build("convnet", 10, 1, 8), (1, 8, 8))
    assert facts["weights"] == 24 * 1000 - 176
    kept = {name: count for name, _, _, count in facts["layers"]}
    assert kept == {"conv1.weight": 144, "conv2.weight": 5 * 16 * 9, "conv3.weight": 64 * 32 * 9, "fc.weight": 640}
    assert facts["kept"] == sum(kept.values())
    assert facts["effective_kept"] == 144 + 5 * 16 * 9 + 64 * 5 * 9 + 640
    assert facts["dead_units"] == 27
    assert facts["empty_layers"] == []
    masks["conv3.weight"][:] = False
    facts = mask_results(masks, build("convnet", 10, 1, 8), (1, 8, 8))
    assert facts["empty_layers"] == ["conv3.weight"]
    assert facts["effective_kept"] == 0
    assert facts["dead_units"] == 16 + 32 + 64 + 10
