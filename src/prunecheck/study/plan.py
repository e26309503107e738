"""From a study to its plan: a graph of steps in which equal work is one step.

Upstream of a check's joint everything is shared with the clean arm. A check at ``batches`` corrupts all that the
method prunes from, pretraining included; one at ``scores``, ``masks`` or ``weights`` touches the last round only. The
ticket itself always trains on clean data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any, TypeVar

from prunecheck import data, html, models
from prunecheck.pruning.presets import Scoring, scoring_for
from prunecheck.study.arms import DENSE, Entrant, Trial, control_arms, entrants, trials
from prunecheck.study.backend import backend_of
from prunecheck.study.step import Step
from prunecheck.study.study import Study, located
from prunecheck.text import percent
from prunecheck.training.recipe import Recipe

CLEAN = "clean"
T = TypeVar("T")


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

    @property
    def targets(self) -> set[str]:
        """The keys the results are read from."""
        return {key for arm in self.arms for key in (arm.train, arm.mask, arm.compare) if key}

    def __repr__(self) -> str:
        shared = self.trainings_requested - self.trainings
        return (
            f"Plan: {self.trainings} trainings for {len(self.arms)} arms ({shared} more without sharing), "
            f"{len(self.steps)} steps"
        )

    def _repr_html_(self) -> str:
        kinds = Counter(step.kind for step in self.steps.values())
        return html.table(repr(self), ("kind of step", "steps"), kinds.items())


@dataclass(frozen=True)
class Case:
    """One ticket to make: who, under which check, how sparse, which seed."""

    entrant: Entrant
    trial: Trial | None
    sparsity: float
    seed: int

    @property
    def at(self) -> str | None:
        return self.trial.check.at if self.trial else None

    @property
    def corruption(self) -> Trial | None:
        """The check, where it sits at the data."""
        return self.trial if self.at == "batches" else None

    @property
    def what(self) -> str:
        check = self.trial.label if self.trial else CLEAN
        return f"{self.entrant.label} · {check} · {percent(self.sparsity)} · seed {self.seed}"


def make_plan(
    study: Study, seeds: Mapping[tuple[str, str], Iterable[int]] | None = None, *, train: bool = True
) -> Plan:
    """The plan of a study. ``seeds``: per (method label, check label) the seeds wanted, where they differ from the
    study's own; ``train=False`` stops at the masks of methods that need no training."""
    return _Planner(study, train).plan(seeds or {})


def largest_seeds(study: Study) -> dict[tuple[str, str], tuple[int, ...]]:
    """Every pair at its last look: the most an adaptive study can come to."""
    seeds = tuple(range(study.max_seeds))
    return {(arm.method, arm.check): seeds for arm in make_plan(study).arms if arm.check != CLEAN}


