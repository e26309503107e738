"""Validation across the fields of a study of a language model. Does not import torch."""

from __future__ import annotations

from prunecheck.data.documents import Document, refuse_overlap, sample
from prunecheck.errors import DataError, PrunecheckError, StudyError
from prunecheck.pruning.post_training_plugins import UNIFORM
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.study.language_arms import AA, TEXT, control_corruptions, corruptions, prunings
from prunecheck.study.language_plan import documents
from prunecheck.study.language_study import LanguageStudy, PostTrainingChoice
from prunecheck.study.study import CheckChoice
from prunecheck.study.validate import (
    DEVICE,
    load_plugins,
    validate_labels,
    validate_name,
    validate_options,
    validate_plugin,
)
from prunecheck.text import listing, printable

MOST_PRUNINGS = 100_000
MAGNITUDE = "magnitude"


def resolve(study: LanguageStudy, *, allow_absent: bool = False) -> None:
    """Load the study's plug-ins and look up all its names. Raises StudyError (or a kind of it) naming the field."""
    del allow_absent  # of a model and of texts that are not there nothing is known
    load_plugins(study)
    for i, choice in enumerate(study.methods):
        _resolve_method(f"methods[{i}]", choice)
    for i, chosen in enumerate(study.checks):
        _resolve_check(f"checks[{i}]", chosen)
    methods, checks = prunings(study), corruptions(study)
    validate_labels("methods", [method.label for method in methods])
    validate_labels("checks", [check.label for check in checks])
    for i, check in enumerate(checks):
        reasons = [why for method in methods if (why := check.why_not(method))]
        if len(reasons) == len(methods):
            raise StudyError(f"checks[{i}] = {check.label!r} tests none of the methods: {reasons[0].sentence}")
    _validate_margin(study)
    for i, pair in enumerate(study.compare or ()):
        for name in pair:
            validate_name(f"compare[{i}]", "method of this study", name, [method.label for method in methods])
    arms = len(methods) * (1 + len(checks) + len(control_corruptions(study)))
    if (total := arms * len(study.sparsities) * len(study.draws)) > MOST_PRUNINGS:
        raise StudyError(f"this study asks for {total:,} prunings; at most {MOST_PRUNINGS:,}. Split it.")
    if not DEVICE.fullmatch(study.device):
        raise StudyError(f"device = {printable(study.device)!r} must be 'cpu', 'cuda', 'cuda:1' or so, or 'mps'.")
    study.model_choice.identity()
    _validate_texts(study)


def _resolve_method(place: str, choice: PostTrainingChoice) -> None:
    validate_plugin(f"{place} = ", POST_TRAINING_METHODS.get, choice.name)
    method = POST_TRAINING_METHODS.get(choice.name)
    validate_options(place, method, choice.options)
    if choice.label in POST_TRAINING_METHODS.names() and choice.label != method.name:
        raise StudyError(f"{place}.label = {choice.label!r} is the name of another method. Choose another label.")
    if choice.label == DENSE:
        raise StudyError(f"{place}.label = {DENSE!r} is reserved. Choose another label.")


def _resolve_check(place: str, choice: CheckChoice) -> None:
    if choice.name == AA:
        raise StudyError(f'{place}: the A/A control is chosen by controls = ["aa"].')
    validate_plugin(f"{place} = ", POST_TRAINING_CHECKS.get, choice.name)
    check = POST_TRAINING_CHECKS.get(choice.name)
    own = {name: value for name, value in choice.options.items() if name != TEXT or "other" not in check.asks}
    validate_options(place, check, own)
    if choice.dose is not None:
        raise StudyError(f"{place}.dose: checks of language models corrupt everything at their point; leave it out.")
    another = choice.label in POST_TRAINING_CHECKS.names() and choice.label != check.name
    if another or choice.label in (CLEAN, AA):
        raise StudyError(f"{place}.label = {choice.label!r} is reserved. Choose another label.")
    if "other" in check.asks and not isinstance(choice.options.get(TEXT), str):
        raise StudyError(
            f"{place} = {choice.name!r} needs another text: "
            f'{{ name = "{choice.name}", options = {{ text = "a folder or file" }} }}.'
        )


def _validate_margin(study: LanguageStudy) -> None:
    if study.share_of_loss is None:
        return
    plain = [m for m in prunings(study) if m.plugin.name == MAGNITUDE and m.ratios == UNIFORM]
    if not plain:
        raise StudyError(
            f"margin = {study.margin!r} is a share of what magnitude pruning loses: add "
            f'"{MAGNITUDE}" to methods, or give the margin in nats per token, such as 0.05.'
        )


def _validate_texts(study: LanguageStudy) -> None:
    """Raises DataError where the texts cannot be read, or where one that is pruned from holds what is evaluated."""
    found: dict[str, tuple[Document, ...]] = {}
    named = [("data.calibration", study.data.calibration), ("data.evaluation", study.data.evaluation)]
    named += [(f"{one.label}: options.text", one.text) for one in corruptions(study) if one.text]
    for field, text in named:
        try:
            found[field] = documents(study, text)
        except PrunecheckError as error:
            raise type(error)(f"{field} = {printable(text, 60)!r}: {error}") from None
    evaluated = sample(found["data.evaluation"], study.data.documents)
    if study.data.documents is not None and len(evaluated) < study.data.documents:
        raise DataError(
            f"data.documents = {study.data.documents}, but data.evaluation holds {len(evaluated)} different documents."
        )
    if len(evaluated) < 2:
        raise DataError(
            f"data.evaluation holds {listing([one.name for one in evaluated])} only: verdicts need several documents, "
            "since the noise between them is measured. Split it, for example into a .jsonl file."
        )
    for field, read in found.items():
        if field != "data.evaluation":
            refuse_overlap(read, evaluated, field)
