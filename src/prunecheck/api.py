"""The Python interface, with the names of the commands. Import it from ``prunecheck``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

Source: TypeAlias = "str | Path | Mapping[str, Any] | AnyStudy"
Masks: TypeAlias = "nn.Module | Mapping[str, Tensor] | str | Path"

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor, nn

    from prunecheck.interop import Arms, Audit, MaskedTraining
    from prunecheck.runner.executors import Engine
    from prunecheck.runner.results import Results
    from prunecheck.runner.status import Status
    from prunecheck.runner.workspace import Workspace
    from prunecheck.statistics import StudyVerdict
    from prunecheck.statistics.rows import Metric
    from prunecheck.statistics.summaries import Spread
    from prunecheck.study import AnyStudy, Plan


def plan(study: Source, overrides: Iterable[str] = ()) -> Plan:
    """The plan of a study: its steps, which of them are shared, its arms. Trains nothing, needs no torch.

    A data set that is not there is planned by its published numbers, or by the study's ``data.contents``; ``absent``
    of the plan then says so.
    """
    from prunecheck.study import load_study, make_plan

    return make_plan(load_study(study, overrides, allow_absent=True), allow_absent=True)


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
    engine: Literal["local", "ray"] = "local",
) -> Results:
    """Run a study (a file, a mapping or a Study) and return its results; resumes interrupted steps.

    ``store``: where artefacts are kept (default: $PRUNECHECK_HOME or the user's cache). ``folder``: where results go
    (default: ``runs/<name>``). ``workers``: processes of one thread each (default: one per core; for ``device =
    "cuda"`` one per GPU). ``console``: where progress is shown; by default below the cell in Jupyter, on stderr in
    IPython, nowhere in a script. ``Console(quiet=True)`` hides it. ``tracker``: ``tensorboard``, ``wandb``, ``mlflow``
    or ``trackio`` receives every training of this run, and the verdicts. ``engine``: ``ray`` runs the steps on the Ray
    cluster at $RAY_ADDRESS, or on one started on this machine; ``workers`` is then the most at once (default: one per
    core of the cluster, or per GPU for a study on GPUs). Raises StudyError before anything is trained or written,
    StepError if steps failed, StoreError if the disk fails.
    """
    import warnings

    from prunecheck.runner.notebook import progress_for
    from prunecheck.runner.study_run import run_study
    from prunecheck.study import load_study

    checked, progress = load_study(study, overrides), progress_for(console)
    workspace, most = workspace_of(checked, store, folder), workers or usual_workers(checked)
    if tracker is None:
        return run_study(checked, workspace, most, progress, command, engine=_engine(engine, workers))
    from prunecheck.runner.trackers import tracking

    warn = progress.note if progress.shown else warnings.warn
    log = tracking(tracker, checked.name, workspace.store, workspace.folder, warn)
    results = run_study(checked, workspace, most, progress, command, log.finished, _engine(engine, workers))
    log.judged(results.verdict)
    return results


def _engine(name: str, workers: int | None) -> Engine | None:
    from prunecheck.errors import StudyError
    from prunecheck.text import unknown

    if name not in ("local", "ray"):
        raise StudyError(unknown("engine", name, ("local", "ray")))
    if name == "local":
        return None
    from prunecheck.runner.ray_cluster import RayExecutor

    return lambda config, note: RayExecutor(config, workers, note)


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
    return study_status(checked, workspace_of(checked, store, folder), usual_workers(checked))


def verdict(
    source: Any,
    margin: float | str | None = None,
    *,
    chance: float | None = None,
    classes: int | None = None,
    looks: Sequence[int] = (),
    against: str | Sequence[str] = (),
    metric: Metric | None = None,
    percent: bool | None = None,
    n_test: int | None = None,
    runs: int | None = None,
    spread: Spread | None = None,
) -> StudyVerdict:
    """Judge a table of results from any code: a CSV file, a DataFrame (pandas, polars, pyarrow), a dict of columns, or
    a list of dicts.

    One row per trained network with the columns ``method, check, sparsity, seed, accuracy, n_test``: method ``dense``
    is the unpruned network, check ``clean`` the uncorrupted arm. Or one row per arm with ``method, check, sparsity,
    mean, std, n, n_test``: then the test is unpaired. The ``results.csv`` of a study, beside its ``verdicts.json``, is
    judged as the study was.

    ``margin``: points of the metric; ``"1 sd"``, standard deviations of the dense runs between seeds; or ``"30% of
    lead"``, a share of the lead of the only method under test over ``random_ticket`` (``"30% of lead of snip"`` where
    there are several), from clean runs alone; by rule from the dense rows when None. ``chance``: accuracy of always
    guessing the commonest class, a fraction in [0, 1), or ``classes``, the number of equally common classes.
    ``looks``: where seeds were added depending on results, the numbers of seeds at which they were analysed, such as
    ``(3, 5, 7, 10)``; else the number of seeds is taken as chosen beforehand. ``against``: the method, or methods,
    with whose clean arm every other method's is compared. ``metric``: the column that is compared, ``accuracy``,
    ``p_correct`` or ``brier``.

    ``percent``: accuracies are percent (None = only where all exceed 1, or say so). ``n_test``: test examples, and
    ``runs``: runs behind each mean, where there is no such column. ``spread``: what ``std`` or ``±`` is: ``"std"``
    (divisor n - 1), ``"population"`` (divisor n) or ``"se"`` (standard error of the mean).

    Raises StudyError, naming file and line, where the rows are no results or can be read in two ways, and where there
    is neither a margin nor a dense row.
    """
    from prunecheck.statistics import Reading
    from prunecheck.statistics import verdict as judged

    return judged(
        source,
        margin,
        chance=chance,
        classes=classes,
        looks=looks,
        against=against,
        metric=metric,
        reading=Reading(percent, n_test, runs, spread),
    )


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
    pattern: str | None = None,
    also_prune: Sequence[str] = (),
) -> dict[str, Tensor]:
    """The mask of any method that needs no training, on any module, dtype and device; the model is not changed.

    ``data``: one batch ``(inputs, targets)`` or several, ready for the model; None for methods that use no data.
    A method that learns its masks takes these batches, in this order, as every epoch of its training set.
    ``allocate``: how many weights each layer keeps, in place of the method's own allocation. ``pattern``: keep a
    structured pattern: N:M (``"2:4"``), ``"filters"``, ``"rows"``, ``"columns"``, ``"kernels"``, ``"8 rows"`` or blocks
    (``"4x4"``). Layers that it does not fit stay whole, and with filters and rows the last layer; N:M removes its own
    share of the others, whole groups are rounded down to a total as near to the sparsity as they allow.
    ``also_prune``: prunable weights beside those of convolutions and linear layers: ``"attention"`` (the input
    projections of ``nn.MultiheadAttention``), ``"recurrent"`` (RNN, LSTM, GRU).
    Returns ``{parameter name: bool tensor}`` on the model's device, True = keep, exactly ``round(n * (1 - sparsity))``
    True values unless a preset or pattern counts otherwise. Raises StudyError for unknown names, methods that need
    training and data of another form, ModelError, PluginError, InfeasibleError.
    """
    from prunecheck.pruning.prune import prune

    how: dict[str, Any] = {"preset": preset, "task": task, "pattern": pattern, "also_prune": also_prune}
    return prune(method, model, data, sparsity, seed=seed, allocation=allocate, **how)


def random_ticket(
    model: nn.Module, sparsity: float | str, seed: int = 0, *, also_prune: Sequence[str] = ()
) -> dict[str, Tensor]:
    """A smart-ratio random mask for any module: ``{parameter name: bool tensor}``, True = keep, exact counts.

    ``also_prune``: as of ``mask``."""
    return mask("random_ticket", model, None, sparsity, seed=seed, also_prune=also_prune)


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


def arms(
    masks: Masks | Callable[[nn.Module], Masks],
    build: Callable[[], nn.Module],
    *,
    seeds: int | Iterable[int] = 5,
    checks: Iterable[str] = ("layerwise_rearrange",),
    start: Mapping[str, Tensor] | str | Path | None = None,
    folder: str | Path = "arms",
    name: str = "mine",
    n_test: int | None = None,
    controls: bool = True,
) -> Arms:
    """The arms of a trial that a training loop of your own trains, one network at a time::

        trial = prunecheck.arms(masks, build, seeds=5, n_test=10_000)
        for arm in trial:
            arm.record(train(arm.network()))
        print(trial.verdict(classes=10))

    ``masks``: in any form that ``read_masks`` takes, or a function that is given the network of a seed and returns
    them. ``build``: returns a newly initialised network; it is called under a random state of its own for every seed,
    so all arms of a seed start alike. ``start``: the state they start from instead. A path may contain ``{seed}``.
    ``seeds``: how many, or which. ``checks``: checks of masks and of weights. The dense network is an arm of every
    seed, since the margin follows from it. ``controls``: so are a random ticket with the same counts in every layer and
    its rearrangement, which must do equally well.

    Accuracies go to ``folder/records.csv``, a table for ``prunecheck verdict``. The same call after an interruption
    gives the arms that are not recorded yet. Raises StudyError for checks that need the method or its data rather than
    its mask, for a folder of another trial, and as ``read_masks``.
    """
    from prunecheck import interop

    return interop.Arms(
        masks,
        build,
        seeds=seeds,
        checks=checks,
        start=start,
        folder=folder,
        name=name,
        n_test=n_test,
        controls=controls,
    )


def counts(
    model: nn.Module | str,
    sparsity: float | str,
    *,
    allocate: str | None = None,
    classes: int = 10,
    channels: int = 3,
    image_size: int = 32,
    preset: str | None = None,
    pattern: str | None = None,
    also_prune: Sequence[str] = (),
) -> list[tuple[str, int, int]]:
    """``(layer, weights, kept)`` of a module or a named model under an allocation that needs no scores (the smart ratio
    where none is named), also of a structured ``pattern`` as in ``mask``. ``also_prune``: as of ``mask``."""
    from prunecheck.pruning.prune import layer_counts

    shape = classes, channels, image_size
    how: dict[str, Any] = {"preset": preset, "pattern": pattern, "also_prune": also_prune}
    return layer_counts(model, sparsity, allocation=allocate, shape=shape, **how)


def permuted(mask: Tensor, rng: Any, pattern: str | None = None) -> Tensor:
    """The same number of kept weights at uniformly random other positions (for plug-ins).

    ``pattern``: one of the values a check is given as ``patterns``, such as ``"2:4"`` or ``"filters"``; the mask is
    then drawn among those of the pattern. Raises PluginError for a mask that has not the pattern.
    """
    from prunecheck.pruning.structure import rearranged

    return rearranged(mask, pattern, rng)


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usual_workers(study: AnyStudy) -> int:
    """One worker for each core or, since several processes on a GPU take turns, for each GPU; no more than fit into
    memory with a language model each."""
    from prunecheck.study.gpus import gpus_of
    from prunecheck.study.language_plan import most_in_memory

    if study.device.startswith("cuda"):
        return max(1, len(gpus_of(study.device)))
    return min(usable_cores(), most_in_memory(study))


def workspace_of(study: AnyStudy, store: str | Path | None, folder: str | Path | None) -> Workspace:
    """The default store and results folder of a study."""
    from prunecheck.runner.workspace import Workspace, default_store
    from prunecheck.store import Store

    root = Path(store) if store is not None else default_store()
    return Workspace(Store.open(root), Path(folder) if folder is not None else Path("runs") / study.name)
