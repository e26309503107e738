"""Verdicts of methods, from the p values of their checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from prunecheck.statistics.analysis import Analysis
from prunecheck.statistics.outcome import Cell, CheckVerdict, MarginCurve, MethodAnswer, MethodVerdict
from prunecheck.statistics.procedure import Flags, checks_failed, decided, methods_pass
from prunecheck.statistics.roles import RANDOM_TICKET, role
from prunecheck.statistics.sentences import held_back, lead_below_margin, method_reasons, method_sentence
from prunecheck.statistics.settings import Settings
from prunecheck.statistics.variance import Array


class Table(NamedTuple):
    """The checks of a study as arrays (methods, checks), NaN where a method lacks a check.

    p that the check matters; p that it does not, 1 where that could not have been seen or where the check is shown to
    matter at one sparsity (``fails``) and regardless (``unguarded``); whether the method's verdict rests on it.
    """

    methods: tuple[str, ...]
    names: tuple[str, ...]
    depends: Array
    fails: Array
    unguarded: Array
    required: Flags


def tabulate(analysis: Analysis) -> Table:
    """Sort the checks of a study by method and name. No method is required to pass the study's own controls."""
    layout, settings, margin = analysis.layout, analysis.layout.settings, analysis.margin.points
    methods = tuple(sorted({method for method, _ in layout.checks}))
    names = tuple(sorted({check for _, check in layout.checks} | set(settings.required_checks or ())))
    depends, fails, unguarded = (np.full((len(methods), len(names)), np.nan) for _ in range(3))
    p_depends, p_fails = analysis.checks.depends(margin), analysis.checks.fails(margin)
    for j, (method, check) in enumerate(layout.checks):
        at = methods.index(method), names.index(check)
        depends[at], unguarded[at] = p_depends[j], p_fails[j]
        could_be_seen = analysis.guard(j) in ("none", "hurt")
        fails[at] = p_fails[j] if could_be_seen and p_depends[j] > settings.alpha else 1.0
    wanted = np.isfinite(depends) if settings.required_checks is None else np.isin(names, settings.required_checks)
    own = [[role(method, check, settings) in (None, "positive") for check in names] for method in methods]
    required = np.array(own, dtype=bool).reshape(depends.shape) & wanted
    return Table(methods, names, depends, fails, unguarded, required)


def undecided(analysis: Analysis, table: Table) -> Flags:
    """Which checks (methods, checks) are still short of what their methods need of them."""
    alpha, family = analysis.layout.settings.alpha, analysis.layout.settings.family
    failed = checks_failed(table.fails, table.required, alpha, family)
    return ~decided(table.depends, table.unguarded, failed, table.required, alpha, family)


def judge_method(
    analysis: Analysis, table: Table, checks: Sequence[CheckVerdict], lead: Cell | None, method: str
) -> MethodVerdict:
    """The verdict of one method over the checks required of it. *lead*: over the random ticket, where known."""
    settings, m = analysis.layout.settings, table.methods.index(method)
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
        notes.append("reference: the other methods are compared with it; it is not under test itself")
    elif method == settings.positive_control:
        part = "positive"
        notes.append("positive control: known to depend, it shows what this study can find")
    lacking = [name for name in needed if name not in {check.check for check in mine}]
    if lacking:
        notes.append(f"not run: {', '.join(lacking)}")
    if lead is not None and lead.high < analysis.margin.points and part is None:
        notes.append(lead_below_margin(lead))
    place = {check: j for j, (one, check) in enumerate(analysis.layout.checks) if one == method}
    held = {
        check.check: held_back(analysis, place[check.check], check.pooled)
        for check in mine
        if check.verdict == "INCONCLUSIVE"
    }
    reasons = method_reasons(answer, names, needed, mine, _level(table, settings, m), held)
    return MethodVerdict(
        method,
        answer,
        method_sentence(method, answer, needed, mine, reasons),
        names,
        tuple(notes),
        part,
        _curve(analysis, table, method) if needed else None,
        reasons,
    )


def _level(table: Table, settings: Settings, m: int) -> float:
    """The level at which one check must not depend for its method to fail: the first step of Holm."""
    checks = max(int(table.required[m].sum()), 1)
    methods = max(int(table.required.any(axis=-1).sum()), 1) if settings.family == "study" else 1
    return settings.alpha / (checks * methods)


def _curve(analysis: Analysis, table: Table, method: str) -> MarginCurve:
    """The method passes below the smallest margin at which some check is lost, and fails above that of the first.

    Exact for ``family`` "method": failing needs one check at the first step of Holm. For "study" both steps are those
    of the first of Holm's steps, which is what a single method can rely on.
    """
    settings, layout, m = analysis.layout.settings, analysis.layout, table.methods.index(method)
    level = _level(table, settings, m)
    methods = max(int(table.required.any(axis=-1).sum()), 1) if settings.family == "study" else 1
    found = analysis.checks.found_below(settings.alpha / methods)
    excluded = np.maximum(analysis.checks.excluded_above(level), analysis.checks.found_below(settings.alpha))
    low, high, guard = math.inf, math.inf, math.inf
    for name, is_needed in zip(table.names, table.required[m], strict=True):
        if not is_needed:
            continue
        j = layout.checks.index((method, name)) if (method, name) in layout.checks else None
        low = min(low, float(found[j]) if j is not None else -math.inf)
        if j is not None and excluded[j] < high:
            high, guard = float(excluded[j]), analysis.guarded_below(j)
    return MarginCurve(low, max(high, low), guard)
