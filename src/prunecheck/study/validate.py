"""Validation across fields: every name is known, every option exists. Does not import torch."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping

from prunecheck import data, models
from prunecheck.errors import PluginError, PrunecheckError, StudyError
from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS, Allocation, Check, Method, load_file
from prunecheck.pruning.patterns import parse_pattern, validate_pattern
from prunecheck.pruning.plugins import MASK_EPOCHS
from prunecheck.pruning.post_training_plugins import PostTrainingCheck, PostTrainingMethod
from prunecheck.pruning.presets import preset_named
from prunecheck.pruning.schedule import Schedule
from prunecheck.pruning.streamable import validate_streamed
from prunecheck.statistics.roles import PLANTED
from prunecheck.statistics.rows import DENSE
from prunecheck.study.arms import NO_PATTERN, control_arms, resolve_method, resolved_checks, resolved_methods
from prunecheck.study.backend import resolve_backend
from prunecheck.study.data_set import validate_data
from prunecheck.study.language_study import LanguageStudy
from prunecheck.study.messages import shown
from prunecheck.study.step import canonical
from prunecheck.study.study import CheckChoice, MethodChoice, Study
from prunecheck.text import percent, printable, unknown
from prunecheck.training.recipe import RECIPES, Recipe

AnyPlugin = Method | Allocation | Check | PostTrainingMethod | PostTrainingCheck
MAX_ROUNDS = 100
MAX_TICKETS = 500_000
"""pruning rounds of all arms: a plan of this size takes about a minute and 2 GB"""
DEVICE = re.compile(r"cpu|mps|cuda(:\d{1,3})?")


def resolve(study: Study, *, allow_absent: bool = False) -> None:
    """Load the study's plug-ins and look up all its names. Raises StudyError (or a kind of it) naming the field.

    ``allow_absent``: the data may be elsewhere if their numbers are known.
    """
    if "\0" in (study.data.root or ""):
        raise StudyError(f"data.root = {printable(study.data.root)!r} holds a null character, which no path can.")
    load_plugins(study)
    if not models.is_external(study.model):
        validate_name("model", "model", study.model, [*models.names(), *models.ALIASES])
    validate_name("data", "data set", study.data.name, data.names())
    if study.preset is not None:
        validate_plugin("preset = ", preset_named, study.preset)
        if study.also_prune:
            raise StudyError(
                f"also_prune = {shown(list(study.also_prune))} and preset = {study.preset!r}: the published codes "
                "prune convolutions and linear layers only. Leave one of the two out."
            )
    if study.training.recipe is not None:
        validate_name("training.recipe", "recipe", study.training.recipe, RECIPES)
    _resolve_training(study.recipe)
    for i, choice in enumerate(study.methods):
        _resolve_method(f"methods[{i}]", choice, study)
    if {"positive", "planted"} & set(study.controls):
        _resolve_method("controls", MethodChoice(name="lr_rewinding"), study)
    if study.pattern is not None:
        _resolve_pattern("", MethodChoice(name="random_ticket"), METHODS.get("random_ticket"), study)
    for i, chosen in enumerate(study.checks):
        _resolve_check(f"checks[{i}]", chosen)
    validate_labels("methods", [resolve_method(study, choice).label for choice in study.methods])
    validate_labels("checks", [check.label for check in resolved_checks(study)])
    _check_size(study)
    pruning = {m.label for m in resolved_methods(study) if m.plugin.name != DENSE}
    pruning |= {method.label for method, _ in control_arms(study)}
    for i, pair in enumerate(study.compare or ()):
        for name in pair:
            validate_name(f"compare[{i}]", "method of this study", name, pruning)
    if not DEVICE.fullmatch(study.device):
        raise StudyError(f"device = {shown(study.device)} must be 'cpu', 'cuda', 'cuda:1' or so, or 'mps'.")
    if study.precision == "tf32" and not study.device.startswith("cuda"):
        raise StudyError(f"precision = 'tf32' is for NVIDIA GPUs, and device = {shown(study.device)}. Use 'bfloat16'.")
    if study.sync_batch_norm is not None and study.processes_per_training == 1:
        raise StudyError(
            f"sync_batch_norm = {shown(study.sync_batch_norm)} is for trainings of several processes. Give "
            "processes_per_training, or leave it out."
        )
    _resolve_streaming(study)
    resolve_backend(study)
    validate_name("task", "task", study.task, ["classification"])
    validate_data(study, allow_absent=allow_absent)


def load_plugins(study: Study | LanguageStudy) -> None:
    """Run the plug-in files of a study. Raises PluginError, StudyError."""
    for name in study.plugins:
        if "\0" in name:
            raise StudyError(f"plugins = {printable(name)!r} holds a null character, which no path can.")
    for path in study.plugin_files:
        try:
            load_file(path)
        except SystemExit:  # a script with its own main: it would end this process
            raise StudyError(f"plug-in {printable(path.name)} calls exit() when it is imported.") from None


def validate_name(place: str, kind: str, word: str, choices: Iterable[str]) -> None:
    known = list(choices)
    if word not in known:
        raise StudyError(f"{place} = {unknown(kind, word, known)}")


def validate_plugin(place: str, look_up: Callable[[str], object], name: str) -> None:
    try:
        look_up(name)
    except PrunecheckError as error:
        raise StudyError(f"{place}{error}") from None


def _check_size(study: Study) -> None:
    """Raises StudyError for a study whose plan would not fit into memory: a page of text can ask for 10^9 arms."""
    seeds = study.max_seeds if study.seeds == "auto" else len(study.first_seeds())
    arms = len(study.sparsities) * seeds * (len(study.checks) + 1)
    methods = [resolve_method(study, choice) for choice in study.methods]
    tickets = arms * sum(len(method.targets(max(study.sparsities))) for method in methods)
    if tickets > MAX_TICKETS:
        raise StudyError(
            f"this study asks for {tickets:,} tickets (methods x checks x sparsities x seeds x pruning rounds); at "
            f"most {MAX_TICKETS:,}. Split it into several studies."
        )


def _resolve_training(recipe: Recipe) -> None:
    if not 0 <= recipe.rewind_epoch <= recipe.epochs:
        raise StudyError(f"training.rewind_epoch = {recipe.rewind_epoch} is not within the {recipe.epochs} epochs.")
    for drop in recipe.drops:
        if not 0 < drop <= 1:
            raise StudyError(f"training.drops: {drop:g} is no fraction of the epochs in (0, 1], such as [0.5, 0.75].")


def _resolve_streaming(study: Study) -> None:
    recipe, spec = study.recipe, study.data.spec()
    if spec.is_streamed:
        for i, check in enumerate(resolved_checks(study)):
            try:
                validate_streamed(check.plugin)
            except PluginError as error:
                raise StudyError(f"checks[{i}]: {error}") from None
    if recipe.crop == "padded":
        if study.training.scale is not None or study.training.ratio is not None:
            raise StudyError('training.scale and ratio are those of crop = "resized".')
        return
    if not spec.is_streamed:
        raise StudyError(
            'training.crop = "resized" cuts boxes out of images of their full size; it needs data.stream = true.'
        )
    if recipe.pad:
        raise StudyError(f'training.pad = {recipe.pad}: crop = "resized" pads nothing. Give pad = 0.')
    for name, (low, high) in (("scale", recipe.scale), ("ratio", recipe.ratio)):
        if not 0 < low <= high or (name == "scale" and high > 1):
            raise StudyError(f"training.{name} = [{low:g}, {high:g}] is no range, such as {_RANGES[name]}.")


_RANGES = {"scale": "[0.08, 1.0]", "ratio": "[0.75, 1.33]"}


def _resolve_method(place: str, choice: MethodChoice, study: Study) -> None:
    validate_plugin(f"{place} = ", METHODS.get, choice.name)
    method = METHODS.get(choice.name)
    validate_options(place, method, choice.options)
    if method.learns and choice.options.get(MASK_EPOCHS, 1) < 1:
        raise StudyError(f"{place}.options.{MASK_EPOCHS} = {choice.options[MASK_EPOCHS]} must be 1 or more.")
    if choice.label in METHODS.names() and choice.label != method.name:
        raise StudyError(f"{place}.label = {choice.label!r} is the name of another method. Choose another label.")
    if method.name == DENSE and choice.epochs not in (None, study.recipe.epochs) and choice.label in ("", DENSE):
        raise StudyError(f"{place}: the dense network of {choice.epochs} epochs needs a label beside the study's own.")
    _resolve_allocation(f"{place}.allocate", choice)
    _resolve_pattern(place, choice, method, study)
    _resolve_training_method(place, choice, method)
    _resolve_rounds(place, choice, max(study.sparsities))
    _resolve_rewinding(place, choice, method, study.recipe)


def _resolve_allocation(place: str, choice: MethodChoice) -> None:
    if choice.allocate is None:
        return
    validate_plugin(f"{place} = ", ALLOCATIONS.get, choice.allocate.name)
    allocation = ALLOCATIONS.get(choice.allocate.name)
    validate_options(place, allocation, choice.allocate.options)
    if ("given" in allocation.asks) != (choice.allocate.method is not None):
        raise StudyError(f'{place} = {{name = "counts_of", method = "snip"}}: the two go together.')
    if choice.allocate.method is not None:
        validate_plugin(f"{place}.method = ", METHODS.get, choice.allocate.method)


def _resolve_pattern(place: str, choice: MethodChoice, method: Method, study: Study) -> None:
    """A method's own pattern must apply to it; the study's applies to those it can apply to."""
    text = choice.pattern or study.pattern
    if text is None or text == NO_PATTERN or (choice.pattern is None and not method.takes_pattern):
        return
    where = "pattern" if choice.pattern is None else f"{place}.pattern"
    allocate = None if choice.allocate is None else choice.allocate.name
    try:
        pattern = parse_pattern(text)
        validate_pattern(pattern, method, study.sparsities, allocate=allocate, preset=study.preset)
    except StudyError as error:
        raise StudyError(f"{where} = {printable(text)!r}: {error}") from None


def _resolve_training_method(place: str, choice: MethodChoice, method: Method) -> None:
    """Raises StudyError for choices that only a method with ``when="during"`` has, or that it does not have."""
    if method.when != "during":
        if choice.retrain == "none":
            raise StudyError(
                f'{place}.retrain = "none" is for methods that change their mask during training (rigl, set).'
            )
        return
    if choice.retrain == "rest":
        raise StudyError(f'{place}.retrain: {choice.name} has "none" (judge the network it trained) and "full".')
    for field in ("rounds", "per_round"):
        if getattr(choice, field) not in (None, 1):
            raise StudyError(f"{place}.{field}: {choice.name} changes its mask during one training; it has no rounds.")
    allocation = choice.allocate.name if choice.allocate else method.allocate
    if "scores" in ALLOCATIONS.get(allocation).asks:
        raise StudyError(
            f"{place}.allocate = {allocation!r} needs scores, and {choice.name} starts from a random mask. "
            "Choose another, e.g. erk, uniform or smart_ratio."
        )
    try:
        Schedule.of({**method.options, **choice.options})
    except PluginError as error:
        raise StudyError(f"{place}.options.{error}") from None


def _resolve_rounds(place: str, choice: MethodChoice, sparsity: float) -> None:
    if choice.rounds is not None and choice.per_round is not None:
        raise StudyError(f"{place}: rounds and per_round exclude each other. Give one.")
    if choice.per_round is None:
        return
    rounds = math.log1p(-sparsity) / math.log1p(-choice.per_round)
    if rounds > MAX_ROUNDS:
        raise StudyError(
            f"{place}.per_round = {choice.per_round:g} takes {rounds:.3g} rounds to {percent(sparsity)}; "
            f"at most {MAX_ROUNDS}."
        )


def _resolve_rewinding(place: str, choice: MethodChoice, method: Method, recipe: Recipe) -> None:
    if method.when != "trained" and (choice.rewind not in (None, "init") or choice.rewind_epoch is not None):
        how = "prunes at initialisation" if method.when == "init" else "trains from the initial weights"
        raise StudyError(f"{place} = {choice.name!r} {how}: there is nothing to rewind.")
    resumes = (choice.retrain or method.retrain) == "rest"
    k = recipe.rewind_epoch if choice.rewind_epoch is None else choice.rewind_epoch
    if k > recipe.epochs:
        raise StudyError(f"{place}.rewind_epoch = {k} is not within the {recipe.epochs} epochs.")
    if choice.rewind_epoch is not None and not resumes and (choice.rewind or method.rewind) != "epoch":
        raise StudyError(
            f"{place}.rewind_epoch = {k} has no effect: {choice.name} neither rewinds to one nor retrains from one."
        )
    if choice.epochs is not None and resumes and choice.epochs < k:
        raise StudyError(f"{place}.epochs = {choice.epochs} ends before epoch {k}, which its retraining starts from.")
    last = choice.epochs or recipe.epochs
    if resumes and k >= last:
        raise StudyError(
            f"{place} = {choice.name!r} retrains from epoch {k}, and there are {last}: nothing is left to train. "
            "Lower training.rewind_epoch."
        )


def _resolve_check(place: str, choice: CheckChoice) -> None:
    validate_plugin(f"{place} = ", CHECKS.get, choice.name)
    check = CHECKS.get(choice.name)
    validate_options(place, check, choice.options)
    if check.at == "updates" and choice.dose is not None:
        raise StudyError(f"{place}.dose: {check.name} corrupts the updates of a mask, of which it has no fraction.")
    another = choice.label in CHECKS.names() and choice.label != check.name
    dose = PLANTED.fullmatch(choice.label) is not None and check.name != "planted"
    if another or dose or choice.label in ("clean", "aa"):  # statistics recognise arms and controls by these names
        raise StudyError(f"{place}.label = {choice.label!r} is reserved. Choose another label.")


def validate_labels(field: str, labels: list[str]) -> None:
    """Raises StudyError for equal labels. An alias and its name have the same label."""
    twice = [label for i, label in enumerate(labels) if label in labels[:i]]
    if twice:
        raise StudyError(f"{field}: duplicate value {twice[0]!r}. Give one of them a label.")


def validate_options(place: str, plugin: AnyPlugin, options: Mapping[str, object]) -> None:
    for option, value in options.items():
        if option not in plugin.options:
            raise StudyError(f"{place}.options: {unknown(f'option of {plugin.name}', option, plugin.options)}")
        default = plugin.options[option]
        if default is None:
            continue
        kind = list if isinstance(default, tuple) else type(default)
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or isinstance(value, bool) != (kind is bool):
            raise StudyError(f"{place}.options.{option} = {shown(value)} must be a {kind.__name__}.")
    for option, value in {**plugin.options, **options}.items():
        try:
            canonical(value)
        except (TypeError, ValueError, RecursionError):
            raise StudyError(
                f"{place}.options.{option} = {shown(value)}: only text, finite numbers, true, false, lists and tables "
                "of these can be options."
            ) from None
