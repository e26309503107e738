"""The list of models, as plain values: the command line prints it without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelEntry:
    """One model. ``mflops``: millions of operations (2 per multiply-add) of one forward pass of one image.

    The image is ``in_channels`` x ``image_size`` x ``image_size``, the sizes the network was published for.
    ``factory`` is ``module:function``; ``options`` are its extra arguments.
    """

    name: str
    summary: str
    factory: str
    mflops: float
    options: Mapping[str, int] = field(default_factory=dict)
    image_size: int = 32
    in_channels: int = 3

    def mflops_at(self, side: int) -> float:
        """The same for images of *side* pixels per side: operations grow with the pixels."""
        return self.mflops * (side / self.image_size) ** 2


def names() -> tuple[str, ...]:
    """The names of our models, aliases left out."""
    return tuple(MODELS)


def canonical(name: str) -> str:
    """The name in ``MODELS`` an alias stands for; any other name unchanged."""
    return ALIASES.get(name, name)


RESNET_MFLOPS = {
    (8, 32): 98.2,
    (14, 32): 211.5,
    (20, 32): 324.7,
    (32, 32): 551.2,
    (44, 32): 777.7,
    (50, 32): 891.0,
    (56, 32): 1004.2,
    (8, 16): 25.0,
    (14, 16): 53.3,
    (20, 16): 81.6,
    (32, 16): 138.3,
    (44, 16): 194.9,
    (50, 16): 223.2,
    (56, 16): 251.5,
}
"""(depth, width) -> millions of operations on a 32 x 32 colour image, 10 classes."""

RESNET18 = ModelEntry(
    name="resnet18",
    summary="ResNet-18 for small images: 3x3 stem, no pooling, widths 64-128-256-512 (He et al. 2016), 11.2M weights",
    factory="prunecheck.models.resnet:resnet18",
    mflops=1112.5,
)

VGG_MFLOPS = {11: 305.5, 13: 456.5, 16: 626.4, 19: 796.3}

SMALL = (
    ModelEntry(
        name="convnet",
        summary="three 3x3 convolutions 16-32-64 with batch norm, 24k weights: seconds on a CPU",
        factory="prunecheck.models.small:convnet",
        mflops=3.84,
        options={"width": 16},
        image_size=28,
        in_channels=1,
    ),
    ModelEntry(
        name="convnet_w32",
        summary="three 3x3 convolutions 32-64-128 with batch norm, 94k weights",
        factory="prunecheck.models.small:convnet",
        mflops=5.16,
        options={"width": 32},
        image_size=16,
    ),
    ModelEntry(
        name="fastnet",
        summary="seven 3x3 convolutions 16-32-64-64, pooled before batch norm, for the recipe fast, 144k weights",
        factory="prunecheck.models.small:fastnet",
        mflops=35.1,
        options={"width": 16},
    ),
    ModelEntry(
        name="lenet_300_100",
        summary="perceptron 784-300-100-10 (LeCun et al. 1998), 266k weights on MNIST",
        factory="prunecheck.models.small:lenet_300_100",
        mflops=0.53,
        image_size=28,
        in_channels=1,
    ),
)


def _resnet(depth: int, width: int) -> ModelEntry:
    widths = "-".join(str(width * k) for k in (1, 2, 4))
    source = "Su et al. 2020, double width" if width == 32 else "He et al. 2016"
    return ModelEntry(
        name=f"resnet{depth}" if width == 32 else f"resnet{depth}_w{width}",
        summary=f"CIFAR ResNet-{depth}, widths {widths} ({source})",
        factory="prunecheck.models.resnet:resnet",
        mflops=RESNET_MFLOPS[depth, width],
        options={"depth": depth, "width": width},
    )


def _vgg(depth: int) -> ModelEntry:
    return ModelEntry(
        name=f"vgg{depth}_bn",
        summary=f"VGG-{depth} with batch norm and one linear layer (Su et al. 2020)",
        factory="prunecheck.models.vgg:vgg_bn",
        mflops=VGG_MFLOPS[depth],
        options={"depth": depth},
    )


MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        *(_resnet(depth, width) for depth, width in RESNET_MFLOPS),
        RESNET18,
        *(_vgg(depth) for depth in VGG_MFLOPS),
        *SMALL,
    )
}
"""Name -> entry, in the order they are listed."""

ALIASES: dict[str, str] = {
    **{f"resnet{depth}_w32": f"resnet{depth}" for depth, width in RESNET_MFLOPS if width == 32},
    **{f"cifar_resnet_{depth}": f"resnet{depth}_w16" for depth, width in RESNET_MFLOPS if width == 16},
    **{f"cifar_vgg_{depth}": f"vgg{depth}_bn" for depth in VGG_MFLOPS},
    "mnist_lenet_300_100": "lenet_300_100",
}
"""Other names the field uses (open_lth's among them) -> the name in ``MODELS``; resolved by ``canonical`` alone."""
