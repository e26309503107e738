"""Checks before the first training, in about a second: the network, the allocations, the data, the plug-ins."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from prunecheck import data, models
from prunecheck.data import DataShape, ImageData, StreamedData
from prunecheck.errors import (
    STOPS,
    DataError,
    InfeasibleError,
    ModelError,
    PluginError,
    PrunecheckError,
    StoreError,
    StudyError,
)
from prunecheck.models.external import logits_hint
from prunecheck.process_state import exit_raises
from prunecheck.pruning.counts import budget_beside
from prunecheck.pruning.layers import Layer, family_of, layers_of, total
from prunecheck.pruning.patterns import parse_pattern
from prunecheck.pruning.presets import preset_named
from prunecheck.pruning.seeds import torch_stream
from prunecheck.runner.dry_run import dry_run_plugins
from prunecheck.runner.report_data import study_images
from prunecheck.store import Store
from prunecheck.study.arms import ResolvedMethod, control_arms, resolved_methods
from prunecheck.study.data_set import shape_of
from prunecheck.study.gpus import gpus_of
from prunecheck.study.step import Step
from prunecheck.study.study import Study, located
from prunecheck.text import byte_size, counted, percent, printable, printable_error, printable_path

if TYPE_CHECKING:
    from torch import Tensor, nn


def preflight(study: Study) -> int:
    """The size of the network in bytes. Raises StudyError (or a kind of it) naming the field, the value and the nearest
    right thing."""
    import torch

    if study.device.startswith("cuda") and not torch.cuda.is_available():
        raise StudyError("device = 'cuda', but torch sees no GPU here. Use device = 'cpu'.")
    gpus = len(gpus_of(study.device))
    if 0 < gpus < study.processes_per_training:
        raise StudyError(
            f"processes_per_training = {study.processes_per_training} takes a GPU for each process, and device = "
            f"{study.device!r} is {counted(gpus, 'GPU')} here."
        )
    if study.recipe.nesterov and study.recipe.momentum == 0:
        raise StudyError("training.nesterov = true needs a momentum above 0. Give training.momentum, such as 0.9.")
    if study.preset is not None:
        preset_named(study.preset)
    model = validate_network(study, data.describe(located(study)))
    size: int = sum(tensor.nbytes for tensor in model.state_dict().values())
    layers = layers_of(model, study.also_prune)
    for method in _methods_and_controls(study):
        for sparsity in study.sparsities:
            _feasible(method, layers, sparsity, study)
    images = study_images(study)
    _enough_samples(study, images)
    if study.processes_per_training > 1:
        from prunecheck.training.parallel import validate_sizes  # torch

        batches = study.recipe.batches(len(images.train_targets))
        sizes = [rows.stop - rows.start for rows in batches]
        validate_sizes(sizes, study.processes_per_training, study.sync_batch_norm is not False)
    dry_run_plugins(study, model, images)
    return size


def _feasible(method: ResolvedMethod, layers: tuple[Layer, ...], sparsity: float, study: Study) -> None:
    """Raises InfeasibleError if no mask of this sparsity can exist, as far as that is known without scores, and
    PluginError if the user's own allocation fails."""
    where = f"{method.label} at {percent(sparsity)} on {study.model}"
    try:
        _allocated(method, layers, sparsity, study)
    except InfeasibleError as error:
        raise InfeasibleError(f"{where}: {error}") from None
    except PrunecheckError as error:
        raise PluginError(f"{where}: {error}") from None
    except STOPS:
        raise
    except BaseException as error:
        raise PluginError(f"{where}: allocation {method.allocation.name!r} failed: {printable_error(error)}") from error


def _allocated(method: ResolvedMethod, layers: tuple[Layer, ...], sparsity: float, study: Study) -> None:
    from prunecheck.pruning.allocate import allocate
    from prunecheck.pruning.select_pattern import counts_under

    allocation = method.allocation
    if method.pattern is not None:
        pattern = parse_pattern(method.pattern)
        if allocation.is_known_ahead or pattern.is_within_groups:
            how = {"family": family_of(study.model), "options": method.allocate_options}
            counts_under(pattern, allocation, layers, sparsity, **how)
    elif allocation.is_known_ahead:
        options, family = method.allocate_options, family_of(study.model)
        allocate(allocation, layers, sparsity, family=family, options=options, preset=study.preset)
    elif allocation.pool is not None:
        whole = {layer.name: layer.size for layer in layers if layer.kind not in allocation.pool}
        if len(whole) == len(layers):
            kinds = " and ".join(allocation.pool)
            raise InfeasibleError(
                f'{allocation.name} prunes {kinds} layers only, and there are none. Try allocate = "global".'
            )
        budget_beside(whole, total(layers), sparsity)


def _methods_and_controls(study: Study) -> list[ResolvedMethod]:
    known = {method.label: method for method in resolved_methods(study)}
    for method, _ in control_arms(study):
        known.setdefault(method.label, method)
    return list(known.values())


def _enough_samples(study: Study, images: ImageData | StreamedData) -> None:
    import numpy as np

    if not any({"batches", "loss"} & set(method.plugin.asks) for method in _methods_and_controls(study)):
        return
    if (study.scoring.classes or 1) > images.num_classes:
        raise StudyError(
            f"scoring.classes = {study.scoring.classes}, but {study.data.name} has {images.num_classes} classes."
        )
    counts = np.bincount(images.train_targets, minlength=images.num_classes)
    wanted = study.scoring.samples_per_class * study.scoring.batches
    if counts.min() < wanted:
        raise DataError(
            f"scoring needs {wanted} samples of every class; class {int(counts.argmin())} of {study.data.name} has "
            f"{int(counts.min())}. Lower scoring.samples_per_class."
        )


