"""Dry run: what is not known to work is called once before the first training: user plug-ins, non-default options, and
every method that scores through the network where that comes from outside the package.

A method prunes the freshly initialised network on a few images of noise, or updates a random mask on gradients of
noise; a check of scores, masks or weights corrupts a random ticket, one of updates an update of random scores, one of
batches the training set. The validation is that of the run. A method that learns its masks gets ``mask_epochs = 2`` at
most.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prunecheck import data, models
from prunecheck.errors import STOPS, DataError, PluginError, is_own
from prunecheck.pruning import ALLOCATIONS, Allocation, Check, Method
from prunecheck.pruning.layers import family_of, layers_of, weights_of
from prunecheck.pruning.plugins import MASK_EPOCHS
from prunecheck.pruning.seeds import stream, torch_stream
from prunecheck.study.arms import ResolvedCheck, ResolvedMethod, resolve_method, resolved_checks
from prunecheck.study.study import Study
from prunecheck.text import printable, printable_error

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunecheck.data import ImageData, StreamedData

CLASSES, OF_EACH = 10, 2
"""number of classes, and of images of each, that a method is tested on"""
EPOCHS, BATCHES = 2, 2
"""a method that learns its masks is tried with so few epochs, of so few batches each"""
NEAR = 8
"""scoring batches that take more than 1/8 of the rarest class are counted again after every corruption of the data"""


def dry_run_plugins(study: Study, model: nn.Module, images: ImageData | StreamedData) -> None:
    """Raises PluginError (or the plug-in's own kind of PrunecheckError) naming the field and the line that failed."""
    for i, choice in enumerate(study.methods):
        one = resolve_method(study, choice)
        foreign = models.is_external(study.model) and bool({"loss", "model"} & set(one.plugin.asks))
        if foreign or _is_untested(one.plugin, choice.options) or one.allocation.origin != "built-in":
            try_ = _try_updates if one.plugin.when == "during" else _try_method
            try_(f"methods[{i}] = {one.label!r}", one, study, model)
        lender = one.counts_of
        if lender is not None and lender.plugin.origin != "built-in" and lender.plugin.when != "during":
            _try_method(f"methods[{i}].allocate.method = {lender.label!r}", lender, study, model)
    scores = any({"batches", "loss"} & set(resolve_method(study, choice).plugin.asks) for choice in study.methods)
    wanted = study.scoring.samples_per_class * study.scoring.batches if scores else 0
    for i, (choice_, check) in enumerate(zip(study.checks, resolved_checks(study), strict=True)):
        field, untested = f"checks[{i}] = {check.label!r}", _is_untested(check.plugin, choice_.options)
        if check.plugin.at == "batches":
            if untested or wanted * NEAR > _rarest(images.train_targets)[1]:
                _try_on_data(field, check, study, images, wanted)
        elif untested:
            _try_on_ticket(field, check, study, model, images.num_classes)


def _is_untested(plugin: Method | Check, options: Mapping[str, Any]) -> bool:
    return plugin.origin != "built-in" or bool(options)


def _try_updates(field: str, one: ResolvedMethod, study: Study, model: nn.Module) -> None:
    import torch

    from prunecheck.pruning.schedule import Schedule
    from prunecheck.pruning.updates import run_update

    masks = _try_method(field, one.initial, study, model)
    layers, seed = layers_of(model), study.first_seeds()[0]
    weights = {name: weight.detach().cpu() * masks[name] for name, weight in weights_of(model, layers).items()}
    with torch_stream(seed, "rehearsal"):
        noise = {layer.name: torch.randn(layer.shape) for layer in layers}
    offer = {"weights": weights, "gradients": noise, "masks": masks, "layers": layers, "progress": 0.0}
    offer |= {"momentum": {name: gradient * masks[name] for name, gradient in noise.items()}}
    offer |= {"fraction": Schedule.of(one.options).drop, "rng": stream(seed, "rehearsal")}
    with _located(field, one.plugin):
        run_update(one.plugin, offer, one.options, layers)


def _try_method(field: str, one: ResolvedMethod, study: Study, model: nn.Module) -> Mapping[str, Tensor]:
    """Returns the masks that it makes."""
    import torch

    from prunecheck.pruning.run_method import run_method
    from prunecheck.pruning.select import counts_ahead, select
    from prunecheck.pruning.task import task_named
    from prunecheck.pruning.train_loader import TrainLoader

    layers, sparsity, seed = layers_of(model, study.also_prune), study.sparsities[0], study.first_seeds()[0]
    ready = model.to(device=study.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = _image_shape(study)
    classes = min(CLASSES, image[0])
    with torch_stream(seed, "rehearsal"):
        targets = torch.arange(classes).repeat_interleave(OF_EACH)
        batch = torch.randn(len(targets), *image[1:]).to(study.device), targets.to(study.device)
    how: dict[str, Any] = {"family": family_of(study.model), "options": one.allocate_options, "preset": study.preset}
    how["pattern"] = one.pattern
    with _located(field, one.plugin, one.allocation):
        if "given" in one.allocation.asks:
            how["given"] = dict(ALLOCATIONS.get("uniform")(layers, sparsity))
        masks_given = one.plugin.gives == "masks"
        options, loader = dict(one.options), None
        if one.plugin.learns:
            loss = task_named(study.task).training_loss(study.recipe.label_smoothing)
            options[MASK_EPOCHS] = budget = min(EPOCHS, one.mask_epochs)
            loader = TrainLoader(lambda _: [batch] * BATCHES, BATCHES, loss, budget, one.plugin.name)
        answer = run_method(
            one.plugin,
            ready,
            [batch] * min(study.scoring.batches, 2),
            task_named(study.task),
            counts=counts_ahead(one.plugin, one.allocation, layers, sparsity, **how) if masks_given else None,
            sparsity=sparsity,
            options=options,
            seed=seed,
            label=one.label,
            input_shape=image[1:],
            preset=study.preset,
            pattern=one.pattern,
            train_loader=loader,
            also=study.also_prune,
        )
        if not masks_given:
            answer = select(one.allocation, layers, answer, sparsity, method=one.plugin.name, **how).masks
    return answer


def _try_on_ticket(field: str, check: ResolvedCheck, study: Study, model: nn.Module, classes: int) -> None:
    import torch

    from prunecheck.pruning.partial import apply_check
    from prunecheck.pruning.updates import corrupted_update, drop_and_grow
    from prunecheck.pruning.validation import validate_corruption

    layers, seed = layers_of(model, study.also_prune), study.first_seeds()[0]
    with torch_stream(seed, "rehearsal"):
        scores = {layer.name: torch.randn(layer.shape) for layer in layers}
        masks = {layer.name: torch.rand(layer.shape) > study.sparsities[0] for layer in layers}
    if check.plugin.at == "updates":
        update = drop_and_grow(masks, scores, {name: -score for name, score in scores.items()}, 0.5)
        with _located(field, check.plugin):
            answer = corrupted_update(check.plugin, update, check.options, stream(seed, "rehearsal"), layers)
            validate_corruption(check.plugin, update.masks, answer.masks)
        return
    weights = {name: weight.cpu() * masks[name] for name, weight in weights_of(model, layers).items()}
    initial = {name: torch.flip(weight.cpu(), [0]) for name, weight in weights_of(model, layers).items()}
    offer: dict[str, Any] = {"scores": scores, "masks": masks, "weights": weights, "initial": initial, "layers": layers}
    offer["patterns"] = dict.fromkeys(masks)
    offer |= {"classes": classes, "rng": stream(seed, "rehearsal")}
    with _located(field, check.plugin):
        apply_check(check.plugin, offer, check.options, check.fraction, stream(seed, "rehearsal", "dose"), layers)


def _try_on_data(field: str, check: ResolvedCheck, study: Study, images: ImageData | StreamedData, wanted: int) -> None:
    import torch

    from prunecheck.pruning.partial import apply_data_check
    from prunecheck.pruning.streamed_checks import corrupt_samples

    labels, seed, classes = torch.from_numpy(images.train_targets), study.first_seeds()[0], images.num_classes
    with _located(field, check.plugin):
        if isinstance(images, data.StreamedData):
            targets = corrupt_samples(labels, check.params, seed, classes).targets
        else:
            clean = torch.from_numpy(images.train_inputs), labels
            _, targets = apply_data_check(clean, check.params, seed, classes)
    label, there = _rarest(targets.numpy())
    if there < wanted:
        raise DataError(
            f"{field} leaves {there} samples of class {label}; scoring needs {wanted} of every class. "
            "Lower scoring.samples_per_class."
        )


def _rarest(targets: Any) -> tuple[int, int]:
    """(label, count) of the class with the fewest samples, among those that have any."""
    import numpy as np

    labels, counts = np.unique(targets, return_counts=True)
    return int(labels[counts.argmin()]), int(counts.min())


def _image_shape(study: Study) -> tuple[int, int, int, int]:
    """(classes, channels, side, side)."""
    from prunecheck.study.study import located

    shape = data.describe(located(study))
    side = study.data.size or shape.size
    return shape.num_classes, shape.channels, side, side


NO_GRAPH = ". The weights a method is given record no gradients: use torch.func.grad(loss)(weights)."


@contextmanager
def _located(field: str, *plugins: Method | Allocation | Check) -> Iterator[None]:
    """Errors within name the field, and the line of the plug-in that raised them."""
    try:
        yield
    except STOPS:
        raise
    except BaseException as error:
        if is_own(error):
            raise type(error)(f"{field}: {error}") from None
        where = next(filter(None, (_line_in(error, plugin.function) for plugin in plugins)), "")
        reason = printable_error(error)
        remedy = NO_GRAPH if "require grad" in reason and any("loss" in plugin.asks for plugin in plugins) else ""
        raise PluginError(f"{field} failed when it was tried{where}: {reason}{remedy}") from error


def _line_in(error: BaseException, function: Callable[..., Any]) -> str:
    """``" (plug.py, line 7)"``, the innermost line of the function's own file; empty if there is none."""
    path = inspect.unwrap(function).__code__.co_filename
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f" ({printable(path.rpartition('/')[2])}, line {lines[-1]})" if lines else ""
