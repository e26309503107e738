"""From a study to its plan: a graph of steps in which equal work is one step.

Upstream of a check's joint everything is shared with the clean arm. A check at ``batches`` corrupts all that the
method prunes from, pretraining included; one at ``scores``, ``masks`` or ``weights`` touches the last round only. The
ticket itself always trains on clean data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from prunecheck import data, models
from prunecheck.core.words import percent
from prunecheck.plugins import ALLOCATIONS, CHECKS, METHODS, Allocation, Check, Method
from prunecheck.study.step import Step
from prunecheck.study.study import CheckChoice, MethodChoice, Study, located

CLEAN = "clean"
DENSE = "dense"
PLANTED_SHARES = (0.1, 0.25, 0.5, 1.0)


@dataclass(frozen=True)
class Entrant:
    """A method as this study runs it, under the label of its tables."""

    label: str
    method: Method
    allocation: Allocation
    rewind_epoch: int
    options: Mapping[str, Any]

    @property
    def uses_data(self) -> bool:
        return self.method.when == "trained" or bool({"batches", "loss"} & set(self.method.asks))


@dataclass(frozen=True)
class Trial:
    """A check as this study runs it."""

    label: str
    check: Check
    options: Mapping[str, Any]

    def touches(self, entrant: Entrant) -> bool:
        """Whether there is anything to corrupt: a method that sees no data cannot depend on it."""
        if self.check.at == "batches":
            return entrant.uses_data
        return self.check.at != "scores" or entrant.method.gives == "scores"


@dataclass(frozen=True)
class Arm:
    """One row of the results: a trained ticket. ``check`` is ``clean`` for the untouched arm."""

    method: str
    check: str
    sparsity: float | None
    seed: int
    train: str
    mask: str | None = None
    compare: str | None = None


@dataclass
class Plan:
    """Steps by key, in an order in which inputs come first, and the arms that read them."""

    steps: dict[str, Step] = field(default_factory=dict)
    arms: list[Arm] = field(default_factory=list)
    requests: int = 0
    """how many steps were asked for, shared ones counted every time"""
    trainings_requested: int = 0

    @property
    def trainings(self) -> int:
        return sum(step.kind in ("pretrain", "train") for step in self.steps.values())


def make_plan(
    study: Study, seeds: Mapping[tuple[str, str], Iterable[int]] | None = None, *, train: bool = True
) -> Plan:
    """The plan of a study. ``seeds``: per (method label, check label) the seeds wanted, where they differ from the
    study's own; ``train=False`` stops at the masks of methods that need no training."""
    return _Planner(study, train).plan(seeds or {})


def entrants(study: Study) -> list[Entrant]:
    """The methods of a study, the dense reference left out (every study trains it)."""
    return [_entrant(study, choice) for choice in study.methods if METHODS.get(choice.name).name != DENSE]


def trials(study: Study) -> list[Trial]:
    return [_trial(choice) for choice in study.checks]


def control_arms(study: Study) -> list[tuple[Entrant, Trial]]:
    """The arms that test the instrument itself; they may coincide with ordinary ones."""
    wanted: list[tuple[Entrant, Trial]] = []
    random = _entrant(study, MethodChoice(name="random_ticket"))
    rewound = _entrant(study, MethodChoice(name="lr_rewinding"))
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


def _entrant(study: Study, choice: MethodChoice) -> Entrant:
    method = METHODS.get(choice.name)
    changes = {
        k: getattr(choice, k) for k in ("allocate", "rewind", "retrain", "rounds") if getattr(choice, k) is not None
    }
    method = replace(method, **changes)
    k = study.recipe.rewind_epoch if choice.rewind_epoch is None else choice.rewind_epoch
    return Entrant(
        choice.label or method.name, method, ALLOCATIONS.get(method.allocate), k, {**method.options, **choice.options}
    )


def _trial(choice: CheckChoice) -> Trial:
    check = CHECKS.get(choice.name)
    return Trial(choice.label or check.name, check, {**check.options, **choice.options})


