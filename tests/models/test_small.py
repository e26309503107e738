"""The small networks: their layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunecheck.errors import ModelError
from prunecheck.models.small import convnet, fastnet, lenet_300_100


def test_convnet_has_three_normalised_convolutions_without_bias() -> None:
    model = convnet(num_classes=10, in_channels=1, width=16)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels) for c in convolutions] == [(1, 16), (16, 32), (32, 64)]
    assert all(c.bias is None for c in convolutions)
    assert [m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d)] == [16, 32, 64]


def test_convnet_sees_the_whole_image() -> None:
    """The average over the map lets every pixel matter, the ones in the last corner too."""
    torch.manual_seed(0)
    model = convnet(num_classes=10, in_channels=1, image_size=16).eval()
    images = torch.randn(1, 1, 16, 16, requires_grad=True)
    model(images).sum().backward()
    assert images.grad is not None
    assert images.grad[0, 0, 8:, 8:].abs().sum() > 0


def test_fastnet_has_seven_normalised_convolutions_and_halves_the_image_three_times() -> None:
    model = fastnet(num_classes=10)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    widths = [16, 32, 32, 64, 64, 64, 64]
    assert [c.out_channels for c in convolutions] == widths
    assert all(c.bias is None and c.kernel_size == (3, 3) for c in convolutions)
    sides: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda _, __, out: sides.append(out.shape[-1]))
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert sides == [32, 16, 16, 8, 8, 4, 4]  # pooled before it is normalised


def test_fastnet_refuses_images_that_it_would_halve_to_nothing() -> None:
    assert fastnet(num_classes=2, image_size=8)(torch.randn(2, 3, 8, 8)).shape == (2, 2)
    with pytest.raises(ModelError, match="8 pixels or more, not 7"):
        fastnet(num_classes=2, image_size=7)


def test_lenet_takes_the_flattened_image() -> None:
    model = lenet_300_100(num_classes=10, in_channels=3, image_size=8)
    shapes = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, nn.Linear)]
    assert shapes == [(300, 192), (100, 300), (10, 100)]
