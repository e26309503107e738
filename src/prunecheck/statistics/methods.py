"""Verdicts of methods, from the p values of their checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from prunecheck.statistics.case import Case
from prunecheck.statistics.outcome import CheckVerdict, MethodAnswer, MethodVerdict
from prunecheck.statistics.procedure import Flags, checks_failed, methods_pass, settled
from prunecheck.statistics.roles import RANDOM_TICKET, role
from prunecheck.statistics.sentences import method_sentence
from prunecheck.statistics.variance import Array


class Table(NamedTuple):
    """The checks of a study as arrays (methods, checks), NaN where a method lacks a check.

    p that the check matters; p that it does not, 1 where that could not have been seen (``fails``) and regardless
    (``unguarded``); whether the method's verdict rests on it.
    """

    methods: tuple[str, ...]
    names: tuple[str, ...]
    depends: Array
    fails: Array
    unguarded: Array
    required: Flags


def tabulate(case: Case) -> Table:
    """Sort the checks of a study by method and name. Controls of the study itself are required of nobody."""
    layout, settings = case.layout, case.layout.settings
    methods = tuple(sorted({method for method, _ in layout.checks}))
    names = tuple(sorted({check for _, check in layout.checks} | set(settings.required_checks or ())))
    depends, fails, unguarded = (np.full((len(methods), len(names)), np.nan) for _ in range(3))
    for j, (method, check) in enumerate(layout.checks):
        at = methods.index(method), names.index(check)
        depends[at] = case.checks.depends[j]
        unguarded[at] = case.checks.fails[j]
        fails[at] = case.checks.fails[j] if case.informative(j) else 1.0
    asked = np.isfinite(depends) if settings.required_checks is None else np.isin(names, settings.required_checks)
    own = [[role(method, check, settings) in (None, "positive") for check in names] for method in methods]
    required = np.array(own) & asked
    return Table(methods, names, depends, fails, unguarded, required)


def undecided(case: Case, table: Table, j: int) -> bool:
    """Whether a check is still short of what its method needs of it."""
    settings = case.layout.settings
    method, check = case.layout.checks[j]
    done = settled(table.depends, table.unguarded, table.required, settings.alpha, settings.family)
    return not done[table.methods.index(method), table.names.index(check)]


def judge_method(case: Case, table: Table, checks: Sequence[CheckVerdict], method: str) -> MethodVerdict:
    """The verdict of one method over the checks required of it."""
    settings, m = case.layout.settings, table.methods.index(method)
    passes = methods_pass(table.depends, table.required, settings.alpha, settings.family)[m]
    failed = checks_failed(table.fails, table.required, settings.alpha, settings.family)[m]
    names = tuple(name for name, is_failed in zip(table.names, failed, strict=True) if is_failed)
    needed = tuple(name for name, is_needed in zip(table.names, table.required[m], strict=True) if is_needed)
    mine = [check for check in checks if check.method == method and check.check in needed]
    answer: MethodAnswer = "INCONCLUSIVE"
    if names:
        answer = "FAILS"
    elif passes:
        answer = "PASSES"
    elif len(mine) == len(needed) and all(check.verdict in ("DEPENDS", "UNINFORMATIVE") for check in mine):
        answer = "UNINFORMATIVE"
    part: Literal["reference", "positive"] | None = None
    notes = []
    if method == RANDOM_TICKET:
        part = "reference"
        notes.append("reference: a random ticket is what the others are compared with, not a method on trial")
    elif method == settings.positive_control:
        part = "positive"
        notes.append("positive control: known to depend, it shows what this study can find")
    lacking = [name for name in needed if name not in {check.check for check in mine}]
    if lacking:
        notes.append(f"not run: {', '.join(lacking)}")
    return MethodVerdict(
        method, answer, method_sentence(method, answer, names, needed, mine), names, tuple(notes), part
    )
