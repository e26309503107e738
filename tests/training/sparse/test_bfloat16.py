"""Sparse networks whose activations are stored in bfloat16."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

pytest.importorskip("numba")

from prunecheck import models
from prunecheck.pruning.task import task_named
from prunecheck.training.feed import Feed
from prunecheck.training.loop import start, train
from prunecheck.training.recipe import RECIPES, recipe_from
from prunecheck.training.sparse import sparse_network
from prunecheck.training.sparse.jit import compiled, narrow, stored, wide
from tests.training.sparse.nets import masks_for
from tests.training.sparse.test_network import NETS, pair


@compiled
def _there_and_back(numbers: np.ndarray, rounded: np.ndarray, again: np.ndarray, kept: np.ndarray) -> None:
    for j in range(numbers.size):
        rounded[j] = narrow(numbers[j], rounded)
        again[j] = wide(rounded[j])
        kept[j] = stored(again[j], kept)


def test_rounding_is_torch_s_for_ties_subnormals_infinities_and_nan() -> None:
    halves = np.arange(2**16, dtype=np.uint32) << 16
    bits = np.concatenate([halves + np.uint32(low) for low in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)])
    numbers = bits.view(np.float32)
    rounded, again, kept = np.empty(len(bits), np.uint16), np.empty_like(numbers), np.empty(len(bits), np.uint16)
    _there_and_back(numbers, rounded, again, kept)
    wanted = torch.from_numpy(numbers).bfloat16()
    is_nan = wanted.isnan().numpy()
    np.testing.assert_array_equal(rounded[~is_nan], wanted.view(torch.int16).numpy().view(np.uint16)[~is_nan])
    assert np.isnan(again[is_nan]).all()
    np.testing.assert_array_equal(again, wanted.float().numpy())
    np.testing.assert_array_equal(kept, rounded)


def outputs_and_slopes(net: nn.Module, batch: Tensor, targets: Tensor, autocast: bool = False) -> tuple[Tensor, ...]:
    net.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        out = net(batch).float()
    F.cross_entropy(out, targets).backward()
    return out.detach(), torch.cat([parameter.grad.flatten() for parameter in net.parameters()])


def half_of(name: str) -> tuple[nn.Module, nn.Module, nn.Module, Tensor, Tensor]:
    """A sparse network in float32, the same in bfloat16, the masked dense network, and a batch."""
    net, masks, single, inputs, targets = pair(name)
    return single, sparse_network(net, masks, inputs, "bfloat16", ["avx512_bf16"]), net, inputs, targets


@pytest.mark.parametrize("name", ["resnet8", "convnet", "perceptron", "bottlenecks", "plain_vgg", "odd"])
def test_outputs_are_about_as_exact_as_under_autocast(name: str) -> None:
    single, half, net, inputs, targets = half_of(name)
    exact, _ = outputs_and_slopes(single, inputs, targets)
    found, slopes = outputs_and_slopes(half, inputs, targets, autocast=True)
    usual, _ = outputs_and_slopes(copy.deepcopy(net), inputs, targets, autocast=True)
    assert slopes.dtype == torch.float32
    assert 0 < (found - exact).norm() <= 2 * (usual - exact).norm()


@pytest.mark.parametrize("name", ["resnet8", "perceptron", "plain_vgg", "odd"])
def test_gradients_are_about_as_exact_as_under_autocast(name: str) -> None:
    single, half, net, inputs, targets = half_of(name)
    _, exact = outputs_and_slopes(single, inputs, targets)
    _, found = outputs_and_slopes(half, inputs, targets, autocast=True)
    outputs_and_slopes(net, inputs, targets, autocast=True)
    slopes = [parameter.grad for parameter in net.parameters()]
    kept = [weight.survivors for weight in half._weights.values()]
    usual = torch.cat([s.flatten() if k is None else s.flatten()[k] for s, k in zip(slopes, kept, strict=True)])
    assert 0 < (found - exact).norm() <= 2 * (usual - exact).norm()


def test_the_network_computes_the_same_without_autocast_around_it() -> None:
    _, half, _, inputs, _ = half_of("resnet8")
    half.eval()
    with torch.inference_mode():
        plain = half(inputs)
        with torch.autocast("cpu", torch.bfloat16):
            assert half(inputs).equal(plain)


def test_maps_take_half_the_memory_and_weights_stay_float32() -> None:
    single, half, _, inputs, targets = half_of("resnet8")
    for net in (single, half):
        outputs_and_slopes(net, inputs, targets)
    taken = [sum(flat.nbytes for idle in net._pool.idle.values() for flat in idle) for net in (single, half)]
    largest = {shape: len(idle) for shape, idle in half._pool.idle.items()}
    assert {flat.dtype for idle in half._pool.idle.values() for flat in idle} == {torch.bfloat16}
    assert len(largest) > 1
    assert taken[1] < taken[0]
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())
    assert all(value.dtype in (torch.float32, torch.int64) for value in half.state_dict().values())


@pytest.mark.parametrize("name", list(NETS))
def test_two_runs_have_equal_bits(name: str) -> None:
    _, half, _, inputs, targets = half_of(name)
    again = half_of(name)[1]
    for a, b in zip(*(outputs_and_slopes(net, inputs, targets) for net in (half, again)), strict=True):
        assert a.equal(b)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_recipe_fast_trains_its_network_sparsely(precision: str) -> None:
    recipe = recipe_from(RECIPES["fast"].to_dict() | {"epochs": 2, "batch_size": 16})
    net = models.build("fastnet", num_classes=10, image_size=16)
    masks = masks_for(net, 0.95)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (48, 3, 16, 16), dtype=np.uint8))
    feeds = [Feed(images, torch.arange(48) % 10, (0.5,) * 3, (0.25,) * 3, pad=pad) for pad in (recipe.pad, 0)]
    made = sparse_network(net, masks, torch.zeros(2, 3, 16, 16), precision, ["avx512_bf16"])
    before = [parameter.detach().clone() for parameter in made.parameters()]
    state = start(made, recipe)
    how = {"seed": 0, "phase": "ticket", "first": 0, "last": 2, "precision": precision}
    assert train(state, *feeds, recipe, task_named("classification"), masks=None, **how)
    assert not all(a.equal(b) for a, b in zip(before, made.parameters(), strict=True))
    for name, mask in masks.items():
        assert made.state_dict()[name][~mask].eq(0).all()
