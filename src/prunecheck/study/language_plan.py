"""The plan of a study of a language model: the dense model once, one pruning for each arm and draw.

A pruning walks the blocks and evaluates every document in one step, since the pruned weights of all arms together
would fill a disk; it leaves the mask and the likelihood of each document. No step trains.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from prunecheck.data.documents import Document, fingerprint, read_documents
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.study.gpus import gpu_name
from prunecheck.study.language_arms import (
    ResolvedCorruption,
    ResolvedPruning,
    control_corruptions,
    corruptions,
    prunings,
)
from prunecheck.study.language_study import LanguageFiles, LanguageStudy
from prunecheck.study.plan import Arm, Plan
from prunecheck.study.step import Step
from prunecheck.text import percent


def files_of(study: LanguageStudy) -> LanguageFiles:
    """Where the model and every text that the study names are."""
    named = [study.data.calibration, study.data.evaluation, *(one.text for one in corruptions(study) if one.text)]
    texts = {fingerprint(documents(study, text)): (study.place(text), study.data.field) for text in named}
    return LanguageFiles(study.model_choice, texts)


MEMORY_OF_MODEL = 3
"""times its weights that a worker may take: the model, the masks, the inputs and statistics of a block"""


def most_in_memory(study: object) -> int:
    """How many workers fit into three quarters of the machine's memory; no limit for other studies than these."""
    no_limit = 1_000_000
    if not isinstance(study, LanguageStudy) or not (size := study.model_choice.bytes) or not hasattr(os, "sysconf"):
        return no_limit
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, memory * 3 // 4 // (MEMORY_OF_MODEL * size))


def documents(study: LanguageStudy, text: str) -> tuple[Document, ...]:
    """The documents under a path of the study file."""
    return read_documents(study.place(text), study.data.field)


def make_plan(
    study: LanguageStudy,
    _seeds: Mapping[tuple[str, str], Iterable[int]] | None = None,
    *,
    train: bool = True,
    allow_absent: bool = False,
) -> Plan:
    """See ``prunecheck.study.make_plan``. Text and model have to be there: nothing is known of them otherwise."""
    del allow_absent
    planner = _Planner(study)
    return planner.plan(dense=train)


class _Planner:
    def __init__(self, study: LanguageStudy) -> None:
        self.study, self.out = study, Plan()
        self.fingerprint = cache(lambda text: fingerprint(documents(study, text)))
        device = {"device": study.device}
        if study.device.startswith("cuda"):
            device = {"device": "cuda", "gpu": gpu_name(study.device)}
        precision = {} if study.precision == "float32" else {"precision": study.precision}
        self.base = {"model": study.model_choice.identity(), "task": study.task, **device, **precision}
        data = study.data
        self.calibration = {
            "fingerprint": self.fingerprint(data.calibration),
            "sequences": data.sequences,
            "length": data.length,
        }
        self.evaluation = {
            "fingerprint": self.fingerprint(data.evaluation),
            "documents": data.documents,
            "tokens": data.tokens,
            "window": data.window or data.length,
        }
        self.cost = f"{Path(study.model).name}/{study.device}/{data.sequences}x{data.length}"

    def plan(self, *, dense: bool) -> Plan:
        if dense:
            calibration = {"fingerprint": self.calibration["fingerprint"]}
            params = {**self.base, "calibration": calibration, "evaluation": self.evaluation}
            step = Step("likelihood", params, {}, "evaluate · dense", f"likelihood/{self.cost}")
            self.out.arms.append(Arm(DENSE, CLEAN, None, self.study.draws[0], self.add(step)))
        checks = [*corruptions(self.study), *control_corruptions(self.study)]
        for sparsity in self.study.sparsities:
            for method in prunings(self.study):
                applying = [one for one in checks if not one.why_not(method)]
                for check in (None, *applying):
                    for seed in self.study.draws:
                        self.arm(method, check, sparsity, seed)
        return self.out

    def arm(self, method: ResolvedPruning, check: ResolvedCorruption | None, sparsity: float, seed: int) -> None:
        pruned, compare = self.prune(method, check, sparsity, seed), None
        if check is not None and check.at != "weights":
            inputs = {"clean": self.prune(method, None, sparsity, seed), "corrupted": pruned}
            title = f"compare · {_what(method, check, sparsity, seed)}"
            compare = self.add(Step("compare", {}, inputs, title, f"compare/{self.cost}"))
        label = check.label if check else CLEAN
        self.out.arms.append(Arm(method.label, label, sparsity, seed, pruned, compare=compare))

    def prune(self, method: ResolvedPruning, check: ResolvedCorruption | None, sparsity: float, seed: int) -> str:
        params: dict[str, Any] = {**self.base, "evaluation": self.evaluation, "method": method.params}
        params["sparsity"] = sparsity
        if self.study.also_prune:
            params["also_prune"] = sorted(set(self.study.also_prune))
        if method.reads_text:
            params["calibration"] = self.calibration
        # without a draw in the key, all draws of a method that draws nothing share one pruning
        if method.draws or check is not None:
            params["seed"] = seed
        if check is not None:
            params["check"] = check.params
            if check.text is not None:
                params["other_text"] = self.fingerprint(check.text)
        title = f"prune · {_what(method, check, sparsity, seed)}"
        return self.add(Step("prune", params, {}, title, f"prune/{method.plugin.name}/{self.cost}"))

    def add(self, step: Step) -> str:
        self.out.requests += 1
        self.out.steps.setdefault(step.key, step)
        return step.key


def _what(method: ResolvedPruning, check: ResolvedCorruption | None, sparsity: float, seed: int) -> str:
    return f"{method.label} · {check.label if check else CLEAN} · {percent(sparsity)} · draw {seed}"
