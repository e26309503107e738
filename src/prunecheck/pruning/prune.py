"""A mask in one call, from any method that needs no training, on any module."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunecheck import models
from prunecheck.errors import STOPS, ModelError, PluginError, PrunecheckError, StudyError
from prunecheck.models.external import logits_hint
from prunecheck.process_state import standard_modes
from prunecheck.pruning import ALLOCATIONS, METHODS, Method
from prunecheck.pruning.allocate import allocate
from prunecheck.pruning.layers import family_of, layers_of, validate_also
from prunecheck.pruning.left_dense import LeftDense, left_dense
from prunecheck.pruning.patterns import parse_pattern, validate_pattern
from prunecheck.pruning.plugins import MASK_EPOCHS
from prunecheck.pruning.presets import preset_named
from prunecheck.pruning.run_method import NEEDS_BATCHES, run_method
from prunecheck.pruning.scoring_inputs import Batch, scoring_copy
from prunecheck.pruning.seeds import torch_stream
from prunecheck.pruning.select import counts_ahead, select
from prunecheck.pruning.select_pattern import counts_under
from prunecheck.pruning.task import Task, task_named
from prunecheck.pruning.train_loader import TrainLoader
from prunecheck.text import parse_sparsity, printable, printable_error


@standard_modes()
def prune(
    method: str,
    model: nn.Module,
    data: Any,
    sparsity: float | str,
    *,
    seed: int = 0,
    allocation: str | None = None,
    preset: str | None = None,
    task: str = "classification",
    pattern: str | None = None,
    also_prune: str | Sequence[str] = (),
) -> dict[str, Tensor]:
    """``{parameter name: bool tensor}`` on the model's device. As ``prunecheck.mask``, which see."""
    target, plugin = parse_sparsity(sparsity), METHODS.get(method)
    if plugin.when == "trained":
        raise StudyError(
            f"{plugin.name!r} prunes a trained network, so it needs a study, not one call. See prunecheck.run."
        )
    if plugin.when == "during":
        raise StudyError(
            f"{plugin.name!r} finds its mask while the network trains, so it needs a study, not one call. "
            "See prunecheck.run."
        )
    if preset is not None:
        preset_named(preset)
    if pattern is not None:
        parsed = parse_pattern(pattern)
        validate_pattern(parsed, plugin, [target], allocate=allocation, preset=preset)
        pattern = str(parsed)
    chosen, number = ALLOCATIONS.get(allocation or plugin.allocate), _seed(seed)
    if "given" in chosen.asks:
        raise StudyError(f"{chosen.name!r} takes the counts of another method, so it needs a study, not one call.")
    also = validate_also(also_prune)
    if also and preset is not None:
        raise StudyError("also_prune and a preset: the published codes prune convolutions and linear layers only.")
    net, prefix = models.unwrapped(model)
    layers, batches = layers_of(net, also), _batches(data)
    _validate_need(plugin, batches)
    if NEEDS_BATCHES & set(plugin.asks) or plugin.learns:
        _try(net, batches, task_named(task))
    family = family_of(type(net).__name__)
    options: dict[str, Any] = dict(chosen.options)
    counts = None
    how: dict[str, Any]
    if plugin.gives == "masks":
        how = {"family": family, "options": options, "preset": preset}
        counts = counts_ahead(plugin, chosen, layers, target, pattern=pattern, **how)
    loader = None
    if plugin.learns:
        # the batches given are the training set, in their order in every epoch
        epochs = plugin.options[MASK_EPOCHS]
        loader = TrainLoader(lambda _: batches, len(batches), task_named(task).loss, epochs, plugin.name)
    try:
        answer = run_method(
            plugin,
            net,
            batches,
            task_named(task),
            counts=counts,
            sparsity=target,
            options=plugin.options,
            seed=number,
            label=plugin.name,
            input_shape=tuple(batches[0][0].shape[1:]) if batches else (),
            preset=preset,
            pattern=pattern,
            train_loader=loader,
            also=also,
        )
    except (PrunecheckError, *STOPS):
        raise
    except BaseException as error:
        raise PluginError(f"method {plugin.name!r} failed on this model: {printable_error(error, 300)}") from error
    if plugin.gives == "scores":
        how = {"family": family, "options": options, "preset": preset, "pattern": pattern}
        answer = select(chosen, layers, answer, target, method=plugin.name, **how).masks
    return {f"{prefix}{name}": mask.to(net.get_parameter(name).device) for name, mask in answer.items()}


