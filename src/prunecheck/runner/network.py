"""Is this a network that can be pruned and trained? Tried on images of noise, before the first training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prunecheck import models
from prunecheck.data import DataShape
from prunecheck.errors import ModelError
from prunecheck.pruning.layers import layers_of
from prunecheck.pruning.seeds import torch_stream
from prunecheck.study.study import Study
from prunecheck.text import printable

if TYPE_CHECKING:
    from torch import Tensor, nn


def sound_network(study: Study, shape: DataShape) -> nn.Module:
    """The study's network, on the CPU. Raises ModelError naming what it cannot do."""
    from prunecheck.steps.context import build

    models.look_in(study.folder)
    size = study.data.size or shape.size
    who = f"model = {printable(study.model)!r}"
    with torch_stream(0, "preflight"):
        model = build(study.model, (shape.num_classes, shape.channels, size))
    with torch_stream(0, "preflight"):
        twin = build(study.model, (shape.num_classes, shape.channels, size))
    _sound_layers(who, model)
    _same_weights(who, model, twin)
    with torch_stream(0, "preflight"):
        _answers(who, twin, (shape.channels, size, size), shape.num_classes, study.data.name)
    return model


def _same_weights(who: str, model: nn.Module, twin: nn.Module) -> None:
    """Raises ModelError where a network built twice from one seed is not the same network."""
    import torch

    one, other = model.state_dict(), twin.state_dict()
    if list(one) != list(other):
        raise ModelError(
            f"{who}: built twice it has other parameters. A factory must build the same network each time."
        )
    for name, value in one.items():
        if value.shape != other[name].shape or not torch.equal(value.nan_to_num(), other[name].nan_to_num()):
            raise ModelError(
                f"{who}: built twice from one seed it has other values in {name}. Its initialiser must draw from "
                "torch's, numpy's or random's global generator, without seeding it."
            )
    if twin is model or any(a is b for a, b in zip(model.parameters(), twin.parameters(), strict=True)):
        raise ModelError(f"{who}: its factory returns the same object twice. It must build a new network each time.")


def _sound_layers(who: str, model: nn.Module) -> None:
    """Raises ModelError for weights that cannot be pruned or trained."""
    import torch

    for layer in layers_of(model):
        weight = model.get_parameter(layer.name)
        if not weight.is_floating_point():
            raise ModelError(f"{who}: {layer.name} holds {weight.dtype}. Build it with floating-point weights.")
        if not weight.requires_grad:
            raise ModelError(f"{who}: {layer.name} is frozen (requires_grad = False), so no ticket could be trained.")
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            raise ModelError(f"{who}: {bad} of {value.numel()} values of {name} are NaN or infinite from the start.")


def _answers(who: str, model: nn.Module, image: tuple[int, int, int], classes: int, data: str) -> None:
    """Two images in training mode, with gradients, and one in evaluation mode. Raises ModelError."""
    import torch
    from torch.nn import functional as F

    for images, mode in ((2, True), (1, False)):
        model.train(mode)
        try:
            outputs: Any = model(torch.randn(images, *image))
        except Exception as error:
            shown = " x ".join(map(str, image))
            while_ = "" if mode else " one by one, in evaluation mode,"
            raise ModelError(
                f"{who} cannot take {shown} images of {data}{while_}: {printable(str(error), 160)}"
            ) from None
        _sound_outputs(who, outputs, images, classes, data)
        if mode:
            try:
                F.cross_entropy(outputs, torch.arange(images) % classes).backward()  # type: ignore[no-untyped-call]
            except Exception as error:
                raise ModelError(f"{who} cannot be trained: {printable(str(error), 160)}") from None


def _sound_outputs(who: str, outputs: Any, images: int, classes: int, data: str) -> None:
    import torch

    if not isinstance(outputs, torch.Tensor) or tuple(outputs.shape) != (images, classes):
        found = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise ModelError(
            f"{who} gives {found} for {images} images; "
            f"{data} has {classes} classes, so it must give ({images}, {classes})."
        )
    if not outputs.is_floating_point() or not bool(torch.isfinite(outputs).all()):
        raise ModelError(f"{who} gives {_kind(outputs)} for ordinary images; it must give finite numbers.")


def _kind(outputs: Tensor) -> str:
    return "NaN or infinity" if outputs.is_floating_point() else str(outputs.dtype)
