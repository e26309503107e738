"""Reads from the store what the statistics and the report need: rows, curves, layer tables, overlaps, cost, provenance.

Does not import torch. Nothing here depends on when or how fast a study ran, so that equal results give equal pages.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from prunecheck import data, models
from prunecheck.data import ImageData, StreamedData
from prunecheck.errors import DataError, InfeasibleError
from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS
from prunecheck.pruning.counts import Counts
from prunecheck.pruning.layers import Layer, family_of
from prunecheck.pruning.patterns import pattern_in_words
from prunecheck.pruning.schedule import Schedule
from prunecheck.reporting import REFERENCES, Curve, LayerTable, MaskOverlap
from prunecheck.resources import PublishedNumber, published_numbers
from prunecheck.runner.step_results import StepResults
from prunecheck.statistics.rows import CLEAN
from prunecheck.store import Store
from prunecheck.study.arms import ResolvedMethod, resolved_methods
from prunecheck.study.data_set import shape_of
from prunecheck.study.faster import unrepeatable_in_words
from prunecheck.study.numerics import numerics
from prunecheck.study.plan import Arm, Plan
from prunecheck.study.step import canonical
from prunecheck.study.study import AllocateChoice, CheckChoice, MethodChoice, Study, located
from prunecheck.text import counted, listing

Row = dict[str, Any]
READINGS = "kept by layerwise_rearrange and planted, not by unstructured_rearrange"
NEARLY_A_NO_OP = 0.9


def present(plan: Plan, store: Store) -> list[Arm]:
    """The arms that can be reported: their artefacts are in the store, and so is a clean arm to compare them with."""
    missing = store.missing(plan.targets)
    there = [arm for arm in plan.arms if missing.isdisjoint((arm.train, arm.mask, arm.compare, arm.evaluate))]
    clean = {(arm.method, arm.sparsity) for arm in there if arm.check == CLEAN}
    return [arm for arm in there if (arm.method, arm.sparsity) in clean]


def rows(arms: Iterable[Arm], results: StepResults) -> list[Row]:
    """One row per trained arm, as in ``results.csv``; accuracies are fractions."""
    return [_row(arm, results) for arm in arms]


def _row(arm: Arm, results: StepResults) -> Row:
    trained = results.training(arm.train)
    row: Row = {
        "method": arm.method,
        "check": arm.check,
        "sparsity": arm.sparsity,
        "seed": arm.seed,
        "accuracy": trained["accuracy"],
        "best_accuracy": trained["best_accuracy"],
        "train_accuracy": trained["train_accuracy"],
        "n_test": trained["n_test"],
        "epochs": len(trained["accuracies"]),
        "diverged": trained["diverged"],
    }
    if arm.mask:
        mask = results.mask(arm.mask)
        effective = mask["effective_kept"]
        row |= {
            "kept": mask["kept"],
            "weights": mask["weights"],
            "effective_sparsity": None if effective is None else 1 - effective / mask["weights"],
            "dead_layers": len(mask["empty_layers"]),
            "dead_units": mask["dead_units"],
            "tied": mask.get("tied"),
        }
        if "mask_epochs" in mask:
            row["mask_epochs"] = mask["mask_epochs"]
    if arm.compare:
        row["overlap"] = results.overlap(arm.compare)["iou"]
    if arm.evaluate:
        measured = results.evaluation(arm.evaluate)
        row |= {name: measured[name] for name in ("p_correct", "brier")}
    final = results.weights_entry(arm.train)
    return row | {"weights_sha256": final.sha256[:16], "key": arm.train[:16]}


def curves(arms: Iterable[Arm], results: StepResults) -> tuple[Curve, ...]:
    return tuple(
        Curve(
            arm.method,
            arm.check,
            arm.sparsity if arm.sparsity is not None else 0.0,
            arm.seed,
            results.training(arm.train)["accuracies"],
        )
        for arm in arms
    )


def layer_tables(study: Study, arms: Iterable[Arm], results: StepResults) -> tuple[LayerTable, ...]:
    """How many weights each method keeps in each layer (first seed, clean arm), and the reference allocations."""
    tables: dict[tuple[str, float], LayerTable] = {}
    layers: tuple[Layer, ...] = ()
    for arm in arms:
        if arm.check != CLEAN or arm.mask is None or arm.sparsity is None or (arm.method, arm.sparsity) in tables:
            continue
        described = results.whole("mask", arm.mask)["layers"]
        layers = tuple(Layer(name, kind, tuple(shape)) for name, kind, shape, _ in described)
        tables[arm.method, arm.sparsity] = _table(arm.method, arm.sparsity, layers, [row[3] for row in described])
    family = family_of(study.model)
    for sparsity in study.sparsities if layers else ():
        for name in REFERENCES:
            offer = {"layers": layers, "sparsity": sparsity, "family": family}
            allocation = ALLOCATIONS.get(name)
            try:
                counts: Counts = allocation(**{ask: offer[ask] for ask in allocation.asks})
            except InfeasibleError:
                continue
            tables[name, sparsity] = _table(name, sparsity, layers, [counts[layer.name] for layer in layers])
    return tuple(tables.values())


def _table(method: str, sparsity: float, layers: tuple[Layer, ...], kept: list[int]) -> LayerTable:
    names, sizes = tuple(layer.name for layer in layers), tuple(layer.size for layer in layers)
    return LayerTable(method, CLEAN, sparsity, names, sizes, tuple(kept))


def overlaps(arms: Iterable[Arm], results: StepResults) -> tuple[MaskOverlap, ...]:
    """The mask tier: one entry per method, check and sparsity, averaged over the seeds."""
    cells: dict[tuple[str, str, float], list[dict[str, Any]]] = {}
    for arm in arms:
        if arm.compare and arm.sparsity is not None:
            cells.setdefault((arm.method, arm.check, arm.sparsity), []).append(results.overlap(arm.compare))
    return tuple(_overlap(*cell, found) for cell, found in cells.items())


def _overlap(method: str, check: str, sparsity: float, found: list[dict[str, Any]]) -> MaskOverlap:
    def mean(name: str) -> float | None:
        values = [overlap[name] for overlap in found if overlap[name] is not None]
        return sum(values) / len(values) if values else None

    iou, chance = mean("iou") or 0.0, mean("chance_iou") or 0.0
    note = ""
    if iou >= NEARLY_A_NO_OP and check != "identity":  # which is there to change nothing
        note = f"nearly a no-op: {iou:.0%} of the mask is the same"
    elif chance >= NEARLY_A_NO_OP / 2:
        note = f"layers this full let a rearrangement change little: {chance:.0%} overlap by chance alone"
    return MaskOverlap(method, check, sparsity, iou, chance, mean("counts_correlation"), note)


def cost_of(plan: Plan, largest: Plan) -> dict[str, object]:
    """How many trainings the study needed, how many it shared, and how many adaptive seeds saved.

    *largest*: the plan with all seeds an adaptive study can use.
    """
    kinds = Counter(step.kind for step in plan.steps.values())
    learning = {"epochs to learn masks, at most": plan.mask_epochs} if plan.mask_epochs else {}
    return {
        "arms": len(plan.arms),
        "trainings": plan.trainings,
        "trainings without sharing": plan.trainings_requested,
        "trainings shared": plan.trainings_requested - plan.trainings,
        "trainings with every seed everywhere": largest.trainings,
        "trainings spared by adaptive seeds": largest.trainings - plan.trainings,
        **learning,
        "steps": len(plan.steps),
        **{f"{kind} steps": count for kind, count in sorted(kinds.items())},
    }


def backends_of(arms: Iterable[Arm], results: StepResults) -> dict[str, str]:
    """How the tickets were trained, in one line; empty if no other backend than the dense one was requested, and a
    GPU could record every training."""
    trained = {arm.train: results.training(arm.train) for arm in arms if arm.mask}
    eager = Counter(one["eager_reason"] for one in trained.values() if "eager_reason" in one)
    if eager:
        counts = [f"{n} of {len(trained)} tickets trained step by step ({why})" for why, n in sorted(eager.items())]
        return {"backend": "; ".join(counts)}
    found = [one for one in trained.values() if "backend" in one]
    if not found:
        return {}
    sparse = sum(one["backend"] == "sparse" for one in found)
    reasons = Counter(one["backend_reason"] for one in found if one["backend"] == "dense")
    counts = [f"{sparse} of {len(trained)} tickets trained sparsely"]
    counts += [f"{n} densely ({reason})" for reason, n in sorted(reasons.items())]
    return {"backend": "; ".join(counts)}


def repeatability_of(study: Study) -> dict[str, str]:
    """What another run with equal keys may compute otherwise; empty if nothing."""
    found = unrepeatable_in_words(study)
    return {"not repeatable": found} if found else {}


def patterns_in_words(arms: Iterable[Arm], results: StepResults) -> dict[str, str]:
    """``{"pattern of METHOD": what it is and what it saves}`` for methods with structured masks, of their first arm."""
    found: dict[str, str] = {}
    for arm in arms:
        mask = results.mask(arm.mask) if arm.mask else {}
        if words := pattern_in_words(mask.get("patterns", {})):
            found.setdefault(f"pattern of {arm.method}", f"{words}, {READINGS}. Saves: {mask['saves']}")
    return found


def provenance_of(study: Study, plan: Plan) -> dict[str, str]:
    """Versions and hashes: what must be equal for the results to be equal bit for bit."""
    machine = numerics()
    every = hashlib.sha256(canonical(sorted(plan.steps)).encode()).hexdigest()
    fingerprint = next((str(s.params["data"]["fingerprint"]) for s in plan.steps.values() if "data" in s.params), "")
    return {
        "prunecheck": version("prunecheck"),
        "torch": str(machine["torch"]),
        "numpy": str(machine["numpy"]),
        "machine": f"{machine['machine']} {machine['cpu']} {machine['maker']}, {study.device}, one thread per worker",
        "data fingerprint": fingerprint[:16],
        "plan": every[:16],
    }


def trained_in_words(study: Study) -> str:
    """``convnet on digits (500 training images, 8 x 8 pixels), 6 epochs``, how long masks may be learned, and how often
    methods change theirs while they train."""
    details = []
    try:
        shape = data.describe(located(study))
    except DataError:  # a report can be written again where the data are gone
        size, n_train = study.data.size, study.data.train_size
    else:
        size, n_train = shape.size, shape.n_train
    if n_train is not None:
        details.append(counted(n_train, "training image"))
    if size is not None:
        details.append(f"{size} x {size} pixels")
    where = f"{study.data.name} ({', '.join(details)})" if details else study.data.name
    learning = learning_in_words(study)
    masks = f"; masks learned before: {learning}" if learning else ""
    changes = updates_in_words(study)
    masks += f"; masks changed while training: {changes}" if changes else ""
    return f"{study.model} on {where}, {counted(study.recipe.epochs, 'epoch')}{masks}"


def learning_in_words(study: Study) -> str:
    """``edge_popup in up to 100 epochs of the training set``: the methods that learn masks, with their budgets."""
    found = []
    for method in resolved_methods(study):
        if method.plugin.learns:
            rounds = " in every round" if len(method.targets(max(study.sparsities))) > 1 else ""
            found.append(f"{method.label} in up to {counted(method.mask_epochs, 'epoch')}{rounds}")
    return f"{listing(found)} of the training set" if found else ""


def updates_in_words(study: Study) -> str:
    """``rigl at 15 of 192 steps``: how often the methods that train with a changing mask update it."""
    found = [f"{method.label} at {updates} of {counted(steps, 'step')}" for method, updates, steps in _updates(study)]
    return listing(found)


def too_few_updates(study: Study) -> list[str]:
    """A sentence for each method whose mask changes only before anything was learned."""
    return [
        f"{method.label} changes its mask only before the first of {counted(steps, 'step')}: every = "
        f"{Schedule.of(method.options).every} is longer than the part of the training that may change it. "
        "Give it a smaller `every`."
        for method, updates, steps in _updates(study)
        if updates == 1
    ]


def _updates(study: Study) -> list[tuple[ResolvedMethod, int, int]]:
    """``(method, updates, steps of its training)``; nothing where the number of training images is not known."""
    try:
        samples = shape_of(study).n_train
    except DataError:
        return []
    changing = [method for method in resolved_methods(study) if method.plugin.when == "during"]
    found = [(method, method.recipe.epochs * method.recipe.steps_per_epoch(samples)) for method in changing]
    return [(method, Schedule.of(method.options).updates(steps), steps) for method, steps in found]


def published_for(study: Study) -> tuple[PublishedNumber, ...]:
    """The numbers of the study's model on its data, for methods and checks that run as they are.

    None where the data set was made smaller; under the name of a method or check with options of its own stands
    something else than what was published.
    """
    if study.data.size or study.data.train_size or study.data.test_size:
        return ()
    methods = {METHODS.get(choice.name).name for choice in study.methods if _is_altered(choice)}
    checks = {CHECKS.get(choice.name).name for choice in study.checks if _is_altered(choice)}
    found = published_numbers(models.canonical(study.model), study.data.name)
    return tuple(number for number in found if number.method not in methods and number.check not in checks)


def _is_altered(choice: MethodChoice | CheckChoice) -> bool:
    """Whether it differs from the published method or check of that name. A label of its own keeps it apart."""
    if isinstance(choice, MethodChoice) and choice.allocate == AllocateChoice(name="global_conv"):
        # whether the published magnitude pruning ranked the classifier too is stated in each number's setup, if known
        choice = choice.model_copy(update={"allocate": None})
    return not choice.label and choice != type(choice)(name=choice.name)


def study_images(study: Study) -> ImageData | StreamedData:
    """The study's data set, loaded once per process for as long as its files stay the same."""
    spec = located(study)
    return data.load_once(spec, data.fingerprint(spec))