def layer_counts(
    model: nn.Module | str,
    sparsity: float | str,
    *,
    allocation: str | None = None,
    shape: tuple[int, int, int] = (10, 3, 32),
    preset: str | None = None,
    pattern: str | None = None,
    also_prune: str | Sequence[str] = (),
) -> list[tuple[str, int, int]]:
    """``(layer, weights, kept)`` under an allocation that needs no scores. As ``prunecheck.counts``, which see."""
    target, chosen = parse_sparsity(sparsity), ALLOCATIONS.get(allocation or "smart_ratio")
    parsed = None if pattern is None else parse_pattern(pattern)
    if parsed is not None:
        validate_pattern(parsed, METHODS.get("random_ticket"), [target], allocate=allocation, preset=preset)
    if not chosen.is_known_ahead:
        free = [a.name for a in ALLOCATIONS if a.is_known_ahead]
        raise StudyError(f"{chosen.name!r} needs scores; without data there are: {', '.join(free)}.")
    if preset is not None:
        preset_named(preset)
    if isinstance(model, str):
        with torch_stream(0, "skeleton"):
            net, family = models.build(model, *shape), family_of(model)
    else:
        net, family = model, family_of(type(models.unwrapped(model)[0]).__name__)
    layers = layers_of(net, validate_also(also_prune))
    how: dict[str, Any] = {"family": family, "options": chosen.options, "preset": preset}
    if parsed is not None:
        kept = counts_under(parsed, chosen, layers, target, **how)
    else:
        kept = allocate(chosen, layers, target, **how)
    return [(layer.name, layer.size, kept[layer.name]) for layer in layers]


def dense_beside(
    model: str, shape: tuple[int, int, int], also_prune: Sequence[str], folder: Path | None = None
) -> LeftDense | None:
    """What stays dense in a named network; None where that is next to nothing. ``shape``: (classes, channels, side);
    ``folder``: where the file of the network is looked for first. Raises ModelError if it cannot be built."""
    with torch_stream(0, "skeleton"):
        net = models.build(model, *shape, folder=folder)
    return left_dense(net, layers_of(net, validate_also(also_prune)))


def _seed(seed: Any) -> int:
    """A whole number of any integer type. Raises StudyError."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = None
    if number is None or isinstance(seed, bool) or number < 0:
        raise StudyError(f"seed = {printable(seed)} is not a whole number of 0 or more.")
    return number


def _validate_need(plugin: Method, batches: Sequence[Batch]) -> None:
    needs = {"batches", "loss", "train_loader", "input_shape"} & set(plugin.asks)
    if needs and not batches:
        what = "scores on data" if needs != {"input_shape"} else "must know the shape of an input"
        raise StudyError(f"{plugin.name!r} {what}: give it (inputs, targets).")


def _batches(data: Any) -> list[Batch]:
    """``(inputs, targets)`` or several such pairs as tensors. Raises StudyError for anything else."""
    if data is None or (isinstance(data, (tuple, list)) and not data):
        return []
    if isinstance(data, (tuple, list)) and len(data) == 2 and hasattr(data[0], "shape"):
        return [_batch(data[0], data[1])]
    try:
        if hasattr(data, "shape"):
            raise TypeError("a tensor alone")
        pairs = [(inputs, targets) for inputs, targets in data if not isinstance(inputs, str)]
    except (TypeError, ValueError):
        pairs = []
    if not pairs:
        raise StudyError("data must be (inputs, targets), or several such pairs, ready for the model.")
    return [_batch(inputs, targets) for inputs, targets in pairs]


def _batch(inputs: Any, targets: Any) -> Batch:
    inputs, targets = (torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in (inputs, targets))
    if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
        kinds = f"{type(inputs).__name__} and {type(targets).__name__}"
        raise StudyError(f"data must be tensors or arrays (inputs, targets); these are {kinds}.")
    if inputs.ndim == 0 or len(inputs) == 0 or tuple(targets.shape) != (len(inputs),):
        raise StudyError(
            f"data: inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)}; there must be one class number "
            "for every input, and at least one input."
        )
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise StudyError(f"data: targets are {targets.dtype}; they must be whole numbers, the classes.")
    return inputs, targets.long()


def _try(model: nn.Module, batches: Sequence[Batch], task: Task) -> None:
    """Raises StudyError or ModelError where the model does not give the loss of the first batch."""
    inputs, targets = batches[0]
    tried = scoring_copy(model)
    try:
        with torch_stream(0, "trial"):
            outputs: Any = tried(inputs)
    except STOPS:
        raise
    except BaseException as error:
        raise ModelError(
            f"the model cannot take inputs {tuple(inputs.shape)} of {inputs.dtype} on {inputs.device}: "
            f"{printable_error(error)}"
        ) from error
    if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != len(inputs):
        found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise ModelError(
            f"the model gives {found} for {len(inputs)} inputs; it must give ({len(inputs)}, classes)."
            f"{logits_hint(outputs)}"
        )
    for _, classes in batches:
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or high >= outputs.shape[1]:
            raise StudyError(
                f"data: targets are {low}..{high}; the model has {outputs.shape[1]} classes, so they must lie in "
                f"0..{outputs.shape[1] - 1}."
            )
    try:
        loss = task.loss(outputs, targets)
    except STOPS:
        raise
    except BaseException as error:
        raise ModelError(f"the loss of the model's outputs cannot be computed: {printable_error(error)}") from error
    if not bool(torch.isfinite(loss)):
        raise ModelError("the model's loss on the first batch is NaN or infinite.")