def validate_network(study: Study, shape: DataShape) -> nn.Module:
    """The study's network, on the CPU. Raises ModelError naming the problem."""
    model, second = _built_twice(study, shape)
    _validate(study, shape, model, second)
    return model


def try_network(study: Study) -> None:
    """The same for a plan: of a network that cannot be built here, such as one from a package of another machine,
    nothing is known. Raises ModelError for one that can be built and could not be trained."""
    shape = shape_of(study)
    try:
        model, second = _built_twice(study, shape)
    except ModelError:
        return
    _validate(study, shape, model, second)


def _built_twice(study: Study, shape: DataShape) -> tuple[nn.Module, nn.Module]:
    built = []
    for _ in range(2):
        with torch_stream(0, "preflight"):
            built.append(
                models.build(study.model, shape.num_classes, shape.channels, _side(study, shape), folder=study.folder)
            )
    return built[0], built[1]


def _side(study: Study, shape: DataShape) -> int:
    return study.data.size or shape.size


def _validate(study: Study, shape: DataShape, model: nn.Module, second: nn.Module) -> None:
    who, side = f"model = {printable(study.model)!r}", _side(study, shape)
    _validate_layers(who, model, study.also_prune)
    _validate_reproducible(who, model, second)
    with torch_stream(0, "preflight"), exit_raises():
        _validate_passes(who, second, (shape.channels, side, side), shape.num_classes, study.data.name)


def _validate_reproducible(who: str, model: nn.Module, second: nn.Module) -> None:
    """Raises ModelError if a network built twice from one seed is not the same network."""
    import torch

    one, other = model.state_dict(), second.state_dict()
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
    if second is model or any(a is b for a, b in zip(model.parameters(), second.parameters(), strict=True)):
        raise ModelError(f"{who}: its factory returns the same object twice. It must build a new network each time.")


def _validate_layers(who: str, model: nn.Module, also: Collection[str]) -> None:
    """Raises ModelError for weights that cannot be pruned or trained."""
    import torch

    for layer in layers_of(model, also):
        weight = model.get_parameter(layer.name)
        if not weight.is_floating_point():
            raise ModelError(f"{who}: {layer.name} holds {weight.dtype}. Build it with floating-point weights.")
        if not weight.requires_grad:
            raise ModelError(f"{who}: {layer.name} is frozen (requires_grad = False), so no ticket could be trained.")
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            raise ModelError(f"{who}: {bad} of {value.numel()} values of {name} are NaN or infinite from the start.")


def _validate_passes(who: str, model: nn.Module, image: tuple[int, int, int], classes: int, data: str) -> None:
    """Two images in training mode, with gradients, and one in evaluation mode. Raises ModelError."""
    import torch
    from torch.nn import functional as F

    for images, mode in ((2, True), (1, False)):
        model.train(mode)
        try:
            outputs: Any = model(torch.randn(images, *image))
        except STOPS:
            raise
        except BaseException as error:
            shown = " x ".join(map(str, image))
            while_ = "" if mode else " one by one, in evaluation mode,"
            raise ModelError(
                f"{who} cannot take {shown} images of {data}{while_}: {printable_error(error, 160)}"
            ) from None
        _validate_outputs(who, outputs, images, classes, data)
        if mode:
            try:
                F.cross_entropy(outputs, torch.arange(images) % classes).backward()  # type: ignore[no-untyped-call]
            except STOPS:
                raise
            except BaseException as error:
                raise ModelError(f"{who} cannot be trained: {printable_error(error, 160)}") from None


def _validate_outputs(who: str, outputs: Any, images: int, classes: int, data: str) -> None:
    import torch

    if not isinstance(outputs, torch.Tensor) or tuple(outputs.shape) != (images, classes):
        found = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise ModelError(
            f"{who} gives {found} for {images} images; "
            f"{data} has {classes} classes, so it must give ({images}, {classes}).{logits_hint(outputs)}"
        )
    if not outputs.is_floating_point() or not bool(torch.isfinite(outputs).all()):
        raise ModelError(f"{who} gives {_kind(outputs)} for ordinary images; it must give finite numbers.")


def _kind(outputs: Tensor) -> str:
    return "NaN or infinity" if outputs.is_floating_point() else str(outputs.dtype)


RESERVE = 100_000_000
"""bytes for checkpoints, results and other users of the disk"""
NETWORKS = {
    "pretrain": 2.0,
    "train": 1.0,
    "score": 1.0,
    "corrupt": 1.0,
    "mask": 0.25,
    "compare": 0.0,
    "evaluate": 0.0,
    "prune": 0.07,
    "likelihood": 0.0,
}
"""how many times the bytes of the network a step stores: a pretraining its rewind weights too, a mask one byte for
four, that of a language model one bit for each weight of at least two bytes"""


def enough_space(steps: Iterable[Step], model_bytes: int, store: Store) -> None:
    """Raises StoreError if *steps* would not fit onto the disk of *store*."""
    networks = sum(NETWORKS[step.kind] for step in steps)
    if not networks:
        return
    wanted, free = int(networks * model_bytes) + RESERVE, store.free_bytes()
    if free < wanted:
        raise StoreError(
            f"the disk of {printable_path(store.root)} has {byte_size(free)} free; this study needs about "
            f"{byte_size(wanted)}. Free some space or choose another store with --store."
        )