class _Planner:
    def __init__(self, study: Study, train: bool) -> None:
        self.study, self.train_tickets = study, train
        self.recipe = study.recipe
        spec = located(study)
        self.shape = data.describe(spec)
        size = f"{study.data.size or self.shape.size}"
        self.data = {
            "name": spec.name,
            "size": spec.size,
            "train_size": spec.train_size,
            "test_size": spec.test_size,
            "fingerprint": data.fingerprint(spec),
        }
        self.model = models.canonical(study.model)
        self.cost = f"{self.model}@{size}/{study.device}"
        self.base = {"model": self.model, "data": self.data, "task": study.task, "device": study.device}
        self.out = Plan()

    def plan(self, seeds: Mapping[tuple[str, str], Iterable[int]]) -> Plan:
        study = self.study
        first = study.first_seeds()
        pairs = [(e, t) for e in entrants(study) for t in trials(study)]
        known = {(e.label, t.label) for e, t in pairs}
        pairs += [(e, t) for e, t in control_arms(study) if (e.label, t.label) not in known]
        wanted = {}
        for e, t in pairs:
            usual = first if t.check.changes else first[:1]  # one seed is enough to see that equal is equal
            wanted[e.label, t.label] = (e, t, tuple(seeds.get((e.label, t.label), usual)))
        clean: dict[str, tuple[Entrant, set[int]]] = {e.label: (e, set(first)) for e in entrants(study)}
        for entrant, _, chosen in wanted.values():
            clean.setdefault(entrant.label, (entrant, set()))[1].update(chosen)
        if self.train_tickets:
            pretrained = [every for entrant, every in clean.values() if entrant.method.when == "trained"]
            for seed in sorted(set(first).union(*pretrained)):
                self.out.arms.append(Arm(DENSE, CLEAN, None, seed, self.pretrain(seed, None)))
        for sparsity in study.sparsities:
            for entrant, every in clean.values():
                if not self.train_tickets and entrant.method.when == "trained":
                    continue
                for seed in sorted(every):
                    self.arm(entrant, None, sparsity, seed)
            for entrant, trial, chosen in wanted.values():
                if not trial.touches(entrant) or (not self.train_tickets and entrant.method.when == "trained"):
                    continue
                for seed in chosen:
                    self.arm(entrant, trial, sparsity, seed)
        return self.out

    def add(self, step: Step) -> str:
        self.out.requests += 1
        self.out.trainings_requested += step.kind in ("pretrain", "train")
        self.out.steps.setdefault(step.key, step)
        return step.key

    def images(self, first: int, last: int) -> float:
        return float((last - first) * (self.shape.n_train * 3 + self.shape.n_test))

    def pretrain(self, seed: int, corruption: Trial | None, until: int | None = None) -> str:
        """Dense training; ``until`` stops early on the same schedule (weights of another epoch than the recipe's k)."""
        last = self.recipe.epochs if until is None else until
        params = {**self.base, "recipe": self.recipe.to_dict(), "seed": seed, "until": last}
        title = f"pretrain · seed {seed}"
        if corruption is not None:
            params["corruption"] = _described(corruption)
            title = f"pretrain · {corruption.label} · seed {seed}"
        return self.add(Step("pretrain", params, {}, title, f"train/{self.cost}", self.images(0, last)))

    def arm(self, entrant: Entrant, trial: Trial | None, sparsity: float, seed: int) -> None:
        """One ticket, from pretraining to its trained accuracy."""
        what = f"{entrant.label} · {trial.label if trial else CLEAN} · {percent(sparsity)} · seed {seed}"
        at = trial.check.at if trial else None
        corruption = trial if at == "batches" else None
        source, mask = self.rounds(entrant, corruption, sparsity, seed, what, trial if at == "scores" else None)
        begin = self.start(entrant, corruption, source, seed)
        clean_mask = mask
        if trial is not None and at == "masks":
            mask = self.corrupt(trial, entrant, sparsity, seed, {"masks": mask}, what)
        elif trial is not None and at == "weights":
            inputs = {"masks": mask} | ({"start": begin[0]} if begin[0] else {})
            begin = (self.corrupt(trial, entrant, sparsity, seed, inputs, what, begin[1]), "start")
        compare = self.compare(entrant, trial, sparsity, seed, clean_mask, mask)
        train = self.train(entrant, mask, begin, seed, what) if self.train_tickets else ""
        self.out.arms.append(Arm(entrant.label, trial.label if trial else CLEAN, sparsity, seed, train, mask, compare))

    def rounds(
        self, entrant: Entrant, corruption: Trial | None, sparsity: float, seed: int, what: str, scores: Trial | None
    ) -> tuple[str, str]:
        """``(key of the weights last pruned, key of the final mask)``; the key is empty for initial weights."""
        method = entrant.method
        source = self.pretrain(seed, corruption) if method.when == "trained" else ""
        mask = ""
        for n in range(1, method.rounds + 1):
            target = sparsity if n == method.rounds else 1 - (1 - sparsity) ** (n / method.rounds)
            if n > 1 and method.when == "trained":
                begin = self.start(entrant, corruption, source, seed)
                source = self.train(entrant, mask, begin, seed, f"{what} · round {n - 1}", corruption)
            mask = self.mask(
                entrant, corruption, target, seed, source, mask, what, scores if n == method.rounds else None
            )
        return source, mask

    def start(self, entrant: Entrant, corruption: Trial | None, source: str, seed: int) -> tuple[str, str]:
        """``(key, file)`` of the weights the ticket starts from; an empty key means the initial weights."""
        if entrant.method.rewind == "init" or entrant.method.when == "init":
            return "", ""
        if entrant.method.rewind == "nothing":
            return source, "final"
        if entrant.rewind_epoch == self.recipe.rewind_epoch:
            return self.pretrain(seed, corruption), "rewind"
        return self.pretrain(seed, corruption, entrant.rewind_epoch), "final"

    def mask(
        self,
        entrant: Entrant,
        corruption: Trial | None,
        sparsity: float,
        seed: int,
        source: str,
        previous: str,
        what: str,
        trial: Trial | None,
    ) -> str:
        method, allocation = entrant.method, entrant.allocation
        inputs = {"previous": previous} if previous else {}
        if method.gives == "scores":
            scores = self.score(entrant, corruption, seed, source, previous, what, sparsity)
            inputs["scores"] = (
                scores if trial is None else self.corrupt(trial, entrant, sparsity, seed, {"scores": scores}, what)
            )
        elif source:
            inputs["weights"] = source
        params = {
            "model": self.model,
            "shape": [self.shape.num_classes, self.shape.channels, self.study.data.size or self.shape.size],
            "method": _plugin(method) | {"gives": method.gives, "options": dict(entrant.options)},
            "allocate": _plugin(allocation) | {"options": dict(allocation.options)},
            "sparsity": sparsity,
        }
        if self.study.preset is not None:
            params["preset"] = self.study.preset
        if method.gives == "masks":
            params |= {**self.base, "seed": seed, "label": entrant.label, "scoring": self.study.scoring.model_dump()}
            if corruption is not None:
                params["corruption"] = _described(corruption)
        return self.add(Step("mask", params, inputs, f"mask · {what}", f"mask/{self.cost}"))

    def score(
        self,
        entrant: Entrant,
        corruption: Trial | None,
        seed: int,
        source: str,
        previous: str,
        what: str,
        sparsity: float,
    ) -> str:
        method = entrant.method
        params = {
            **self.base,
            "method": _plugin(method) | {"options": dict(entrant.options)},
            "label": entrant.label,
            "seed": seed,
        }
        needs_batches = bool({"batches", "loss"} & set(method.asks))
        if needs_batches:
            params["scoring"] = self.study.scoring.model_dump()
            if corruption is not None:
                params["corruption"] = _described(corruption)
        if "sparsity" in method.asks:
            params["sparsity"] = sparsity
        inputs = ({"weights": source} if source else {}) | ({"previous": previous} if previous else {})
        units = self.study.scoring.samples_per_class * self.study.scoring.batches * self.shape.num_classes * 4.0
        return self.add(Step("score", params, inputs, f"score · {what}", f"score/{method.name}/{self.cost}", units))

    def corrupt(
        self,
        trial: Trial,
        entrant: Entrant,
        sparsity: float,
        seed: int,
        inputs: dict[str, str],
        what: str,
        file: str = "",
    ) -> str:
        params = {
            **self.base,
            "check": _described(trial),
            "seed": seed,
            "purpose": [entrant.label, percent(sparsity)],
            "file": file,
        }
        return self.add(Step("corrupt", params, inputs, f"corrupt · {what}", f"corrupt/{self.cost}"))

    def train(
        self,
        entrant: Entrant,
        mask: str,
        begin: tuple[str, str],
        seed: int,
        what: str,
        corruption: Trial | None = None,
    ) -> str:
        first = entrant.rewind_epoch if entrant.method.retrain == "rest" else 0
        params = {**self.base, "recipe": self.recipe.to_dict(), "seed": seed, "first": first, "file": begin[1]}
        if corruption is not None:
            params["corruption"] = _described(corruption)
        inputs = {"masks": mask} | ({"start": begin[0]} if begin[0] else {})
        units = self.images(first, self.recipe.epochs)
        return self.add(Step("train", params, inputs, f"train · {what}", f"train/{self.cost}", units))

    def compare(
        self, entrant: Entrant, trial: Trial | None, sparsity: float, seed: int, clean: str, corrupted: str
    ) -> str | None:
        """The mask tier: how far the corrupted mask is from the clean one, and from chance."""
        if trial is None or trial.check.at == "weights":
            return None
        if trial.check.at in ("batches", "scores"):
            what = f"{entrant.label} · {CLEAN} · {percent(sparsity)} · seed {seed}"
            _, clean = self.rounds(entrant, None, sparsity, seed, what, None)
        what = f"{entrant.label} · {trial.label} · {percent(sparsity)} · seed {seed}"
        inputs = {"clean": clean, "corrupted": corrupted}
        return self.add(Step("compare", {}, inputs, f"compare · {what}", f"compare/{self.cost}"))


def _plugin(plugin: Method | Allocation | Check) -> dict[str, Any]:
    return {"name": plugin.name, "version": plugin.version, "code": plugin.code}


def _described(trial: Trial) -> dict[str, Any]:
    return _plugin(trial.check) | {"at": trial.check.at, "label": trial.label, "options": dict(trial.options)}
