"""Resolved methods and checks: plug-in, options and label of each, as a study runs them, and the control arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS, Allocation, Check, Method
from prunecheck.pruning.patterns import RECOGNISED, parse_pattern
from prunecheck.pruning.plugins import MASK_EPOCHS
from prunecheck.pruning.presets import preset_named
from prunecheck.pruning.registry import BUILT_IN
from prunecheck.statistics.rows import DENSE
from prunecheck.study.study import AllocateChoice, CheckChoice, MethodChoice, Study
from prunecheck.training.recipe import Recipe

NO_PATTERN = "none"
"""of one method, in a study with a pattern"""

PLANTED_SHARES = (0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class ResolvedMethod:
    """A method as this study runs it.

    ``recipe``: for training its tickets; the pretraining always follows the study's. ``pattern``: as ``str(Pattern)``,
    None for single weights. Compared by identity, so that a plan can use it as a dictionary key.
    """

    label: str
    plugin: Method
    allocation: Allocation
    allocate_options: Mapping[str, Any]
    counts_of: ResolvedMethod | None
    recipe: Recipe
    rewind_epoch: int
    per_round: float | None
    options: Mapping[str, Any]
    pattern: str | None = None

    @cached_property
    def score_params(self) -> dict[str, Any]:
        """The parameters of a step that scores. Cached, so that all steps of a large plan share one object."""
        return {**_plugin_params(self.plugin), "options": dict(self.options)}

    @cached_property
    def mask_params(self) -> dict[str, Any]:
        return {**self.score_params, "gives": self.plugin.gives}

    @cached_property
    def allocation_params(self) -> dict[str, Any]:
        return {**_plugin_params(self.allocation), "options": dict(self.allocate_options)}

    @property
    def pattern_in_masks(self) -> str | None:
        """The pattern to look for in its masks: the study's, or whatever is recognised in the masks of a plug-in; None
        for methods that score or draw single weights."""
        chooses = self.plugin.gives == "masks" and self.plugin.origin != BUILT_IN
        return self.pattern or (RECOGNISED if chooses else None)

    @property
    def is_judged_as_trained(self) -> bool:
        """Whether the very network that was trained with a changing mask is judged, instead of a ticket."""
        return self.plugin.retrain == "none"

    @cached_property
    def initial(self) -> ResolvedMethod:
        """Where a training with a changing mask starts: the random ticket of the same allocation."""
        random = replace(METHODS.get("random_ticket"), allocate=self.allocation.name)
        return replace(self, label=random.name, plugin=random, options=dict(random.options))

    @property
    def uses_data(self) -> bool:
        """Whether its masks depend on data, by its own scores or by those of the method whose counts it takes."""
        own = self.plugin.when != "init" or bool({"batches", "loss", "train_loader"} & set(self.plugin.asks))
        return own or (self.counts_of is not None and self.counts_of.uses_data)

    @property
    def needs_training(self) -> bool:
        """Whether its mask can only be computed after a training, or takes one."""
        own = self.plugin.when != "init" or self.plugin.learns
        return own or (self.counts_of is not None and self.counts_of.needs_training)

    @property
    def mask_epochs(self) -> int:
        """How many epochs of the training set it may use in every round to learn a mask; 0 if it learns none."""
        return int(self.options[MASK_EPOCHS]) if self.plugin.learns else 0

    def targets(self, sparsity: float) -> list[float]:
        """The sparsity after each round.

        With ``per_round`` every round but the last removes that fraction of the remaining weights, so that all
        sparsities share their first rounds; otherwise *rounds* equal fractions lead to the target.
        """
        if self.per_round is None:
            rounds = self.plugin.rounds
            return [1 - (1 - sparsity) ** (n / rounds) for n in range(1, rounds)] + [sparsity]
        steps: list[float] = []
        while (reached := 1 - (1 - self.per_round) ** (len(steps) + 1)) < sparsity - 1e-9:
            steps.append(round(reached, 12))
        return [*steps, sparsity]


@dataclass(frozen=True, eq=False)
class ResolvedCheck:
    """A check as this study runs it. ``fraction``: of samples, weights or positions it corrupts, None for all.
    Compared by identity."""

    label: str
    plugin: Check
    options: Mapping[str, Any]
    fraction: float | None = None

    @cached_property
    def params(self) -> dict[str, Any]:
        """The parameters of steps that apply it. Cached, as ``ResolvedMethod.score_params`` is."""
        own = {**_plugin_params(self.plugin), "at": self.plugin.at, "label": self.label, "options": dict(self.options)}
        return own if self.fraction is None else {**own, "dose": self.fraction}

    def applies_to(self, method: ResolvedMethod) -> bool:
        """Whether the method has what this check corrupts: one that sees no data cannot depend on it; where mask and
        weights come from one training, its data cannot be corrupted for the mask alone."""
        during = method.plugin.when == "during"
        if self.plugin.at == "updates":
            return during
        if self.plugin.at == "batches":
            return method.uses_data and not method.is_judged_as_trained
        return self.plugin.at != "scores" or (method.plugin.gives == "scores" and not during)


def resolved_methods(study: Study) -> list[ResolvedMethod]:
    """The methods of a study, without the plain dense reference, which every study trains anyway."""
    every = [resolve_method(study, choice) for choice in study.methods]
    return [one for one in every if one.plugin.name != DENSE or one.recipe != study.recipe]


def resolved_checks(study: Study) -> list[ResolvedCheck]:
    preset = preset_named(study.preset) if study.preset is not None else None
    return [_resolve_check(choice, preset.labels_seed if preset else None) for choice in study.checks]


def control_arms(study: Study) -> list[tuple[ResolvedMethod, ResolvedCheck]]:
    """Control arms (identity, A/A, positive, planted); they may coincide with ordinary arms."""
    wanted: list[tuple[ResolvedMethod, ResolvedCheck]] = []
    random = resolve_method(study, MethodChoice(name="random_ticket"))
    rewound = resolve_method(study, MethodChoice(name="lr_rewinding"))
    for control in study.controls:
        if control == "identity":
            wanted.append((random, _resolve_check(CheckChoice(name="identity"))))
        elif control == "aa":
            wanted.append((random, _resolve_check(CheckChoice(name="layerwise_rearrange"))))
        elif control == "positive":
            wanted.extend((rewound, check) for check in resolved_checks(study))
        else:
            for share in PLANTED_SHARES:
                choice = CheckChoice(name="planted", label=f"planted_{share:g}", options={"share": share})
                wanted.append((rewound, _resolve_check(choice)))
    return wanted


def resolve_method(study: Study, choice: MethodChoice) -> ResolvedMethod:
    """A method with the study's choices in place of its own."""
    method = METHODS.get(choice.name)
    changed = {k: getattr(choice, k) for k in ("rewind", "retrain", "rounds") if getattr(choice, k) is not None}
    allocate = choice.allocate or AllocateChoice(name=method.allocate)
    method = replace(method, allocate=allocate.name, **changed)
    allocation = ALLOCATIONS.get(allocate.name)
    recipe = study.recipe
    if choice.epochs is not None:
        recipe = replace(recipe, epochs=choice.epochs, rewind_epoch=min(recipe.rewind_epoch, choice.epochs))
    k = study.recipe.rewind_epoch if choice.rewind_epoch is None else choice.rewind_epoch
    return ResolvedMethod(
        label=choice.label or method.name,
        plugin=method,
        allocation=allocation,
        allocate_options=_with_defaults(allocation, allocate.options),
        counts_of=_lender(study, choice, allocate.method) if allocate.method else None,
        recipe=recipe,
        rewind_epoch=k,
        per_round=choice.per_round,
        options=_with_defaults(method, choice.options),
        pattern=_pattern(study, choice, method),
    )


