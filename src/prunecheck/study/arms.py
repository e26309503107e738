"""Who takes part: methods and checks as a study runs them, under the labels of its tables, and the controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS, Allocation, Check, Method
from prunecheck.pruning.presets import preset_named
from prunecheck.study.study import AllocateChoice, CheckChoice, MethodChoice, Study
from prunecheck.training.recipe import Recipe

DENSE = "dense"
PLANTED_SHARES = (0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Entrant:
    """A method as this study runs it. ``recipe``: of its tickets (the pretraining always follows the study's). Equal
    only to itself, so that a plan can look up what it has made for it."""

    label: str
    method: Method
    allocation: Allocation
    allocate_options: Mapping[str, Any]
    counts_of: Entrant | None
    recipe: Recipe
    rewind_epoch: int
    per_round: float | None
    options: Mapping[str, Any]

    @cached_property
    def asked_for_scores(self) -> dict[str, Any]:
        """What a step that scores says of the method; as what follows, one object for all steps."""
        return {**_plugin(self.method), "options": dict(self.options)}

    @cached_property
    def asked_for_masks(self) -> dict[str, Any]:
        return {**self.asked_for_scores, "gives": self.method.gives}

    @cached_property
    def allocated(self) -> dict[str, Any]:
        return {**_plugin(self.allocation), "options": dict(self.allocate_options)}

    @property
    def uses_data(self) -> bool:
        """Whether anything it prunes by depends on data, its own or that of the method whose counts it takes."""
        own = self.method.when == "trained" or bool({"batches", "loss"} & set(self.method.asks))
        return own or (self.counts_of is not None and self.counts_of.uses_data)

    @property
    def needs_training(self) -> bool:
        """Whether its mask can only be had after a training."""
        return self.method.when == "trained" or (self.counts_of is not None and self.counts_of.needs_training)

    def targets(self, sparsity: float) -> list[float]:
        """The sparsity after each round. With ``per_round`` every round but the last removes that share of the
        survivors, so that all sparsities share their first rounds; else *rounds* equal shares lead to the target."""
        if self.per_round is None:
            rounds = self.method.rounds
            return [1 - (1 - sparsity) ** (n / rounds) for n in range(1, rounds)] + [sparsity]
        steps: list[float] = []
        while (reached := 1 - (1 - self.per_round) ** (len(steps) + 1)) < sparsity - 1e-9:
            steps.append(round(reached, 12))
        return [*steps, sparsity]


@dataclass(frozen=True, eq=False)
class Trial:
    """A check as this study runs it; ``dose``: the share of what it could touch that it does touch. Equal only to
    itself."""

    label: str
    check: Check
    options: Mapping[str, Any]
    dose: float | None = None

    @cached_property
    def described(self) -> dict[str, Any]:
        """What steps say of it: one object for all of them."""
        own = {**_plugin(self.check), "at": self.check.at, "label": self.label, "options": dict(self.options)}
        return own if self.dose is None else {**own, "dose": self.dose}

    def touches(self, entrant: Entrant) -> bool:
        """Whether there is anything to corrupt: a method that sees no data cannot depend on it."""
        if self.check.at == "batches":
            return entrant.uses_data
        return self.check.at != "scores" or entrant.method.gives == "scores"


def entrants(study: Study) -> list[Entrant]:
    """The methods of a study; the plain dense reference is left out, since every study trains it."""
    every = [entrant(study, choice) for choice in study.methods]
    return [one for one in every if one.method.name != DENSE or one.recipe != study.recipe]


def trials(study: Study) -> list[Trial]:
    preset = preset_named(study.preset) if study.preset is not None else None
    return [_trial(choice, preset.labels_seed if preset else None) for choice in study.checks]


def control_arms(study: Study) -> list[tuple[Entrant, Trial]]:
    """The arms that test the instrument itself; they may coincide with ordinary ones."""
    wanted: list[tuple[Entrant, Trial]] = []
    random = entrant(study, MethodChoice(name="random_ticket"))
    rewound = entrant(study, MethodChoice(name="lr_rewinding"))
    for control in study.controls:
        if control == "identity":
            wanted.append((random, _trial(CheckChoice(name="identity"))))
        elif control == "aa":
            wanted.append((random, _trial(CheckChoice(name="layerwise_rearrange"))))
        elif control == "positive":
            wanted.extend((rewound, trial) for trial in trials(study))
        else:
            for share in PLANTED_SHARES:
                choice = CheckChoice(name="planted", label=f"planted_{share:g}", options={"share": share})
                wanted.append((rewound, _trial(choice)))
    return wanted


def entrant(study: Study, choice: MethodChoice) -> Entrant:
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
    return Entrant(
        label=choice.label or method.name,
        method=method,
        allocation=allocation,
        allocate_options=_chosen(allocation, allocate.options),
        counts_of=entrant(study, MethodChoice(name=allocate.method)) if allocate.method else None,
        recipe=recipe,
        rewind_epoch=k,
        per_round=choice.per_round,
        options=_chosen(method, choice.options),
    )


def _trial(choice: CheckChoice, labels_seed: int | None = None) -> Trial:
    check = CHECKS.get(choice.name)
    options = _chosen(check, choice.options)
    if labels_seed is not None and "labels_seed" in check.options:
        options.setdefault("labels_seed", labels_seed)
    usual = check.name if choice.dose is None else f"{check.name}@{choice.dose:g}"
    return Trial(choice.label or usual, check, options, choice.dose)


def _chosen(plugin: Method | Allocation | Check, options: Mapping[str, Any]) -> dict[str, Any]:
    """The plug-in's options with the study's in their place. One whose default is None is left out until somebody sets
    it, so that a plug-in can get a new option without changing the keys of what was computed without it."""
    return {name: value for name, value in {**plugin.options, **options}.items() if value is not None}


def _plugin(plugin: Method | Allocation | Check) -> dict[str, Any]:
    return {"name": plugin.name, "version": plugin.version, "code": plugin.code}
