"""Reproducibility check: recompute a random sample of a study's steps and compare every byte.

Equal keys promise equal bytes; this tests it on the user's own machine.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.pruning.seeds import stream
from prunecheck.runner.engine import Outcome, execute
from prunecheck.runner.estimate import Estimate
from prunecheck.runner.progress import Progress
from prunecheck.runner.records import check_folder, write_verification
from prunecheck.runner.study_run import worker_config
from prunecheck.runner.workspace import Workspace
from prunecheck.store import Damaged, Store
from prunecheck.study import AnyStudy, largest_seeds, make_plan
from prunecheck.study.step import Step
from prunecheck.text import printable


@dataclass(frozen=True)
class Rerun:
    """The outcome of a second computation. ``present``: finished steps of the study; ``equal`` and ``different``: of
    those computed again, titles of steps in the order of the plan; ``failed``: title -> why there was no second
    result."""

    present: int
    equal: tuple[str, ...]
    different: tuple[str, ...]
    failed: Mapping[str, str]
    seed: int

    @property
    def ok(self) -> bool:
        return not self.different and not self.failed

    @property
    def sentence(self) -> str:
        again = len(self.equal) + len(self.different) + len(self.failed)
        head = f"{again} of {self.present} steps computed again (drawn with seed {self.seed})"
        if self.ok:
            return f"{head}: all equal, byte for byte"
        return f"{head}: {len(self.different)} different, {len(self.failed)} failed"

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "ok": self.ok,
            "steps": self.present,
            "equal": list(self.equal),
            "different": list(self.different),
            "failed": dict(self.failed),
            "seed": self.seed,
        }


def parse_share(text: str) -> float:
    """A share in (0, 1] from ``5%`` or ``0.05``. Raises StudyError."""
    try:
        share = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise StudyError(f"--rerun {printable(text, 20)}: write a share of the steps, from above 0 to 100%, e.g. 5%.")
    return share


def rerun(study: AnyStudy, workspace: Workspace, share: float, seed: int, workers: int, progress: Progress) -> Rerun:
    """Compute ``share`` (in (0, 1], at least one step) of what the store holds of *study* again, in a separate
    store, from the inputs the study used. The outcome is written into the study's folder, where the report finds it.

    Raises StudyError if nothing of the study is in the store, or if the folder holds the results of another study.
    """
    check_folder(workspace.folder, study)
    steps = make_plan(study).steps | make_plan(study, largest_seeds(study)).steps
    absent = workspace.store.missing(steps)
    present = {key: step for key, step in steps.items() if key not in absent}
    if not present:
        raise StudyError(f"study {study.name!r} has no results in {workspace.store.root} yet: run it first.")
    chosen = _drawn(present, share, seed)
    with tempfile.TemporaryDirectory(prefix="prunecheck-rerun-") as folder:
        scratch = Store.open(Path(folder) / "store")
        damaged = _lend_inputs(chosen, workspace.store, scratch)
        todo = {key: step for key, step in chosen.items() if key not in damaged}
        outcome = _compute(study, todo, scratch, workers, Estimate(workspace.store), progress)
        found = _compare(chosen, workspace.store, scratch, damaged, outcome, len(present), seed)
    write_verification(workspace.folder, {**found.to_dict(), "keys": sorted(chosen)})
    return found


def _drawn(steps: Mapping[str, Step], share: float, seed: int) -> dict[str, Step]:
    """A random share of *steps*, the same for the same steps and seed."""
    keys = sorted(steps)
    some = stream(seed, "rerun").choice(len(keys), size=math.ceil(share * len(keys)), replace=False)
    wanted = {keys[i] for i in some}
    return {key: step for key, step in steps.items() if key in wanted}


def _lend_inputs(chosen: Mapping[str, Step], source: Store, scratch: Store) -> dict[str, str]:
    """Copy the inputs of the chosen steps. Returns the steps whose inputs are damaged or gone, and why."""
    unusable = {}
    for key, step in chosen.items():
        for parent in set(step.inputs.values()) - chosen.keys():
            try:
                if not scratch.has(parent):
                    scratch.commit(parent, {name: source.read(parent, name) for name in source.names(parent)})
            except Damaged as error:
                unusable[key] = f"its input: {error}"
    return unusable


def _compute(
    study: AnyStudy, steps: Mapping[str, Step], scratch: Store, workers: int, estimate: Estimate, progress: Progress
) -> Outcome:
    config = worker_config(study, scratch)
    with progress.phase(steps.values(), estimate.seconds, workers) as tick:
        return execute(steps, config, workers, estimate.seconds, tick)


def _compare(
    chosen: Mapping[str, Step],
    kept: Store,
    scratch: Store,
    unusable: Mapping[str, str],
    outcome: Outcome,
    present: int,
    seed: int,
) -> Rerun:
    reasons = dict(unusable) | {failure.step.key: failure.reason for failure in outcome.failures}
    equal, different, failed = [], [], {}
    for key, step in chosen.items():
        if not scratch.has(key):
            failed[step.title] = reasons.get(key, "a step it needs failed")
        elif kept.has(key) and kept.fault_of(key) is None and kept.entries(key) == scratch.entries(key):
            equal.append(step.title)
        else:
            different.append(step.title)
    return Rerun(present, tuple(equal), tuple(different), failed, seed)
