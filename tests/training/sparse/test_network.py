"""Sparse networks equal the masked dense networks."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prunecheck import models
from prunecheck.training.sparse import Dense, sparse_network
from prunecheck.training.sparse.network import SparseNetwork

pytest.importorskip("numba")

from tests.training.sparse.nets import Bottlenecks, Odd, PlainVgg, masks_for

NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "resnet8": (lambda: models.build("resnet8_w16", num_classes=10, image_size=8), (3, 8, 8)),
    "vgg11": (lambda: models.build("vgg11_bn", num_classes=10, image_size=16), (3, 16, 16)),
    "convnet": (lambda: models.build("convnet", num_classes=10, in_channels=1, image_size=9), (1, 9, 9)),
    "perceptron": (lambda: models.build("lenet_300_100", num_classes=10, in_channels=1, image_size=8), (1, 8, 8)),
    "bottlenecks": (Bottlenecks, (3, 16, 16)),
    "plain_vgg": (PlainVgg, (3, 12, 12)),
    "odd": (Odd, (4, 9, 9)),
}

CHEAP_FIRST = [pytest.param(name, marks=pytest.mark.slow) if name == "vgg11" else name for name in NETS]


def pair(name: str, sparsity: float = 0.95) -> tuple[nn.Module, dict[str, Tensor], SparseNetwork, Tensor, Tensor]:
    """A masked network, its masks, its sparse form, and a batch."""
    make, shape = NETS[name]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = make()
        masks = masks_for(net, sparsity)
        with torch.no_grad():
            for key, mask in masks.items():
                net.get_parameter(key).mul_(mask)
        inputs, targets = torch.randn(11, *shape), torch.arange(11) % 10
    return net, masks, sparse_network(net, masks, inputs), inputs, targets


def sgd(net: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3, fused=True)


def train(net: nn.Module, optimiser: torch.optim.SGD, batch: tuple[Tensor, Tensor], steps: int,
          masks: dict[str, Tensor] | None = None) -> list[float]:  # fmt: skip
    net.train()
    losses = []
    for _ in range(steps):
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(batch[0].to(next(net.parameters()).dtype)), batch[1])
        loss.backward()
        for key, mask in (masks or {}).items():
            net.get_parameter(key).grad.mul_(mask)
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", CHEAP_FIRST)
def test_twenty_steps_stay_with_the_masked_network(name: str) -> None:
    net, masks, ours, inputs, targets = pair(name)
    exact = copy.deepcopy(net).double()
    wanted = train(exact, sgd(exact), (inputs, targets), 20, masks)
    found = train(ours, sgd(ours), (inputs, targets), 20)
    assert found[:8] == pytest.approx(wanted[:8], rel=2e-6)
    # later on a rounding error may turn a ReLU on or off, which no precision of float32 prevents
    assert found == pytest.approx(wanted, rel=2e-2)


@pytest.mark.parametrize("name", NETS)
def test_gradients_are_as_exact_as_torch_s(name: str) -> None:
    net, masks, ours, inputs, targets = pair(name)
    exact = copy.deepcopy(net).double()
    slopes = []
    for each, batch in ((exact, inputs.double()), (net, inputs), (ours, inputs)):
        each.train()
        F.cross_entropy(each(batch), targets).backward()
        slopes.append([parameter.grad for parameter in each.parameters()])
    names = [key for key, _ in net.named_parameters()]
    whole = torch.cat([slope.flatten() for slope in slopes[0]]).norm()
    for key, right, usual, mine in zip(names, *slopes, strict=True):
        if key in masks:
            right, usual = right[masks[key]], usual[masks[key]]
        assert mine.shape == right.shape
        assert (mine.double() - right).norm() <= 2 * (usual.double() - right).norm() + 1e-6 * whole


@pytest.mark.parametrize("name", CHEAP_FIRST)
def test_evaluation_and_running_statistics(name: str) -> None:
    net, masks, ours, inputs, targets = pair(name)
    for each in (net, ours):
        train(each, torch.optim.SGD(each.parameters(), lr=0.0), (inputs, targets), 3)
        each.eval()
    state, wanted = ours.state_dict(), net.state_dict()
    assert list(state) == list(wanted)
    for key, value in wanted.items():
        torch.testing.assert_close(state[key], value, rtol=1e-4, atol=1e-5)
        if key in masks:
            assert state[key][~masks[key]].eq(0).all()
    many = inputs.repeat(25, 1, 1, 1)
    with torch.inference_mode():
        torch.testing.assert_close(ours(many), net(many), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet8", "odd"])
def test_a_resumed_training_is_equal_to_the_bit(name: str) -> None:
    net, masks, ours, inputs, targets = pair(name)
    optimiser = sgd(ours)
    train(ours, optimiser, (inputs, targets), 3)
    again = sparse_network(net, masks, inputs)
    again.load_state_dict(ours.state_dict())
    resumed = sgd(again)
    for before, after in zip(ours.parameters(), again.parameters(), strict=True):
        resumed.state[after]["momentum_buffer"] = optimiser.state[before]["momentum_buffer"].clone()
    assert train(ours, optimiser, (inputs, targets), 3) == train(again, resumed, (inputs, targets), 3)
    state = again.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in ours.state_dict().items())


def test_other_batch_sizes_and_two_passes_at_once() -> None:
    net, _, ours, inputs, _ = pair("resnet8")
    net.eval()
    ours.eval()
    first, second = ours(inputs[:4]), ours(inputs[4:])
    (first.square().sum() + second.square().sum()).backward()
    (net(inputs[:4]).square().sum() + net(inputs[4:]).square().sum()).backward()
    torch.testing.assert_close(ours(inputs), net(inputs), rtol=1e-4, atol=1e-5)
    last = [list(each.parameters())[-1].grad for each in (net, ours)]
    torch.testing.assert_close(last[1], last[0], rtol=1e-4, atol=1e-5)


def test_the_gradient_of_the_input() -> None:
    net, _, ours, inputs, _ = pair("bottlenecks")
    slopes = []
    for each in (net, ours):
        batch = inputs.clone().requires_grad_()
        each.train()(batch).square().sum().backward()
        slopes.append(batch.grad)
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-3, atol=1e-3 * float(slopes[0].abs().max()))


def test_nan_is_propagated() -> None:
    _, _, ours, inputs, targets = pair("resnet8")
    inputs[3, 0, 2, 2] = math.nan
    loss = F.cross_entropy(ours.train()(inputs), targets)
    loss.backward()
    assert not math.isfinite(loss.item())
    assert all(not torch.isfinite(p.grad).all() for p in ours.parameters() if p.numel() > 1000)


def test_original_network_and_mode_are_unchanged() -> None:
    net, masks, _, inputs, _ = pair("resnet8")
    before = copy.deepcopy(net.state_dict())
    net.eval()
    assert not sparse_network(net, masks, inputs).training
    net.train()
    assert sparse_network(net, masks, inputs).training
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_every_pruned_layer_is_described() -> None:
    _, masks, ours, _, _ = pair("vgg11")
    assert [f"{name}.weight" for name, _, _ in ours.describe()] == list(masks)
    assert {how for _, how, _ in ours.describe()} <= {"sparse", "dense"}


def test_low_sparsity_uses_the_dense_path() -> None:
    with pytest.raises(Dense, match="too many weights survive"):
        pair("resnet8", 0.3)