def _lender(study: Study, choice: MethodChoice, name: str) -> ResolvedMethod:
    """The method whose counts are taken, under the same pattern as the one that takes them."""
    return resolve_method(study, MethodChoice(name=name, pattern=choice.pattern))


def _pattern(study: Study, choice: MethodChoice, method: Method) -> str | None:
    text = choice.pattern or study.pattern
    return str(parse_pattern(text)) if text and text != NO_PATTERN and method.takes_pattern else None


def _resolve_check(choice: CheckChoice, labels_seed: int | None = None) -> ResolvedCheck:
    check = CHECKS.get(choice.name)
    options = _with_defaults(check, choice.options)
    if labels_seed is not None and "labels_seed" in check.options:
        options.setdefault("labels_seed", labels_seed)
    usual = check.name if choice.dose is None else f"{check.name}@{choice.dose:g}"
    return ResolvedCheck(choice.label or usual, check, options, choice.dose)


def _with_defaults(plugin: Method | Allocation | Check, options: Mapping[str, Any]) -> dict[str, Any]:
    """The plug-in's defaults, overridden by the study's options.

    An option that is None is left out, so that a plug-in can gain an option without changing the keys of artefacts
    computed before it existed.
    """
    return {name: value for name, value in {**plugin.options, **options}.items() if value is not None}


def _plugin_params(plugin: Method | Allocation | Check) -> dict[str, Any]:
    return {"name": plugin.name, "version": plugin.version, "code": plugin.code}