class _Planner:
    def __init__(self, study: Study, train: bool) -> None:
        self.study, self.train_tickets = study, train
        self.recipe = study.recipe
        spec = located(study)
        self.shape = data.describe(spec)
        self.side = study.data.size or self.shape.size
        described = {
            "name": spec.name,
            "size": spec.size,
            "train_size": spec.train_size,
            "test_size": spec.test_size,
            "fingerprint": data.fingerprint(spec),
        }
        self.model = models.canonical(study.model)
        self.cost = f"{self.model}@{self.side}/{study.device}"
        models.look_in(study.folder)
        code = models.code_of(study.model)
        self.network = {"model": self.model} | ({} if code is None else {"model_code": code})
        self.base = {**self.network, "data": described, "task": study.task, "device": study.device}
        self.precision = {} if study.precision == "float32" else {"precision": study.precision}
        self.backend_at = cache(lambda sparsity: backend_of(study, self.side, sparsity))
        self.scoring = study.scoring.model_dump()
        self.out = Plan()
        self.made: dict[Hashable, tuple[Any, int, int]] = {}

    def plan(self, seeds: Mapping[tuple[str, str], Iterable[int]]) -> Plan:
        first, everyone = self.study.first_seeds(), entrants(self.study)
        wanted = self.wanted(everyone, seeds, first)
        clean: dict[str, tuple[Entrant, set[int]]] = {e.label: (e, set(first)) for e in everyone}
        for entrant, _, chosen in wanted:
            clean.setdefault(entrant.label, (entrant, set()))[1].update(chosen)
        if self.train_tickets:
            pretrained = [every for entrant, every in clean.values() if entrant.method.when == "trained"]
            for seed in sorted(set(first).union(*pretrained)):
                self.dense_arm(DENSE, self.recipe, seed)
            for entrant, every in clean.values():
                for seed in sorted(every) if entrant.method.name == DENSE else ():
                    self.dense_arm(entrant.label, entrant.recipe, seed)
        for sparsity in self.study.sparsities:
            for entrant, every in clean.values():
                for seed in sorted(every) if self.takes_part(entrant) else ():
                    self.arm(Case(entrant, None, sparsity, seed))
            for entrant, trial, chosen in wanted:
                for seed in chosen if self.takes_part(entrant) and trial.touches(entrant) else ():
                    self.arm(Case(entrant, trial, sparsity, seed))
        return self.out

    def wanted(
        self, everyone: list[Entrant], seeds: Mapping[tuple[str, str], Iterable[int]], first: tuple[int, ...]
    ) -> list[tuple[Entrant, Trial, tuple[int, ...]]]:
        """Every corrupted arm with its seeds, controls last."""
        checks = trials(self.study)
        pairs = [(e, t) for e in everyone for t in checks if e.method.name != DENSE]
        known = {(e.label, t.label) for e, t in pairs}
        pairs += [(e, t) for e, t in control_arms(self.study) if (e.label, t.label) not in known]
        wanted = []
        for e, t in pairs:
            usual = first if t.check.changes else first[:1]  # one seed is enough to see that equal is equal
            wanted.append((e, t, tuple(seeds.get((e.label, t.label), usual))))
        return wanted

    def takes_part(self, entrant: Entrant) -> bool:
        return entrant.method.name != DENSE and (self.train_tickets or not entrant.needs_training)

    def add(self, step: Step) -> str:
        self.out.requests += 1
        self.out.trainings_requested += step.kind in ("pretrain", "train")
        self.out.steps.setdefault(step.key, step)
        return step.key

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """What *make* adds to the plan, made the first time; every further time it is only counted as asked for."""
        known = self.made.get(what)
        if known is not None:
            result, requests, trainings = known
            self.out.requests += requests
            self.out.trainings_requested += trainings
            return result  # type: ignore[no-any-return]
        requests, trainings = self.out.requests, self.out.trainings_requested
        result = make()
        self.made[what] = (result, self.out.requests - requests, self.out.trainings_requested - trainings)
        return result

    def images(self, first: int, last: int) -> float:
        return float((last - first) * (self.shape.n_train * 3 + self.shape.n_test))

    def dense_arm(self, label: str, recipe: Recipe, seed: int) -> None:
        self.out.arms.append(Arm(label, CLEAN, None, seed, self.pretrain(seed, None, recipe=recipe)))

    def pretrain(
        self, seed: int, corruption: Trial | None, until: int | None = None, recipe: Recipe | None = None
    ) -> str:
        """Dense training; ``until`` stops early on the same schedule (weights of another epoch than the recipe's k)."""
        recipe = recipe or self.recipe
        last = recipe.epochs if until is None else until
        return self.once((seed, corruption, last, recipe), lambda: self._pretrain(seed, corruption, last, recipe))

    def _pretrain(self, seed: int, corruption: Trial | None, last: int, recipe: Recipe) -> str:
        params = {**self.base, **self.precision, "recipe": described(recipe), "seed": seed, "until": last}
        title = f"pretrain · seed {seed}"
        if corruption is not None:
            params["corruption"] = corruption.described
            title = f"pretrain · {corruption.label} · seed {seed}"
        return self.add(Step("pretrain", params, {}, title, f"train/{self.cost}", self.images(0, last)))

    def arm(self, case: Case) -> None:
        """One ticket, from pretraining to its trained accuracy."""
        source, mask = self.rounds(case)
        begin = self.start(case, source)
        clean_mask = mask
        if case.at == "masks":
            mask = self.corrupt(case, {"masks": mask})
        elif case.at == "weights":
            inputs = {"masks": mask} | ({"start": begin[0]} if begin[0] else {})
            begin = (self.corrupt(case, inputs, begin[1]), "start")
        compare = self.compare(case, clean_mask, mask)
        train = self.train(case, case.sparsity, mask, begin, case.what) if self.train_tickets else ""
        check = case.trial.label if case.trial else CLEAN
        self.out.arms.append(Arm(case.entrant.label, check, case.sparsity, case.seed, train, mask, compare))

    def rounds(self, case: Case) -> tuple[str, str]:
        """``(key of the weights last pruned, key of the final mask)``; the key is empty for initial weights. A check of
        masks or weights comes after them."""
        shared = case if case.at in ("batches", "scores") else replace(case, trial=None)
        return self.once(shared, lambda: self._rounds(case))

    def _rounds(self, case: Case) -> tuple[str, str]:
        trained = case.entrant.method.when == "trained"
        source = self.pretrain(case.seed, case.corruption) if trained else ""
        mask = ""
        targets = case.entrant.targets(case.sparsity)
        for n, target in enumerate(targets, 1):
            if n > 1 and trained:
                begin = self.start(case, source)
                what = f"{case.what} · round {n - 1}"
                source = self.train(case, targets[n - 2], mask, begin, what, case.corruption)
            mask = self.mask(case, target, source, mask, last=n == len(targets))
        return source, mask

    def start(self, case: Case, source: str) -> tuple[str, str]:
        """``(key, file)`` of the weights the ticket starts from; an empty key means the initial weights."""
        method, k = case.entrant.method, case.entrant.rewind_epoch
        if method.rewind == "init" or method.when == "init":
            return "", ""
        if method.rewind == "nothing":
            return source, "final"
        if k == self.recipe.rewind_epoch:
            return self.pretrain(case.seed, case.corruption), "rewind"
        return self.pretrain(case.seed, case.corruption, k), "final"

    def mask(self, case: Case, target: float, source: str, previous: str, *, last: bool) -> str:
        entrant, method = case.entrant, case.entrant.method
        inputs = {"previous": previous} if previous else {}
        if method.gives == "scores":
            scores = self.score(case, source, previous)
            inputs["scores"] = self.corrupt(case, {"scores": scores}) if last and case.at == "scores" else scores
        elif source:
            inputs["weights"] = source
        if entrant.counts_of is not None:
            lender = replace(case, entrant=entrant.counts_of, sparsity=target, trial=case.corruption)
            inputs["counts"] = self.rounds(lender)[1]
        params = {
            **self.network,
            "shape": [self.shape.num_classes, self.shape.channels, self.side],
            "method": entrant.asked_for_masks,
            "allocate": entrant.allocated,
            "sparsity": target,
        }
        if self.study.preset is not None:
            params["preset"] = self.study.preset
        if method.gives == "masks":
            params |= {**self.base, "seed": case.seed, "label": entrant.label, "scoring": self.scoring}
            if case.corruption is not None:
                params["corruption"] = case.corruption.described
        return self.add(Step("mask", params, inputs, f"mask · {case.what}", f"mask/{self.cost}"))

    def score(self, case: Case, source: str, previous: str) -> str:
        """One score serves every sparsity, unless the method asks for it."""
        sparsity = case.sparsity if "sparsity" in case.entrant.method.asks else None
        asked = (case.entrant, case.corruption, case.seed, sparsity, source, previous)
        return self.once(asked, lambda: self._score(case, source, previous))

    def _score(self, case: Case, source: str, previous: str) -> str:
        method = case.entrant.method
        params = {
            **self.base,
            "method": case.entrant.asked_for_scores,
            "label": case.entrant.label,
            "seed": case.seed,
        }
        how = self.study.scoring
        if {"batches", "loss"} & set(method.asks):
            params["scoring"] = self.scoring
            if case.corruption is not None:
                params["corruption"] = case.corruption.described
        if scoring_for(self.study.preset, method.name) != Scoring():  # the code scores another network than ours
            params["preset"] = self.study.preset
        if "sparsity" in method.asks:
            params["sparsity"] = case.sparsity
        inputs = ({"weights": source} if source else {}) | ({"previous": previous} if previous else {})
        units = how.samples_per_class * how.batches * self.shape.num_classes * 4.0
        return self.add(
            Step("score", params, inputs, f"score · {case.what}", f"score/{method.name}/{self.cost}", units)
        )

    def corrupt(self, case: Case, inputs: dict[str, str], file: str = "") -> str:
        assert case.trial is not None
        params = {
            **self.base,
            "check": case.trial.described,
            "seed": case.seed,
            "purpose": [case.entrant.label, percent(case.sparsity)],
            "file": file,
        }
        return self.add(Step("corrupt", params, inputs, f"corrupt · {case.what}", f"corrupt/{self.cost}"))

    def train(
        self,
        case: Case,
        sparsity: float,
        mask: str,
        begin: tuple[str, str],
        what: str,
        corruption: Trial | None = None,
    ) -> str:
        """The ticket's training (or, between rounds, that of the next round's weights, on what the method prunes
        from). ``sparsity``: that of *mask*."""
        recipe = case.entrant.recipe
        first = case.entrant.rewind_epoch if case.entrant.method.retrain == "rest" else 0
        params = {**self.base, **self.precision, "recipe": described(recipe), "seed": case.seed, "first": first}
        params["file"] = begin[1]
        cost_class = f"train/{self.cost}"
        backend = self.backend_at(sparsity)
        if backend is not None:
            params["backend"] = backend
            cost_class += f"/{backend.partition('/')[0]} {percent(sparsity)}"
        if corruption is not None:
            params["corruption"] = corruption.described
        inputs = {"masks": mask} | ({"start": begin[0]} if begin[0] else {})
        return self.add(Step("train", params, inputs, f"train · {what}", cost_class, self.images(first, recipe.epochs)))

    def compare(self, case: Case, clean: str, corrupted: str) -> str | None:
        """The mask tier: how far the corrupted mask is from the clean one, and from chance."""
        if case.trial is None or case.at == "weights":
            return None
        if case.at in ("batches", "scores"):
            _, clean = self.rounds(replace(case, trial=None))
        inputs = {"clean": clean, "corrupted": corrupted}
        return self.add(Step("compare", {}, inputs, f"compare · {case.what}", f"compare/{self.cost}"))


@lru_cache
def described(recipe: Recipe) -> dict[str, Any]:
    return recipe.to_dict()
