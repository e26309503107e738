"""The prunable layers of a ResNet-50 (He et al. 2016), generated: 25,502,912 weights at width 64."""

from __future__ import annotations

from prunecheck.pruning.layers import Layer

BLOCKS = (3, 4, 6, 3)


def resnet50_layers(width: int = 64) -> tuple[Layer, ...]:
    """First convolution, bottlenecks 1x1-3x3-1x1 with projected shortcuts, classifier of 1000."""
    shapes: list[tuple[int, ...]] = [(width, 3, 7, 7)]
    inputs = width
    for stage, blocks in enumerate(BLOCKS):
        middle = width * 2**stage
        for block in range(blocks):
            shapes += [(middle, inputs, 1, 1), (middle, middle, 3, 3), (4 * middle, middle, 1, 1)]
            if block == 0:
                shapes.append((4 * middle, inputs, 1, 1))
            inputs = 4 * middle
    convolutions = [Layer(f"layer{i}.weight", "conv", shape) for i, shape in enumerate(shapes)]
    return (*convolutions, Layer("fc.weight", "linear", (1000, inputs)))
