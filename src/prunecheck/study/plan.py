"""From a study to its plan: a graph of steps in which equal work is one step.

Upstream of a check's intervention point everything is shared with the clean arm. A check at ``batches`` corrupts
everything the method prunes from, pretraining included; one at ``scores``, ``masks`` or ``weights`` applies to the
last round only, one at ``updates`` to a mask that changes during training. The ticket itself always trains on clean
data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any, TypeVar

from prunecheck import data, html, models
from prunecheck.pruning.plugins import MASK_EPOCHS
from prunecheck.pruning.presets import Scoring, preset_named, scoring_for
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.study.arms import ResolvedCheck, ResolvedMethod, control_arms, resolved_checks, resolved_methods
from prunecheck.study.backend import backend_of
from prunecheck.study.data_set import DataSet, data_set_of
from prunecheck.study.gpus import gpu_name
from prunecheck.study.step import Step
from prunecheck.study.study import Study
from prunecheck.text import percent
from prunecheck.training.recipe import Recipe

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
    evaluate: str | None = None
    """where the study is judged by another metric than accuracy: the step that measured it"""


@dataclass
class Plan:
    """Steps by key, in an order in which inputs come first, and the arms that read them."""

    steps: dict[str, Step] = field(default_factory=dict)
    arms: list[Arm] = field(default_factory=list)
    requests: int = 0
    """steps requested, with shared ones counted every time"""
    trainings_requested: int = 0
    side: int = 0
    """pixels per side of the images"""
    absent: str = ""
    """why the plan holds for the published numbers of a data set that is not there; empty if it is there"""

    @property
    def trainings(self) -> int:
        return sum(step.kind in ("pretrain", "train") for step in self.steps.values())

    @property
    def mask_epochs(self) -> int:
        """Epochs of the training set that all methods together may use to learn masks."""
        learning = (step for step in self.steps.values() if "train_loader" in step.params)
        return sum(step.params["method"]["options"][MASK_EPOCHS] for step in learning)

    @property
    def targets(self) -> set[str]:
        """The keys the results are read from."""
        return {key for arm in self.arms for key in (arm.train, arm.mask, arm.compare, arm.evaluate) if key}

    def __repr__(self) -> str:
        if any(step.kind == "prune" for step in self.steps.values()):
            return f"Plan: {len(self.steps)} steps for {len(self.arms)} arms, of which none trains"
        shared = self.trainings_requested - self.trainings
        more = f" ({shared} more without sharing)" if shared else ""
        return f"Plan: {self.trainings} trainings for {len(self.arms)} arms{more}, {len(self.steps)} steps"

    def _repr_html_(self) -> str:
        kinds = Counter(step.kind for step in self.steps.values())
        return html.table(repr(self), ("kind of step", "steps"), kinds.items())


@dataclass(frozen=True)
class Case:
    """One ticket to make: method, check (None for the clean arm), sparsity and seed."""

    method: ResolvedMethod
    check: ResolvedCheck | None
    sparsity: float
    seed: int

    @property
    def at(self) -> str | None:
        return self.check.plugin.at if self.check else None

    @property
    def corruption(self) -> ResolvedCheck | None:
        """The check, if it corrupts the training data."""
        return self.check if self.at == "batches" else None

    @property
    def what(self) -> str:
        check = self.check.label if self.check else CLEAN
        return f"{self.method.label} · {check} · {percent(self.sparsity)} · seed {self.seed}"


def make_plan(
    study: Study,
    seeds: Mapping[tuple[str, str], Iterable[int]] | None = None,
    *,
    train: bool = True,
    allow_absent: bool = False,
) -> Plan:
    """The plan of a study. ``seeds``: per (method label, check label) the seeds wanted, where they differ from the
    study's own; ``train=False`` stops at the masks of methods that need no training. ``allow_absent``: plan by the
    published numbers where the data are not there; such a plan has other keys and can only be looked at."""
    return _Planner(study, train, data_set_of(study, allow_absent=allow_absent)).plan(seeds or {})


def largest_seeds(study: Study, *, allow_absent: bool = False) -> dict[tuple[str, str], tuple[int, ...]]:
    """The seeds of every method and check at the last interim analysis: the largest an adaptive study can become."""
    seeds = tuple(range(study.max_seeds))
    return {
        (arm.method, arm.check): seeds
        for arm in make_plan(study, allow_absent=allow_absent).arms
        if arm.sparsity is not None
    }


class _Planner:
    def __init__(self, study: Study, train: bool, images: DataSet) -> None:
        self.study, self.train_tickets = study, train
        self.recipe = study.recipe
        spec, self.shape = images.spec, images.shape
        self.side = study.data.size or self.shape.size
        described: dict[str, Any] = {
            "name": spec.name,
            "size": spec.size,
            "train_size": spec.train_size,
            "test_size": spec.test_size,
            "fingerprint": images.fingerprint,
        } | {column: name for column, name in (("image", spec.image), ("label", spec.label)) if name is not None}
        if spec.is_streamed:
            described |= {"stream": True} if spec.stream else {}
            described |= {} if spec.center_crop is None else {"center_crop": spec.center_crop}
            described["decoder"] = data.decoder()
        self.model = models.canonical(study.model)
        self.cost = f"{self.model}@{self.side}/{study.device}"
        code = models.code_of(study.model, study.folder)
        self.network = {"model": self.model} | ({} if code is None else {"model_code": code})
        device = {"device": study.device}
        if study.device.startswith("cuda"):
            # Which of several equal cards computes a step changes no byte, but the model does.
            device = {"device": "cuda", "gpu": gpu_name(study.device)}
            self.cost = f"{self.model}@{self.side}/cuda {device['gpu']} {study.precision}"
        elif study.precision != "float32":
            self.cost += f" {study.precision}"
        if study.processes_per_training > 1:
            self.cost += f" x {study.processes_per_training}"
        self.base = {**self.network, "data": described, "task": study.task, **device}
        # Defaults are left out of the parameters, here and above, so that the keys of earlier results stay valid.
        is_default = study.precision == "float32" and not study.device.startswith("cuda")
        self.precision = {} if is_default else {"precision": study.precision}
        self.trained: dict[str, Any] = dict(self.precision)
        if study.processes_per_training > 1:
            whole = study.sync_batch_norm is not False
            self.trained |= {"processes": study.processes_per_training, "sync_batch_norm": whole}
        self.backend_at = cache(lambda sparsity: backend_of(study, self.side, sparsity))
        self.scoring = study.scoring.model_dump(exclude_none=True)
        self.also = {"also_prune": sorted(study.also_prune)} if study.also_prune else {}
        self.out = Plan(side=self.side, absent=images.absent)
        self.made: dict[Hashable, tuple[Any, int, int]] = {}

    def plan(self, seeds: Mapping[tuple[str, str], Iterable[int]]) -> Plan:
        first, methods = self.study.first_seeds(), resolved_methods(self.study)
        wanted = self.wanted(methods, seeds, first)
        clean: dict[str, tuple[ResolvedMethod, set[int]]] = {m.label: (m, set(first)) for m in methods}
        for method, _, chosen in wanted:
            clean.setdefault(method.label, (method, set()))[1].update(chosen)
        for (label, check_label), more in seeds.items():
            if check_label == CLEAN and label in clean:
                clean[label][1].update(more)
        if self.train_tickets:
            # Methods that prune trained networks train a dense one for each of their seeds anyway: it is reported too.
            pretrained = [every for method, every in clean.values() if method.plugin.when == "trained"]
            for seed in sorted(set(first).union(*pretrained)):
                self.dense_arm(DENSE, self.recipe, seed)
            for method, every in clean.values():
                for seed in sorted(every) if method.plugin.name == DENSE else ():
                    self.dense_arm(method.label, method.recipe, seed)
        for sparsity in self.study.sparsities:
            for method, every in clean.values():
                for seed in sorted(every) if self.takes_part(method) else ():
                    self.arm(Case(method, None, sparsity, seed))
            for method, check, chosen in wanted:
                for seed in chosen if self.takes_part(method) and check.applies_to(method) else ():
                    self.arm(Case(method, check, sparsity, seed))
        return self.out

    def wanted(
        self, methods: list[ResolvedMethod], seeds: Mapping[tuple[str, str], Iterable[int]], first: tuple[int, ...]
    ) -> list[tuple[ResolvedMethod, ResolvedCheck, tuple[int, ...]]]:
        """Every corrupted arm with its seeds, controls last."""
        checks = resolved_checks(self.study)
        pairs = [(m, c) for m in methods for c in checks if m.plugin.name != DENSE]
        # A control that the study names as well is one arm, not two.
        known = {(m.label, c.label) for m, c in pairs}
        pairs += [(m, c) for m, c in control_arms(self.study) if (m.label, c.label) not in known]
        wanted = []
        for m, c in pairs:
            usual = first if c.plugin.changes else first[:1]  # one seed is enough to see that equal is equal
            wanted.append((m, c, tuple(seeds.get((m.label, c.label), usual))))
        return wanted

    def takes_part(self, method: ResolvedMethod) -> bool:
        return method.plugin.name != DENSE and (self.train_tickets or not method.needs_training)

    def add(self, step: Step) -> str:
        self.out.requests += 1
        self.out.trainings_requested += step.kind in ("pretrain", "train")
        self.out.steps.setdefault(step.key, step)
        return step.key

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """The result of *make*, which adds steps to the plan. Later calls for the same *what* only count requests."""
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
        # A training image costs a forward and a backward pass: about three times the forward pass of a test image.
        return float((last - first) * (self.shape.n_train * 3 + self.shape.n_test))

    def dense_arm(self, label: str, recipe: Recipe, seed: int) -> None:
        train = self.pretrain(seed, None, recipe=recipe)
        self.out.arms.append(
            Arm(label, CLEAN, None, seed, train, evaluate=self.evaluate(train, seed, f"{label} · seed {seed}"))
        )

    def pretrain(
        self, seed: int, corruption: ResolvedCheck | None, until: int | None = None, recipe: Recipe | None = None
    ) -> str:
        """Dense training; ``until`` stops early on the same schedule (weights of another epoch than the recipe's k)."""
        recipe = recipe or self.recipe
        last = recipe.epochs if until is None else until
        return self.once((seed, corruption, last, recipe), lambda: self._pretrain(seed, corruption, last, recipe))

    def _pretrain(self, seed: int, corruption: ResolvedCheck | None, last: int, recipe: Recipe) -> str:
        params = {
            **self.base,
            **self.trained,
            "recipe": described(recipe),
            "seed": seed,
            "until": last,
        }
        title = f"pretrain · seed {seed}"
        if corruption is not None:
            params |= corrupted_training(corruption)
            title = f"pretrain · {corruption.label} · seed {seed}"
        return self.add(Step("pretrain", params, {}, title, f"train/{self.cost}", self.images(0, last)))

    def arm(self, case: Case) -> None:
        """One ticket, from pretraining to its trained accuracy."""
        if case.method.is_judged_as_trained:
            train, mask = self.dynamic(case)
            self.add_arm(case, train, mask, self.compare(case, "", mask))
            return
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
        self.add_arm(case, train, mask, compare)

    def add_arm(self, case: Case, train: str, mask: str, compare: str | None) -> None:
        evaluate = self.evaluate(train, case.seed, case.what) if train else None
        check = case.check.label if case.check else CLEAN
        self.out.arms.append(Arm(case.method.label, check, case.sparsity, case.seed, train, mask, compare, evaluate))

    def dynamic(self, case: Case) -> tuple[str, str]:
        """``(key of the training with a changing mask, key of its final mask)``. A check of masks or weights corrupts
        what the training starts from."""
        return self.once(("dynamic", case), lambda: self._dynamic(case))

    def _dynamic(self, case: Case) -> tuple[str, str]:
        start = case.method.initial
        # A check of the data concerns the start only where another method lends its counts.
        _, initial = self.rounds(replace(case, method=start, check=case.corruption if start.uses_data else None))
        begin = ("", "")
        if case.at == "masks":
            initial = self.corrupt(case, {"masks": initial})
        elif case.at == "weights":
            begin = (self.corrupt(case, {"masks": initial}), "start")
        own = {"method": case.method.mask_params, "sparsity": case.sparsity, **self.also}
        if case.check is not None and case.at == "updates":
            own["check"] = case.check.params
        train = self.train(case, case.sparsity, initial, begin, case.what, case.corruption, own=own)
        params = {**self.network, "shape": [self.shape.num_classes, self.shape.channels, self.side], **self.also}
        mask = self.add(Step("mask", params, {"trained": train}, f"mask · {case.what}", f"mask/{self.cost}"))
        return train, mask

    def rounds(self, case: Case) -> tuple[str, str]:
        """``(key of the weights last pruned, key of the final mask)``; the key is empty for initial weights. A check of
        masks or weights comes after them."""
        shared = case if case.at in ("batches", "scores", "updates") else replace(case, check=None)
        return self.once(shared, lambda: self._rounds(case))

    def _rounds(self, case: Case) -> tuple[str, str]:
        if case.method.plugin.when == "during":
            return "", self.dynamic(case)[1]
        trained = case.method.plugin.when == "trained"
        source = self.pretrain(case.seed, case.corruption) if trained else ""
        mask = ""
        targets = case.method.targets(case.sparsity)
        for n, target in enumerate(targets, 1):
            if n > 1 and trained:
                begin = self.start(case, source)
                what = f"{case.what} · round {n - 1}"
                source = self.train(case, targets[n - 2], mask, begin, what, case.corruption, between=n - 1)
            mask = self.mask(case, target, source, mask, round=n, last=n == len(targets))
        return source, mask

    def start(self, case: Case, source: str) -> tuple[str, str]:
        """``(key, file)`` of the weights the ticket starts from; an empty key means the initial weights."""
        plugin, k = case.method.plugin, case.method.rewind_epoch
        if plugin.rewind == "init" or plugin.when != "trained":
            return "", ""
        if plugin.rewind == "nothing":
            return source, "final"
        # The usual pretraining saves this epoch; any other needs a training that ends there.
        if k == self.recipe.rewind_epoch:
            return self.pretrain(case.seed, case.corruption), "rewind"
        return self.pretrain(case.seed, case.corruption, k), "final"

    def mask(self, case: Case, target: float, source: str, previous: str, *, round: int, last: bool) -> str:
        method, plugin = case.method, case.method.plugin
        inputs = {"previous": previous} if previous else {}
        if plugin.gives == "scores":
            scores = self.score(case, source, previous, round)
            inputs["scores"] = self.corrupt(case, {"scores": scores}) if last and case.at == "scores" else scores
        elif source:
            inputs["weights"] = source
        if method.counts_of is not None:
            # A check of the data corrupts all that is pruned from it, lent counts included; other checks leave the
            # lender as it is.
            lender = replace(case, method=method.counts_of, sparsity=target, check=case.corruption)
            inputs["counts"] = self.rounds(lender)[1]
        params = {
            **self.network,
            "shape": [self.shape.num_classes, self.shape.channels, self.side],
            "method": method.mask_params,
            "allocate": method.allocation_params,
            "sparsity": target,
            **self.also,
        }
        if self.study.preset is not None:
            params["preset"] = self.study.preset
            if (whole := preset_named(self.study.preset).whole.get(plugin.name)) is not None:
                params["whole"] = whole  # masks made before the preset named this method ranked these layers too
        if method.pattern is not None:
            params["pattern"] = method.pattern
        # A mask made from scores depends on them alone: without a seed in its key, equal scores share it.
        if plugin.gives == "masks":
            params |= {**self.base, "seed": case.seed, "label": method.label, "scoring": self.scoring}
            if case.corruption is not None:
                params["corruption"] = case.corruption.params
            if plugin.learns:
                params |= self.learning(case, round)
                return self.add(Step("mask", params, inputs, f"learn mask · {case.what}", *self.learning_cost(method)))
        return self.add(Step("mask", params, inputs, f"mask · {case.what}", f"mask/{self.cost}"))

    def learning(self, case: Case, round: int) -> dict[str, Any]:
        """Parameters of a step that learns a mask: batches of the training set, round, corruption."""
        recipe = self.recipe
        how = {name: getattr(recipe, name) for name in ("batch_size", "pad", "flip", "label_smoothing")}
        how |= {} if recipe.crop == "padded" else {name: getattr(recipe, name) for name in ("crop", "scale", "ratio")}
        corrupted = {} if case.corruption is None else corrupted_training(case.corruption)
        return {"train_loader": how} | corrupted | ({"round": round} if round > 1 else {})

    def learning_cost(self, method: ResolvedMethod) -> tuple[str, float]:
        """Cost class and units of a step that learns a mask."""
        # a training image costs a forward and a backward pass, and nothing is evaluated
        return f"learn/{self.cost}/{method.plugin.name}", float(method.mask_epochs * self.shape.n_train * 3)

    def score(self, case: Case, source: str, previous: str, round: int) -> str:
        """One score serves every sparsity, unless the method asks for the sparsity."""
        sparsity = case.sparsity if "sparsity" in case.method.plugin.asks else None
        asked = (case.method, case.corruption, case.seed, sparsity, source, previous)
        return self.once(asked, lambda: self._score(case, source, previous, round))

    def _score(self, case: Case, source: str, previous: str, round: int) -> str:
        plugin = case.method.plugin
        params = {
            **self.base,
            **self.also,
            "method": case.method.score_params,
            "label": case.method.label,
            "seed": case.seed,
        }
        how = self.study.scoring
        if {"batches", "loss"} & set(plugin.asks):
            params["scoring"] = self.scoring
            if case.corruption is not None:
                params["corruption"] = case.corruption.params
        if scoring_for(self.study.preset, plugin.name) != Scoring():  # the published code scores a different network
            params["preset"] = self.study.preset
        if "sparsity" in plugin.asks:
            params["sparsity"] = case.sparsity
        inputs = ({"weights": source} if source else {}) | ({"previous": previous} if previous else {})
        units = how.samples_per_class * how.batches * (how.classes or self.shape.num_classes) * 4.0
        if plugin.learns:
            params |= self.learning(case, round)
            return self.add(
                Step("score", params, inputs, f"learn scores · {case.what}", *self.learning_cost(case.method))
            )
        return self.add(
            Step("score", params, inputs, f"score · {case.what}", f"score/{plugin.name}/{self.cost}", units)
        )

    def corrupt(self, case: Case, inputs: dict[str, str], file: str = "") -> str:
        assert case.check is not None
        params = {
            **self.base,
            **self.also,
            "check": case.check.params,
            "seed": case.seed,
            "purpose": [case.method.label, percent(case.sparsity)],
            "file": file,
        }
        pattern = case.method.pattern_in_masks
        if pattern is not None and "patterns" in case.check.plugin.asks:
            params["pattern"] = pattern
        return self.add(Step("corrupt", params, inputs, f"corrupt · {case.what}", f"corrupt/{self.cost}"))

    def train(
        self,
        case: Case,
        sparsity: float,
        mask: str,
        begin: tuple[str, str],
        what: str,
        corruption: ResolvedCheck | None = None,
        between: int = 0,
        own: Mapping[str, Any] | None = None,
    ) -> str:
        """The training of a ticket or, after round *between*, of the weights that the next round prunes; with *own*,
        the parameters of the updates, one that changes its mask.

        ``sparsity``: that of *mask*; ``corruption``: a check of the data, which affects only what a method prunes.
        Each round has order and augmentation of its own, as if training had gone on for that long.
        """
        recipe = case.method.recipe
        first = case.method.rewind_epoch if case.method.plugin.retrain == "rest" else 0
        params = {
            **self.base,
            **self.trained,
            "recipe": described(recipe),
            "seed": case.seed,
            "first": first,
        }
        params["file"] = begin[1]
        cost_class = f"train/{self.cost}"
        backend = self.backend_at(sparsity)
        if backend is not None:
            params["backend"] = backend
            cost_class += f"/{backend.partition('/')[0]} {percent(sparsity)}"
        if corruption is not None:
            params |= corrupted_training(corruption)
        if between:
            params["round"] = between
        params |= own or {}
        inputs = {"masks": mask} | ({"start": begin[0]} if begin[0] else {})
        return self.add(Step("train", params, inputs, f"train · {what}", cost_class, self.images(first, recipe.epochs)))

    def evaluate(self, train: str, seed: int, what: str) -> str | None:
        """What accuracy does not say of a trained network; None where the study is judged by accuracy, which every
        training measures itself."""
        if self.study.metric == "accuracy":
            return None
        params = {**self.base, **self.precision, "seed": seed}
        units = float(self.shape.n_test)
        return self.add(
            Step("evaluate", params, {"weights": train}, f"evaluate · {what}", f"evaluate/{self.cost}", units)
        )

    def compare(self, case: Case, clean: str, corrupted: str) -> str | None:
        """The mask tier: overlap of the corrupted mask with the clean one, compared with chance."""
        if case.check is None or case.at == "weights":
            return None
        if case.at in ("batches", "scores", "updates") or case.method.is_judged_as_trained:
            _, clean = self.rounds(replace(case, check=None))
        inputs = {"clean": clean, "corrupted": corrupted}
        return self.add(Step("compare", {}, inputs, f"compare · {case.what}", f"compare/{self.cost}"))


def corrupted_training(corruption: ResolvedCheck) -> dict[str, Any]:
    """Parameters of a training on corrupted data."""
    fixed = corruption.plugin.orders and corruption.options.get("shuffle") is False
    return {"corruption": corruption.params} | ({"shuffle": False} if fixed else {})


@lru_cache
def described(recipe: Recipe) -> dict[str, Any]:
    return recipe.to_dict()
