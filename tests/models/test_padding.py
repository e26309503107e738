"""Weights that only ever multiply padding, counted against the gradients of a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunecheck.models import MODELS, build
from prunecheck.models.padding import padding_only


def _conv(kernel: int | tuple[int, int], side: int, **how: object) -> tuple[nn.Conv2d, int]:
    return nn.Conv2d(2, 3, kernel, **how), side  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "side"),
    [
        _conv(3, 1, padding=1),
        _conv(3, 2, padding=1, stride=2),
        _conv(3, 2, padding=1),
        _conv((3, 5), 2, padding=(1, 2)),
        _conv((5, 3), 2, padding=(2, 1), stride=(2, 1)),
        _conv(3, 2, padding=2, dilation=2),
        _conv(3, 1, padding="same"),
        _conv(5, 2, padding="same"),
        _conv(1, 1),
        _conv(3, 1, padding=1, padding_mode="replicate"),
    ],
)
def test_share_equals_that_of_weights_without_any_gradient(layer: nn.Conv2d, side: int) -> None:
    layer(torch.randn(4, 2, side, side)).square().sum().backward()
    assert layer.weight.grad is not None
    without = float((layer.weight.grad == 0).double().mean())
    found = padding_only(layer, 2, side)
    assert (0.0 if found is None else found.share) == pytest.approx(without)


def test_linear_layers_count_and_a_network_that_refuses_the_images_is_passed_over() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Flatten(), nn.Linear(1, 7))
    found = padding_only(net, 1, 1)
    assert found is not None
    assert (found.share, found.layers) == (8 / 16, ("0",))
    assert found.sentence("mine.py:net", 1).startswith("50% of the weights of mine.py:net only ever multiply padding")
    assert padding_only(net, 1, 2) is None
    assert net.training
    assert not net[0]._forward_pre_hooks


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "convnet"])
def test_no_network_of_the_package_has_such_weights_at_its_published_size(name: str) -> None:
    entry = MODELS[name]
    assert (
        padding_only(build(name, 10, entry.in_channels, entry.image_size), entry.in_channels, entry.image_size) is None
    )
