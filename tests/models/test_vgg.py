"""The paper's VGGs: layers, biases, pools and initial weights of the official code."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from prunecheck.errors import ModelError
from prunecheck.models.vgg import vgg_bn


def test_vgg19_layer_by_layer() -> None:
    model = vgg_bn(num_classes=10, depth=19)
    shapes = [tuple(m.weight.shape[:2]) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    widths = [3, 64, 64, 128, 128, *[256] * 4, *[512] * 8]
    assert shapes == [*((out, into) for into, out in pairwise(widths)), (10, 512)]


@pytest.mark.parametrize(("depth", "convolutions"), [(11, 8), (13, 10), (16, 13), (19, 16)])
def test_four_pools_and_depth_minus_three_convolutions(depth: int, convolutions: int) -> None:
    modules = list(vgg_bn(num_classes=10, depth=depth).modules())
    assert sum(isinstance(m, nn.Conv2d) for m in modules) == convolutions
    assert sum(isinstance(m, nn.MaxPool2d) for m in modules) == 4
    assert not isinstance(list(vgg_bn(num_classes=10, depth=depth).get_submodule("features"))[-1], nn.MaxPool2d)


def test_initial_weights_are_the_published_ones() -> None:
    torch.manual_seed(0)
    model = vgg_bn(num_classes=100, depth=11)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert all(c.bias is not None and not c.bias.any() for c in convolutions)
    second = convolutions[1]
    assert second.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    classifier = model.get_submodule("classifier")
    assert isinstance(classifier, nn.Linear)
    assert classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not classifier.bias.any()


def test_the_last_map_is_averaged_to_one_pixel() -> None:
    model = vgg_bn(num_classes=3, depth=11, image_size=64).eval()
    images = torch.randn(2, 3, 64, 64)
    features = model.get_submodule("features")(images)
    assert features.shape == (2, 512, 4, 4)
    expected = model.get_submodule("classifier")(features.mean(dim=(2, 3)))
    torch.testing.assert_close(model(images), expected)


def test_unknown_depth_is_refused() -> None:
    with pytest.raises(ModelError, match="11, 13, 16, 19, not 17"):
        vgg_bn(num_classes=10, depth=17)
