"""The prunable layers of published networks, written out by hand: no model is built for counting."""

from __future__ import annotations

from prunecheck.pruning.layers import Layer

Layers = tuple[Layer, ...]


def resnet32(classes: int = 10) -> Layers:
    """Double width 32-64-128 with 1x1 shortcuts at the two stride changes, as in Su et al. 2020."""
    layers = [Layer("conv1.weight", "conv", (32, 3, 3, 3))]
    width_in = 32
    for stage, width in enumerate((32, 64, 128), start=1):
        for block in range(5):
            prefix = f"layer{stage}.{block}"
            layers.append(Layer(f"{prefix}.conv1.weight", "conv", (width, width_in, 3, 3)))
            layers.append(Layer(f"{prefix}.conv2.weight", "conv", (width, width, 3, 3)))
            if width_in != width:
                layers.append(Layer(f"{prefix}.downsample.0.weight", "conv", (width, width_in, 1, 1)))
            width_in = width
    return (*layers, Layer("fc.weight", "linear", (classes, 128)))


def vgg19(classes: int = 10) -> Layers:
    widths = [64] * 2 + [128] * 2 + [256] * 4 + [512] * 8
    pairs = zip([3, *widths], widths, strict=False)
    layers = [Layer(f"features.{i}.weight", "conv", (out, into, 3, 3)) for i, (into, out) in enumerate(pairs)]
    return (*layers, Layer("classifier.weight", "linear", (classes, 512)))


def resnet50() -> Layers:
    """The ImageNet bottleneck network, names as in torchvision."""
    layers = [Layer("conv1.weight", "conv", (64, 3, 7, 7))]
    width_in = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            prefix = f"layer{stage}.{block}"
            layers.append(Layer(f"{prefix}.conv1.weight", "conv", (width, width_in, 1, 1)))
            layers.append(Layer(f"{prefix}.conv2.weight", "conv", (width, width, 3, 3)))
            layers.append(Layer(f"{prefix}.conv3.weight", "conv", (4 * width, width, 1, 1)))
            if block == 0:
                layers.append(Layer(f"{prefix}.downsample.0.weight", "conv", (4 * width, width_in, 1, 1)))
            width_in = 4 * width
    return (*layers, Layer("fc.weight", "linear", (1000, 2048)))


def small() -> Layers:
    return (
        Layer("a.weight", "conv", (8, 3, 3, 3)),
        Layer("b.weight", "conv", (16, 8, 3, 3)),
        Layer("c.weight", "conv", (16, 4, 3, 3)),
        Layer("fc.weight", "linear", (10, 16)),
    )
