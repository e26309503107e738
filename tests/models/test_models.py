"""The public functions of the package: listing, building and refusals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from prunecheck.errors import ModelError
from prunecheck.models import ALIASES, MODELS, build, canonical, is_external, names, summary


def prunable(model: nn.Module) -> dict[str, int]:
    """Weight count of every convolution and linear layer, in module order."""
    return {
        name: module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }


def all_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "num_classes", "layers", "weights", "parameters"),
    [
        ("resnet32", 10, 34, 1_855_584, 1_860_522),
        ("resnet32", 100, 34, 1_867_104, 1_872_132),
        ("resnet32", 200, 34, 1_879_904, 1_885_032),
        ("resnet20", 10, 22, 1_081_440, 1_084_586),
        ("resnet44", 10, 46, 2_629_728, 2_636_458),
        ("resnet50", 10, 52, 3_016_800, 3_024_426),
        ("resnet56", 10, 58, 3_403_872, 3_412_394),
        ("resnet20_w16", 10, 22, 270_896, 272_474),
        ("resnet8_w16", 10, 10, 77_360, 78_042),
        ("resnet18", 10, 21, 11_164_352, 11_173_962),
        ("vgg19_bn", 10, 17, 20_024_000, 20_040_522),
        ("vgg19_bn", 100, 17, 20_070_080, 20_086_692),
        ("vgg19_bn", 200, 17, 20_121_280, 20_137_992),
        ("vgg16_bn", 10, 14, 14_715_584, 14_728_266),
        ("vgg11_bn", 10, 9, 9_222_848, 9_231_114),
        ("convnet_w32", 10, 4, 94_304, 94_762),
    ],
)
def test_weight_counts_equal_published_counts(
    name: str, num_classes: int, layers: int, weights: int, parameters: int
) -> None:
    model = build(name, num_classes=num_classes)
    counts = prunable(model)
    assert (len(counts), sum(counts.values()), all_parameters(model)) == (layers, weights, parameters)


@pytest.mark.parametrize(("name", "weights"), [("lenet_300_100", 266_200), ("convnet", 23_824)])
def test_small_nets_on_mnist_have_the_documented_weight_counts(name: str, weights: int) -> None:
    model = build(name, num_classes=10, in_channels=1, image_size=28)
    assert sum(prunable(model).values()) == weights


@pytest.mark.parametrize("name", list(MODELS))
def test_listed_cost_is_the_measured_cost(name: str) -> None:
    entry = MODELS[name]
    model = build(name, num_classes=10, in_channels=entry.in_channels, image_size=entry.image_size).eval()
    image = torch.zeros(1, entry.in_channels, entry.image_size, entry.image_size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image)
    assert entry.mflops == pytest.approx(counter.get_total_flops() / 1e6, rel=0.05)


@pytest.mark.parametrize(("name", "size"), [("vgg11_bn", 32), ("vgg11_bn", 64), ("resnet8", 64), ("resnet8", 16)])
def test_output_is_one_logit_per_class(name: str, size: int) -> None:
    model = build(name, num_classes=7, image_size=size)
    assert model(torch.randn(2, 3, size, size)).shape == (2, 7)


@pytest.mark.parametrize("size", [8, 14, 16, 28])
@pytest.mark.parametrize("channels", [1, 3])
def test_small_nets_take_every_small_image(size: int, channels: int) -> None:
    images = torch.randn(2, channels, size, size)
    for name in ("convnet", "lenet_300_100"):
        model = build(name, num_classes=5, in_channels=channels, image_size=size)
        assert model(images).shape == (2, 5)


def test_initial_weights_depend_on_the_callers_seed() -> None:
    def first_weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return next(build("convnet", num_classes=10).parameters()).detach()

    assert torch.equal(first_weights(3), first_weights(3))
    assert not torch.equal(first_weights(3), first_weights(4))


def test_aliases_resolve_to_models_and_shadow_none() -> None:
    assert set(ALIASES.values()) <= set(MODELS)
    assert not set(ALIASES) & set(MODELS)
    assert canonical("cifar_resnet_20") == "resnet20_w16"
    assert canonical("resnet32_w32") == "resnet32"
    assert canonical("vgg19") == "vgg19"
    with pytest.raises(
        ModelError, match=r"model 'vgg19': only VGGs with batch norm are here. The paper's is 'vgg19_bn'."
    ):
        summary("vgg19")
    assert prunable(build("cifar_resnet_20", num_classes=10)) == prunable(build("resnet20_w16", num_classes=10))


def test_listing_names_and_summaries() -> None:
    assert names() == tuple(MODELS)
    assert "32-64-128" in summary("resnet32")
    assert "16-32-64" in summary("cifar_resnet_20")
    assert "\n" not in "".join(entry.summary for entry in MODELS.values())
    assert "timm:resnet18" in summary("timm:resnet18")
    assert is_external("timm:resnet18")
    assert not is_external("resnet18")


def test_listing_does_not_load_torch() -> None:
    program = (
        "import sys; from prunecheck import models; models.names(); models.summary('vgg19_bn'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("ask", [lambda name: build(name, num_classes=10), summary])
def test_misspelt_model_suggests_the_nearest_name(ask: Callable[[str], object]) -> None:
    with pytest.raises(ModelError, match=r"'resnet23' is not a model\. Did you mean 'resnet"):
        ask("resnet23")


@pytest.mark.parametrize(("name", "size", "smallest"), [("vgg19_bn", 8, "16 pixels"), ("convnet", 7, "8 pixels")])
def test_too_small_images_are_refused(name: str, size: int, smallest: str) -> None:
    with pytest.raises(ModelError, match=smallest):
        build(name, num_classes=10, image_size=size)


@pytest.mark.parametrize("wrong", [{"num_classes": 1}, {"num_classes": 2, "in_channels": 0}])
def test_impossible_shapes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ModelError, match="at least 2 classes"):
        build("convnet", **wrong)
