"""The status of a study in plain aligned text."""

from __future__ import annotations

from collections.abc import Sequence

from prunecheck.runner.estimate import spoken
from prunecheck.runner.kinds import KINDS
from prunecheck.runner.status import CheckStatus, KindStatus, RunningStep, Status
from prunecheck.text import printable

FEW = 8
"""how many steps under way, or failed, are named"""


def text(status: Status, command: str = "") -> str:
    """Facts, a line each, and a table of methods and checks. ``command``: what to type next, where that is known."""
    facts = [("study", status.study), ("state", sentence(status))]
    facts += [(KINDS[kind.kind], _kind(kind)) for kind in status.kinds]
    facts += _named("running", [_running(step) for step in status.running])
    facts += _named("failed", list(status.failed))
    if status.kinds and not status.is_over:
        facts.append(("time left", time_left(status)))
    facts += [("results", str(status.page or "none written yet")), ("store", str(status.store))]
    if command:
        facts.append(("next", command))
    return "\n".join([*_columns(facts), *_table(status.checks)])


def sentence(status: Status) -> str:
    """How far it is, in one line."""
    count = f"{status.done} of {status.steps} steps"
    more = ", more where a verdict stays open" if status.is_adaptive and not status.is_over else ""
    return f"{status.state}, {count}{more}"


def time_left(status: Status) -> str:
    """``about 3 min 12 s, from earlier timings``."""
    sure = "from earlier timings" if status.measured else "a rough guess: nothing like it was timed here"
    return f"about {spoken(status.seconds_left)}, {sure}"


def _kind(kind: KindStatus) -> str:
    parts = [(kind.running, "running"), (kind.failed, "failed"), (kind.waiting, "to do")]
    return ", ".join([f"{kind.done} of {kind.all}", *(f"{count} {word}" for count, word in parts if count)])


def _running(step: RunningStep) -> str:
    who = f", process {step.process} on {step.host}" if step.process and step.host else ""
    return f"{step.title}: for {spoken(step.seconds)}{who}"


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
