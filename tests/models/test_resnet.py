"""The paper's ResNets: order, names, shapes and initial weights of the official code."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prunecheck.errors import ModelError
from prunecheck.models.resnet import resnet


def layers(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def test_shortcut_comes_after_the_two_convolutions_of_its_block() -> None:
    assert layers(resnet(num_classes=10, depth=14)) == [
        "conv1",
        "layer1.0.conv1",
        "layer1.0.conv2",
        "layer1.1.conv1",
        "layer1.1.conv2",
        "layer2.0.conv1",
        "layer2.0.conv2",
        "layer2.0.downsample.0",
        "layer2.1.conv1",
        "layer2.1.conv2",
        "layer3.0.conv1",
        "layer3.0.conv2",
        "layer3.0.downsample.0",
        "layer3.1.conv1",
        "layer3.1.conv2",
        "fc",
    ]


def test_weight_counts_of_resnet32_layer_by_layer() -> None:
    weights = [m.weight.numel() for m in resnet(num_classes=10, depth=32).modules() if hasattr(m, "stride")]
    first, second, third = [9216] * 10, [18432, 36864, 2048, *[36864] * 8], [73728, 147456, 8192, *[147456] * 8]
    assert weights == [864, *first, *second, *third]


def test_convolutions_have_no_bias_and_variance_two_over_fan_out() -> None:
    torch.manual_seed(0)
    model = resnet(num_classes=10, depth=8)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert all(c.bias is None for c in convolutions)
    wide = convolutions[-2]
    fan_out = wide.out_channels * 9
    assert wide.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.02)


def test_classifier_and_batch_norm_start_as_published() -> None:
    torch.manual_seed(0)
    model = resnet(num_classes=100, depth=8)
    fc = model.get_submodule("fc")
    assert isinstance(fc, nn.Linear)
    assert fc.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not fc.bias.any()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all()
            assert not module.bias.any()


def test_image_shrinks_twice_by_two() -> None:
    model = resnet(num_classes=10, depth=8)
    shapes = []
    model.get_submodule("layer3").register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape)))
    model(torch.randn(2, 3, 32, 32))
    assert shapes == [(2, 128, 8, 8)]


def test_an_identity_branch_leaves_relu_of_the_shortcut() -> None:
    block = resnet(num_classes=10, depth=8).get_submodule("layer1.0").eval()
    nn.init.zeros_(block.get_parameter("conv2.weight"))
    x = torch.randn(2, 32, 4, 4)
    assert torch.equal(block(x), x.relu())


@pytest.mark.parametrize("depth", [2, 18, 33])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(ModelError, match="6n"):
        resnet(num_classes=10, depth=depth)
