"""The Python interface, with the names of the commands. Import it from ``prunecheck``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from prunecheck.errors import StudyError

Source: TypeAlias = "str | Path | Mapping[str, Any] | Study"
Masks: TypeAlias = "nn.Module | Mapping[str, Tensor] | str | Path"

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor, nn

    from prunecheck.interop import Audit, MaskedTraining
    from prunecheck.runner.results import Results
    from prunecheck.runner.status import Status
    from prunecheck.runner.workspace import Workspace
    from prunecheck.statistics import StudyVerdict
    from prunecheck.study import Plan, Study


def plan(study: Source, overrides: Iterable[str] = ()) -> Plan:
    """The plan of a study: its steps, which of them are shared, its arms. Trains nothing, needs no torch."""
    from prunecheck.study import load_study, make_plan

    return make_plan(load_study(study, overrides))


def run(
    study: Source,
    *,
    overrides: Iterable[str] = (),
    store: str | Path | None = None,
    folder: str | Path | None = None,
    workers: int | None = None,
    console: Console | None = None,
    command: str = "",
    tracker: str | None = None,
) -> Results:
    """Run a study (a file, a mapping or a Study) and return its results; resumes interrupted steps.

    ``store``: where artefacts are kept (default: $PRUNECHECK_HOME or the user's cache). ``folder``: where results go
    (default: ``runs/<name>``). ``workers``: processes of one thread each (default: one per core). ``tracker``:
    ``tensorboard``, ``wandb``, ``mlflow`` or ``trackio`` receives every training of this run, and the verdicts.
    Raises StudyError before anything is trained or written, StepError if steps failed, StoreError if the disk
    fails.
    """
    import warnings

    from prunecheck.runner.progress import Progress
    from prunecheck.runner.study_run import run_study
    from prunecheck.study import load_study

    checked, progress = load_study(study, overrides), Progress(console)
    workspace, most = workspace_of(checked, store, folder), workers or usable_cores()
    if tracker is None:
        return run_study(checked, workspace, most, progress, command)
    from prunecheck.runner.trackers import tracking

    warn = progress.note if console else warnings.warn
    log = tracking(tracker, checked.name, workspace.store, workspace.folder, warn)
    results = run_study(checked, workspace, most, progress, command, log.finished)
    log.judged(results.verdict)
    return results


def report(
    study: Source, *, overrides: Iterable[str] = (), store: str | Path | None = None, folder: str | Path | None = None
) -> Results:
    """The results of a study so far, from the store; trains nothing."""
    from prunecheck.runner.study_run import report_study
    from prunecheck.study import load_study

    checked = load_study(study, overrides)
    return report_study(checked, workspace_of(checked, store, folder))


def status(
    study: Source, *, overrides: Iterable[str] = (), store: str | Path | None = None, folder: str | Path | None = None
) -> Status:
    """The progress of a study: steps done, running, failed and to do, time left, verdicts so far. Reads the store and
    the results only; trains and writes nothing, needs no torch. ``print`` it, or use its fields."""
    from prunecheck.runner.status import study_status
    from prunecheck.study import load_study

    checked = load_study(study, overrides)
    return study_status(checked, workspace_of(checked, store, folder), usable_cores())


def verdict(source: str | Path | Iterable[Mapping[str, Any]], margin: float | None = None) -> StudyVerdict:
    """Judge anybody's numbers: a CSV file or a list of dicts with the columns ``method, check, sparsity, seed,
    accuracy, n_test``. See ``prunecheck.verdict.verdict`` of the verdict room; raises StudyError."""
    from prunecheck.statistics import verdict as judged

    return judged(source, margin)


def mask(
    method: str,
    model: nn.Module,
    data: tuple[Tensor, Tensor] | Sequence[tuple[Tensor, Tensor]] | None,
    sparsity: float | str,
    *,
    seed: int = 0,
    allocate: str | None = None,
    preset: str | None = None,
    task: str = "classification",
) -> dict[str, Tensor]:
    """The mask of any method that needs no training, on any module, dtype and device; the model is not changed.

    ``data``: one batch ``(inputs, targets)`` or several, ready for the model; None for methods that use no data.
    ``allocate``: how many weights each layer keeps, in place of the method's own allocation.
    Returns ``{parameter name: bool tensor}`` on the model's device, True = keep, exactly ``round(n * (1 - sparsity))``
    True values unless a preset counts otherwise. Raises StudyError for unknown names and methods that need training,
    ModelError, PluginError, InfeasibleError.
    """
    from prunecheck.pruning import ALLOCATIONS, METHODS
    from prunecheck.pruning.apply import run_method
    from prunecheck.pruning.layers import family_of, layers_of
    from prunecheck.pruning.presets import preset_named
    from prunecheck.pruning.select import counts_ahead, select
    from prunecheck.pruning.task import task_named
    from prunecheck.text import parse_sparsity

    target, plugin = parse_sparsity(sparsity), METHODS.get(method)
    if plugin.when == "trained":
        raise StudyError(
            f"{plugin.name!r} prunes a trained network, so it needs a study, not one call. See prunecheck.run."
        )
    if preset is not None:
        preset_named(preset)
    needs = {"batches", "loss", "input_shape"} & set(plugin.asks)
    batches = _batches(data)
    if needs and not batches:
        what = "scores on data" if needs != {"input_shape"} else "needs the shape of an input"
        raise StudyError(f"{plugin.name!r} {what}: give it (inputs, targets).")
    layers, allocation = layers_of(model), ALLOCATIONS.get(allocate or plugin.allocate)
    if "given" in allocation.asks:
        raise StudyError(f"{allocation.name!r} takes the counts of another method, so it needs a study, not one call.")
    family = family_of(type(model).__name__)
    options: dict[str, Any] = dict(allocation.options)
    counts = None
    if plugin.gives == "masks":
        counts = counts_ahead(plugin, allocation, layers, target, family=family, options=options, preset=preset)
    answer = run_method(
        plugin,
        model,
        batches,
        task_named(task),
        counts=counts,
        sparsity=target,
        options=plugin.options,
        seed=seed,
        label=plugin.name,
        input_shape=tuple(batches[0][0].shape[1:]) if batches else (),
        preset=preset,
    )
    if plugin.gives == "scores":
        answer = select(
            allocation, layers, answer, target, method=plugin.name, family=family, options=options, preset=preset
        ).masks
    return {name: chosen.to(model.get_parameter(name).device) for name, chosen in answer.items()}


def random_ticket(model: nn.Module, sparsity: float | str, seed: int = 0) -> dict[str, Tensor]:
    """A smart-ratio random mask for any module: ``{parameter name: bool tensor}``, True = keep, exact counts."""
    return mask("random_ticket", model, None, sparsity, seed=seed)


def read_masks(source: Masks, model: nn.Module | None = None) -> dict[str, Tensor]:
    """Masks ``{parameter name: bool tensor}`` from any form: bool tensors, a state dict or module of
    ``torch.nn.utils.prune`` or of parametrisations, plain zeros, a .safetensors, .npz or .pt file.

    ``model``: the unpruned network that the masks are for. Raises StudyError. See ``prunecheck.interop``.
    """
    from prunecheck import interop

    return interop.read_masks(source, model)


def audit(source: Masks, model: nn.Module | None = None, *, inputs: tuple[int, ...] | None = None) -> Audit:
    """An audit of masks before any training: layer counts beside smart ratio and ERK, collapse, connectivity, and how
    much a rearrangement changes. ``inputs``: the shape of one input. Raises StudyError."""
    from prunecheck import interop

    return interop.audit(source, model, inputs=inputs)


def keep(model: nn.Module, masks: Mapping[str, Tensor]) -> MaskedTraining:
    """Apply masks to a model and keep its pruned weights exactly 0 after every optimiser step, until the returned
    handle's ``remove()``; also a ``with`` block. The state dict stays that of an ordinary network."""
    from prunecheck import interop

    return interop.keep(model, masks)


def counts(
    model: nn.Module | str,
    sparsity: float | str,
    *,
    allocate: str = "smart_ratio",
    classes: int = 10,
    channels: int = 3,
    image_size: int = 32,
    preset: str | None = None,
) -> list[tuple[str, int, int]]:
    """``(layer, weights, kept)`` of a module or a named model under an allocation that needs no scores."""
    from prunecheck import models
    from prunecheck.pruning import ALLOCATIONS, select
    from prunecheck.pruning.layers import family_of, layers_of
    from prunecheck.pruning.presets import preset_named
    from prunecheck.pruning.seeds import torch_stream
    from prunecheck.text import parse_sparsity

    target, allocation = parse_sparsity(sparsity), ALLOCATIONS.get(allocate)
    if not allocation.is_known_ahead:
        free = [a.name for a in ALLOCATIONS if a.is_known_ahead]
        raise StudyError(f"{allocation.name!r} needs scores; without data there are: {', '.join(free)}.")
    if preset is not None:
        preset_named(preset)
    if isinstance(model, str):
        with torch_stream(0, "skeleton"):
            net, family = models.build(model, classes, channels, image_size), family_of(model)
    else:
        net, family = model, family_of(type(model).__name__)
    layers = layers_of(net)
    kept = select.allocate(allocation, layers, target, family=family, options=allocation.options, preset=preset)
    return [(layer.name, layer.size, kept[layer.name]) for layer in layers]


def permuted(mask: Tensor, rng: Any) -> Tensor:
    """The same number of kept weights at uniformly random other positions (for plug-ins)."""
    from prunecheck.pruning.masks import permuted as _permuted

    return _permuted(mask, rng)


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workspace_of(study: Study, store: str | Path | None, folder: str | Path | None) -> Workspace:
    """The default store and results folder of a study."""
    from prunecheck.runner.workspace import Workspace, default_store
    from prunecheck.store import Store

    root = Path(store) if store is not None else default_store()
    return Workspace(Store.open(root), Path(folder) if folder is not None else Path("runs") / study.name)


def _batches(data: Any) -> list[tuple[Tensor, Tensor]]:
    if data is None:
        return []
    if isinstance(data, (tuple, list)) and len(data) == 2 and hasattr(data[0], "shape"):
        return [(data[0], data[1])]
    try:
        if hasattr(data, "shape"):
            raise TypeError("a tensor alone")
        return [(inputs, targets) for inputs, targets in data]
    except (TypeError, ValueError):
        raise StudyError("data must be (inputs, targets), or several such pairs, ready for the model.") from None
