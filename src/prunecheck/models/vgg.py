"""VGG with batch norm for small images, as Su et al. 2020 trained it (after the GraSP code).

Simonyan & Zisserman 2015 (arXiv 1409.1556) configurations A, B, D, E without the last max-pool and with one linear
layer instead of three; the convolutions keep their biases.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prunecheck.errors import ModelError

STAGES = {
    11: ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2),
    13: ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2),
    16: ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
}
"""Depth -> output channels of each convolution, one tuple per stage; a max-pool is between stages."""

SMALLEST_IMAGE = 16


def vgg_bn(*, num_classes: int, in_channels: int = 3, image_size: int = 32, depth: int = 19) -> nn.Module:
    """VGG of ``depth`` 11, 13, 16 or 19. Raises ModelError for other depths and for images under 16 pixels."""
    if depth not in STAGES:
        raise ModelError(f"there is a VGG of depth {', '.join(map(str, STAGES))}, not {depth}.")
    if image_size < SMALLEST_IMAGE:
        raise ModelError(
            f"vgg{depth}_bn halves its images four times: it takes {SMALLEST_IMAGE} pixels or more, "
            f"not {image_size}. 'convnet' takes 8."
        )
    return VGG(num_classes, in_channels, depth)


class VGG(nn.Module):
    """Five stages of 3x3 convolution, batch norm, ReLU; the last map is averaged to one pixel."""

    def __init__(self, num_classes: int, in_channels: int, depth: int) -> None:
        super().__init__()
        self.features = _features(in_channels, depth)
        self.classifier = nn.Linear(512, num_classes)
        _initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        pixels = F.adaptive_avg_pool2d(self.features(images), 1)
        logits: Tensor = self.classifier(torch.flatten(pixels, 1))
        return logits


def _features(in_channels: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = in_channels
    for number, stage in enumerate(STAGES[depth]):
        if number > 0:
            layers.append(nn.MaxPool2d(2))
        for outputs in stage:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
    return nn.Sequential(*layers)


def _initialise(model: nn.Module) -> None:
    """Convolutions normal with variance 2/fan_in, the classifier N(0, 0.01), every bias 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_in))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)
