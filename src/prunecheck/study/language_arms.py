"""The methods and checks of a study of a language model as it runs them, and its control arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from prunecheck.pruning.post_training_plugins import UNIFORM, NotTested, PostTrainingCheck, PostTrainingMethod
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS
from prunecheck.study.arms import NO_PATTERN
from prunecheck.study.language_study import LanguageStudy, PostTrainingChoice
from prunecheck.study.study import CheckChoice

AA = "aa"
"""the check that prunes with a calibration draw of its own: equal by construction"""
POSITIVE = "rearranged_rows"
"""the check that no method survives without training: if it shows no effect, none can show"""


RANDOM = "random"
TEXT = "text"
"""option of every check that asks for sequences of another text: where that lies"""


@dataclass(frozen=True, eq=False)
class ResolvedPruning:
    """A method as this study runs it. Compared by identity."""

    label: str
    plugin: PostTrainingMethod
    options: Mapping[str, Any]
    granularity: str | None
    pattern: str | None
    ratios: str
    ratio_options: Mapping[str, Any]

    @cached_property
    def params(self) -> dict[str, Any]:
        """The parameters of a step that prunes; what is at its default is left out."""
        own = {**_plugin(self.plugin), "options": dict(self.options)}
        own |= {} if self.granularity in (None, self.plugin.granularity) else {"granularity": self.granularity}
        own |= {} if self.pattern is None else {"pattern": self.pattern}
        if self.ratios != UNIFORM:
            own |= {"ratios": self.ratios, "ratio_options": dict(self.ratio_options)}
        return own

    @property
    def reads_text(self) -> bool:
        """Whether its masks depend on the calibration text."""
        return self.plugin.is_calibrated or self.ratios != UNIFORM

    @property
    def draws(self) -> bool:
        """Whether two draws can give two masks."""
        return self.reads_text or "rng" in self.plugin.asks


@dataclass(frozen=True, eq=False)
class ResolvedCorruption:
    """A check as this study runs it; ``plugin`` is None for the A/A control. Compared by identity."""

    label: str
    plugin: PostTrainingCheck | None
    options: Mapping[str, Any]
    text: str | None = None
    """path of another text, for checks that ask for one"""

    @property
    def at(self) -> str:
        return "tokens" if self.plugin is None else str(self.plugin.at)

    @cached_property
    def params(self) -> dict[str, Any]:
        if self.plugin is None:
            return {"name": AA, "code": ""}
        return {**_plugin(self.plugin), "at": self.plugin.at, "label": self.label, "options": dict(self.options)}

    def why_not(self, method: ResolvedPruning) -> NotTested | None:
        """Why *method* has nothing that this check could corrupt; None if it has."""
        if self.label == POSITIVE and method.plugin.name == RANDOM:
            return NotTested(f"a mask of {method.label!r} is already one of random positions")
        if self.plugin is None:
            return None if method.draws else NotTested("draws nothing at random", method.label)
        return self.plugin.why_not(method.plugin, method.ratios)


def prunings(study: LanguageStudy) -> list[ResolvedPruning]:
    return [resolve_pruning(study, choice) for choice in study.methods]


def corruptions(study: LanguageStudy) -> list[ResolvedCorruption]:
    return [resolve_corruption(choice) for choice in study.checks]


def control_corruptions(study: LanguageStudy) -> list[ResolvedCorruption]:
    """The A/A and the positive control, for every method that has what they corrupt."""
    found = []
    if "aa" in study.controls:
        found.append(ResolvedCorruption(AA, None, {}))
    if "positive" in study.controls and POSITIVE not in {one.label for one in corruptions(study)}:
        found.append(resolve_corruption(CheckChoice(name=POSITIVE)))
    return found


def resolve_pruning(study: LanguageStudy, choice: PostTrainingChoice) -> ResolvedPruning:
    """A method with the study's choices in place of its own."""
    method = POST_TRAINING_METHODS.get(choice.name)
    pattern, ratios = choice.pattern or study.pattern, choice.ratios or study.ratios
    return ResolvedPruning(
        label=choice.label or method.name,
        plugin=method,
        options=_with_defaults(method.options, choice.options),
        granularity=choice.granularity or study.granularity,
        pattern=None if pattern in (None, NO_PATTERN) else pattern,
        ratios=UNIFORM if ratios is None else ratios.name,
        ratio_options={} if ratios is None else ratios.options,
    )


def resolve_corruption(choice: CheckChoice) -> ResolvedCorruption:
    check = POST_TRAINING_CHECKS.get(choice.name)
    options = _with_defaults(check.options, choice.options)
    text = options.pop(TEXT, None) if "other" in check.asks else None
    return ResolvedCorruption(choice.label or check.name, check, options, text)


def _with_defaults(defaults: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """An option that is None is left out, so that a plug-in can gain one without changing keys."""
    return {name: value for name, value in {**defaults, **options}.items() if value is not None}


def _plugin(plugin: PostTrainingMethod | PostTrainingCheck) -> dict[str, Any]:
    return {"name": plugin.name, "version": plugin.version, "code": plugin.code}
