"""Progress of a study, from the store and the results folder: nothing is trained or written. Does not import torch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from prunecheck.runner.estimate import Estimate
from prunecheck.runner.interim_analyses import InterimAnalysis, ReadOnly, Unfinished, unfinished_steps
from prunecheck.runner.records import foreign_results
from prunecheck.runner.step_results import StepResults
from prunecheck.runner.tasks import task_of
from prunecheck.runner.workspace import Workspace
from prunecheck.statistics import CheckVerdict, StudyVerdict
from prunecheck.statistics.roles import role
from prunecheck.statistics.rows import CLEAN
from prunecheck.store import Damaged, Holder
from prunecheck.study import AnyStudy
from prunecheck.study.plan import Plan
from prunecheck.study.step import KINDS, Step
from prunecheck.text import duration, printable

State = Literal["not begun", "unfinished", "running", "finished", "failed"]
"""``failed``: everything is done but the steps that failed and those that need them"""
TRIES = 3
"""how often to read again when a damaged artefact is moved to quarantine"""


@dataclass(frozen=True)
class KindStatus:
    """Steps of one kind: ``done + running + failed + waiting == all``. ``waiting``: no process works on them."""

    kind: str
    all: int
    done: int
    running: int
    failed: int
    waiting: int


@dataclass(frozen=True)
class RunningStep:
    """A step that a process works on, for ``seconds``; ``process`` and ``host`` are None where they are not known."""

    key: str
    kind: str
    title: str
    seconds: float
    process: int | None
    host: str | None


@dataclass(frozen=True)
class CheckStatus:
    """A method under a check at the latest complete interim analysis.

    ``verdict``: None while it is open; ``seeds``: pairs that are there at every sparsity; ``next_look``: seeds at the
    next interim analysis, None if the verdict is final.
    """

    method: str
    check: str
    verdict: str | None
    seeds: int
    next_look: int | None


@dataclass(frozen=True, repr=False)
class Status:
    """``seconds_left``: about, for the current interim analysis, on the running (or possible) workers. ``measured``:
    whether that rests on earlier timings. ``page``: None where no report was written yet."""

    study: str
    state: State
    kinds: tuple[KindStatus, ...]
    running: tuple[RunningStep, ...]
    failed: tuple[str, ...]
    seconds_left: float
    measured: bool
    checks: tuple[CheckStatus, ...]
    is_adaptive: bool
    store: Path
    folder: Path
    page: Path | None
    note: str = ""
    """why the results in ``folder`` are not this study's, where they are another's; ``page`` is None then"""

    @property
    def done(self) -> int:
        """Finished steps."""
        return sum(kind.done for kind in self.kinds)

    @property
    def steps(self) -> int:
        """Steps of the current interim analysis, finished or not."""
        return sum(kind.all for kind in self.kinds)

    @property
    def is_over(self) -> bool:
        """Whether the status is final."""
        return self.state in ("finished", "failed")

    @property
    def next(self) -> Literal["run", "wait", "report", "read"]:
        """What to do now. ``report``: everything is there but the page."""
        if self.state == "finished":
            return "read" if self.page else "report"
        return "wait" if self.state == "running" else "run"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "schema_version": 1,
            **asdict(self),
            "seconds_left": round(self.seconds_left, 1),
            "running": [asdict(step) | {"seconds": round(step.seconds, 1)} for step in self.running],
            "store": str(self.store),
            "folder": str(self.folder),
            "page": str(self.page) if self.page else None,
            "done": self.done,
            "steps": self.steps,
            "next": self.next,
        }

    def __str__(self) -> str:
        return text(self)

    __repr__ = __str__


def study_status(study: AnyStudy, workspace: Workspace, workers: int, results: StepResults | None = None) -> Status:
    """The progress of *study*. ``workers``: how many could be at work, for the time left; ``results``: kept by a
    caller that asks repeatedly."""
    results = results or StepResults(workspace.store)
    for _ in range(TRIES - 1):
        try:
            return _status(study, workspace, workers, results)
        except Damaged:
            continue
    return _status(study, workspace, workers, results)


def _status(study: AnyStudy, workspace: Workspace, workers: int, results: StepResults) -> Status:
    verdict = None
    for analysis in task_of(study).analyses(study, workspace, results, ReadOnly(), write_margin=False):
        if analysis.complete:
            verdict = analysis.verdict
    unfinished = unfinished_steps(analysis.plan, workspace)
    if unfinished.is_final:
        verdict = analysis.verdict
    held = workspace.store.holders()
    running = {key: running_step(step, held[key]) for key, step in unfinished.missing.items() if key in held}
    page, note = workspace.folder / "index.html", foreign_results(workspace.folder, study)
    estimate = Estimate(workspace.store)
    todo = [step for key, step in unfinished.missing.items() if key not in unfinished.blocked]
    return Status(
        study=study.name,
        state=_state(analysis.plan, unfinished, running),
        kinds=_kinds(analysis.plan, unfinished, running),
        running=tuple(running.values()),
        failed=tuple(unfinished.failed.values()),
        seconds_left=_seconds_left(todo, running, estimate, workers),
        measured=estimate.is_measured(todo),
        checks=_checks(analysis, verdict),
        is_adaptive=study.seeds == "auto",
        store=workspace.store.root,
        folder=workspace.given,
        page=workspace.shown(page) if page.is_file() and not note else None,
        note=note,
    )


def running_step(step: Step, holder: Holder) -> RunningStep:
    """A step that *holder* is computing."""
    since = max(0.0, time.time() - holder.since)
    return RunningStep(step.key, step.kind, step.title, since, holder.process, holder.host)


def _state(plan: Plan, unfinished: Unfinished, running: Mapping[str, RunningStep]) -> State:
    if not unfinished.missing:
        return "finished"
    if running:
        return "running"
    if unfinished.is_final:
        return "failed"
    return "not begun" if len(unfinished.missing) == len(plan.steps) else "unfinished"


def _kinds(plan: Plan, unfinished: Unfinished, running: Mapping[str, RunningStep]) -> tuple[KindStatus, ...]:
    """In the order of the plan. A step without artefact counts as done if no other step needs it any more."""
    every = Counter(str(step.kind) for step in plan.steps.values())
    missing = Counter(str(step.kind) for step in unfinished.missing.values())
    at_work = Counter(step.kind for step in running.values())
    failed = Counter(str(unfinished.missing[key].kind) for key in unfinished.failed if key not in running)
    return tuple(
        KindStatus(
            kind,
            count,
            count - missing[kind],
            at_work[kind],
            failed[kind],
            missing[kind] - at_work[kind] - failed[kind],
        )
        for kind, count in every.items()
    )


def _seconds_left(todo: Iterable[Step], running: Mapping[str, RunningStep], estimate: Estimate, workers: int) -> float:
    """The finished part of running steps is subtracted."""
    left = 0.0
    for step in todo:
        seconds = estimate.seconds(step)
        left += max(0.0, seconds - running[step.key].seconds) if step.key in running else seconds
    return left / max(1, len(running) or workers)


def _checks(analysis: InterimAnalysis, verdict: StudyVerdict | None) -> tuple[CheckStatus, ...]:
    """One entry per method and check; the progress of a pair is that of its slowest sparsity."""
    wanted = _seeds((arm.method, arm.check, arm.sparsity, arm.seed) for arm in analysis.plan.arms)
    there = _seeds((row["method"], row["check"], row["sparsity"], row["seed"]) for row in analysis.rows)
    judged = {(check.method, check.check): check for check in verdict.checks} if verdict else {}
    pairs: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for (method, check, sparsity), seeds in wanted.items():
        if check != CLEAN and role(method, check, analysis.settings) != "identity":
            both = there.get((method, check, sparsity), set()) & there.get((method, CLEAN, sparsity), set())
            pairs.setdefault((method, check), []).append((len(both), len(seeds)))
    return tuple(_check(pair, *min(cells), judged.get(pair)) for pair, cells in pairs.items())


def _check(pair: tuple[str, str], have: int, wanted: int, judged: CheckVerdict | None) -> CheckStatus:
    if judged is not None and not judged.open:
        return CheckStatus(*pair, judged.verdict, have, None)
    return CheckStatus(*pair, None, have, wanted)


def _seeds(arms: Iterable[tuple[str, str, float | None, int]]) -> dict[tuple[str, str, float | None], set[int]]:
    found: dict[tuple[str, str, float | None], set[int]] = {}
    for method, check, sparsity, seed in arms:
        found.setdefault((method, check, sparsity), set()).add(seed)
    return found


FEW = 8
"""how many steps under way, or failed, are named"""


def text(status: Status, command: str = "") -> str:
    """One line for each figure and a table of methods and checks. ``command``: what to type next, if known."""
    facts = [("study", status.study), ("state", sentence(status))]
    facts += [(KINDS[kind.kind], _kind(kind)) for kind in status.kinds]
    facts += _named("running", [_running(step) for step in status.running])
    facts += _named("failed", list(status.failed))
    if status.kinds and not status.is_over:
        facts.append(("time left", time_left(status)))
    facts += [("results", _results_line(status)), ("store", str(status.store))]
    if command:
        facts.append(("next", command))
    return "\n".join([*_columns(facts), *_table(status.checks)])


def sentence(status: Status) -> str:
    """The progress in one line."""
    count = f"{status.done} of {status.steps} steps"
    more = ", more where a verdict stays open" if status.is_adaptive and not status.is_over else ""
    return f"{status.state}, {count}{more}"


def time_left(status: Status) -> str:
    """``about 3 min 12 s, from earlier timings``."""
    sure = "from earlier timings" if status.measured else "a rough guess: no such training was timed on this machine"
    return f"about {duration(status.seconds_left, whole_seconds=True)}, {sure}"


def _results_line(status: Status) -> str:
    return str(
        status.page or (f"none of this study in {status.folder}: {status.note}" if status.note else "none written yet")
    )


def _kind(kind: KindStatus) -> str:
    parts = [(kind.running, "running"), (kind.failed, "failed"), (kind.waiting, "to do")]
    return ", ".join([f"{kind.done} of {kind.all}", *(f"{count} {word}" for count, word in parts if count)])


def _running(step: RunningStep) -> str:
    who = f", process {step.process} on {step.host}" if step.process and step.host else ""
    return f"{step.title}: for {duration(step.seconds, whole_seconds=True)}{who}"


def _named(word: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    shown = [*lines[:FEW], *([f"and {len(lines) - FEW} more"] if len(lines) > FEW else [])]
    return [(word if i == 0 else "", line) for i, line in enumerate(shown)]


def _table(checks: Sequence[CheckStatus]) -> list[str]:
    if not checks:
        return []
    return ["", *_columns([("method", "check", "verdict", "seeds"), *map(_row, checks)])]


def _row(check: CheckStatus) -> tuple[str, str, str, str]:
    if check.next_look is None:
        return check.method, check.check, (check.verdict or "").lower(), str(check.seeds)
    return check.method, check.check, "open", f"{check.seeds}, judged at {check.next_look}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    texts = [[printable(value, 4000) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in texts) for i in range(len(texts[0]))]
    return ["  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)).rstrip() for row in texts]
