"""Rows in, the verdict of a study out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, variance

import numpy as np

from prunecheck.statistics.analysis import Analysis, analyse
from prunecheck.statistics.comparisons import judge_comparisons
from prunecheck.statistics.controls import plain_answer
from prunecheck.statistics.describe import describe_cell, describe_mean
from prunecheck.statistics.futility import is_futile
from prunecheck.statistics.inference import latest
from prunecheck.statistics.layout import Documents, Layout
from prunecheck.statistics.methods import Table, judge_method, tabulate, undecided
from prunecheck.statistics.origin import origin_record
from prunecheck.statistics.outcome import Answer, Cell, CheckVerdict, ComparisonVerdict, MarginCurve, StudyVerdict
from prunecheck.statistics.procedure import Flags, members
from prunecheck.statistics.roles import RANDOM_TICKET, role
from prunecheck.statistics.rows import CLEAN, Row
from prunecheck.statistics.sentences import banner, check_sentence, study_notes
from prunecheck.statistics.settings import MIN_SEEDS, Settings
from prunecheck.statistics.variance import Noise


def judge(
    rows: Iterable[Row],
    *,
    study: str = "study",
    settings: Settings | None = None,
    documents: Documents | None = None,
) -> StudyVerdict:
    """Judge a study. The order of rows and exact duplicates change nothing. Raises StudyError for contradictions.

    *documents*: (method, check, sparsity, seed) of every pruned row -> the metric of each document, whose mean is the
    row's. Documents then are a source of noise beside the seeds: verdicts hold for other documents, too.
    """
    rows, settings = tuple(rows), settings or Settings()
    analysis = analyse(rows, settings, documents)
    layout, table = analysis.layout, tabulate(analysis)
    checks = _checks(analysis, table)
    comparisons = judge_comparisons(analysis)
    leads = _leads(comparisons)
    return StudyVerdict(
        study=study,
        margin=analysis.margin.points,
        margin_rule=analysis.margin.rule,
        alpha=settings.alpha,
        looks=layout.analyses if settings.design == "sequential" else (),
        dense_accuracy=fmean(layout.dense) if layout.dense else None,
        n_test=layout.n_test,
        methods=tuple(judge_method(analysis, table, checks, leads.get(name), name) for name in table.methods),
        checks=checks,
        controls=analysis.controls.records,
        banner=banner(analysis.controls),
        notes=study_notes(analysis),
        comparisons=comparisons,
        design=settings.design,
        seed_sd=_seed_sd(layout),
        metric=settings.metric,
        origin=origin_record(rows, settings),
    )


def open_checks(verdict: StudyVerdict) -> frozenset[tuple[str, str]]:
    """The (method, check) pairs that need more seeds; of an open comparison the two clean arms, (method, "clean")."""
    checks = {(check.method, check.check) for check in verdict.checks if check.open}
    arms = {(name, CLEAN) for one in verdict.comparisons if one.open for name in (one.first, one.second)}
    return frozenset(checks | arms)


def exit_code(verdict: StudyVerdict) -> int:
    """0 every method passes, 1 some method fails, 4 neither. References and controls count only where alone; where
    there are only comparisons, a method that is not better fails."""
    judged = [method for method in verdict.methods if method.role is None] or verdict.methods
    answers: set[str] = {method.verdict for method in judged}
    if not judged:
        words = {"BETTER": "PASSES", "NOT BETTER": "FAILS", "WORSE": "FAILS"}
        answers = {words.get(one.verdict, one.verdict) for one in verdict.comparisons}
    if "FAILS" in answers:
        return 1
    return 0 if answers == {"PASSES"} else 4


def _leads(comparisons: Sequence[ComparisonVerdict]) -> dict[str, Cell]:
    """The lead of each method over the random ticket."""
    found = {one.first: one.pooled for one in comparisons if one.second == RANDOM_TICKET}
    return {method: cell for method, cell in found.items() if cell is not None}


def _seed_sd(layout: Layout) -> float | None:
    """Pooled standard deviation of the clean arms between seeds, in points."""
    arms = [
        [run.score(layout.settings.metric) for run in arm.values()] for arm in layout.clean.values() if len(arm) > 1
    ]
    dof = sum(len(arm) - 1 for arm in arms)
    return math.sqrt(sum((len(arm) - 1) * variance(arm) for arm in arms) / dof) if dof else None


def _checks(analysis: Analysis, table: Table) -> tuple[CheckVerdict, ...]:
    layout, alpha = analysis.layout, analysis.layout.settings.alpha
    cells = [_cells(analysis, j) for j in range(len(layout.checks))]
    answers = [_answer(analysis, j, parts) for j, parts in enumerate(cells)]
    found, excluded = analysis.checks.found_below(alpha), analysis.checks.excluded_above(alpha)
    short = undecided(analysis, table)
    hopeless = _hopeless(analysis, table)
    verdicts = []
    for j, (method, check) in enumerate(layout.checks):
        pooled = describe_mean(analysis, j, answers[j])
        part = role(method, check, layout.settings)
        everywhere = all(cell.verdict == "DOES NOT DEPEND" for cell in cells[j])
        curve = None
        if part in (None, "positive") and pooled is not None:
            low, high = float(found[j]), float(excluded[j])
            curve = MarginCurve(low, max(low, high), analysis.guarded_below(j))
        more = _is_wanted(analysis, table, short, j, cells[j], answers) and _more_could_help(analysis, j)
        sentence = check_sentence(analysis, j, answers[j], cells[j], pooled, is_stopped=bool(more and hopeless[j]))
        verdicts.append(
            CheckVerdict(
                method=method,
                check=check,
                verdict=answers[j],
                sentence=sentence,
                cells=cells[j],
                pooled=pooled,
                everywhere=answers[j] == "DOES NOT DEPEND" and everywhere,
                open=more and not hopeless[j],
                control=part,
                curve=curve,
            )
        )
    return tuple(verdicts)


def _hopeless(analysis: Analysis, table: Table) -> Flags:
    """Which checks (checks,) are unlikely to be decided by the last analysis; controls are never stopped for that."""
    layout, checks, margin = analysis.layout, analysis.checks, analysis.margin.points
    alpha = layout.settings.alpha
    ordinary = np.array([role(*check, layout.settings) is None for check in layout.checks], dtype=bool)
    if layout.settings.design == "fixed" or not layout.checks:
        return np.zeros(len(layout.checks), dtype=bool)
    share = checks.looks.calibration
    required = {name: int(table.required[m].sum()) for m, name in enumerate(table.methods)}
    fails = np.array([alpha / max(required[method], 1) for method, _ in layout.checks])
    depends = alpha / members(checks.cells.above(margin))
    cells, mean = (Noise(*(latest(part) for part in seen)) for seen in (checks.cells.looks.seen, checks.looks.seen))
    futile = is_futile(cells, mean, layout.analyses, margin, depends * share, fails * share)
    return np.asarray(futile & ordinary)


def _is_wanted(
    analysis: Analysis, table: Table, short: Flags, j: int, cells: Sequence[Cell], answers: Sequence[Answer]
) -> bool:
    """Whether a verdict still lacks something, so that more seeds would be used."""
    method, check = analysis.layout.checks[j]
    part = role(method, check, analysis.layout.settings)
    if part == "aa":
        return any(cell.n < MIN_SEEDS for cell in cells)
    if part == "planted":
        return any(cell.verdict == "INCONCLUSIVE" for cell in cells)
    wanted = bool(short[table.methods.index(method), table.names.index(check)])
    return wanted or (part == "positive" and _guard_wanted(analysis, j, answers))


def _cells(analysis: Analysis, j: int) -> tuple[Cell, ...]:
    return tuple(describe_cell(analysis, place) for place in sorted(analysis.layout.slots) if place[1] == j)


def _answer(analysis: Analysis, j: int, cells: Sequence[Cell]) -> Answer:
    alpha, margin = analysis.layout.settings.alpha, analysis.margin.points
    answers = {cell.verdict for cell in cells}
    if answers == {"UNINFORMATIVE"} or role(*analysis.layout.checks[j], analysis.layout.settings) == "identity":
        order: tuple[Answer, ...] = ("DOES NOT DEPEND", "INCONCLUSIVE", "UNINFORMATIVE")
        return next(answer for answer in reversed(order) if answer in answers)
    if analysis.checks.depends(margin)[j] <= alpha:
        return "DEPENDS"
    if analysis.checks.fails(margin)[j] <= alpha:
        guarded: dict[str, Answer] = {"unhurt": "UNINFORMATIVE", "open": "INCONCLUSIVE"}
        return guarded.get(analysis.guard(j), "DOES NOT DEPEND")
    return "INCONCLUSIVE"


def _guard_wanted(analysis: Analysis, j: int, answers: Sequence[Answer]) -> bool:
    """Whether a positive control is undecided at a sparsity where some method may need it to say "no drop"."""
    layout = analysis.layout
    needy = any(
        name == layout.checks[j][1]
        and method != RANDOM_TICKET
        and role(method, name, layout.settings) is None
        and answer != "DEPENDS"
        for (method, name), answer in zip(layout.checks, answers, strict=True)
    )
    places = [place for place in layout.slots if place[1] == j]
    cells, margin = analysis.checks.cells, analysis.margin.points
    return needy and any(plain_answer(layout, cells, margin, place) == "INCONCLUSIVE" for place in places)


def _more_could_help(analysis: Analysis, j: int) -> bool:
    """Whether another analysis is to come, and there will be something to analyse."""
    layout = analysis.layout
    if layout.settings.design == "fixed" or role(*layout.checks[j], layout.settings) == "identity":
        return False
    slots = {place: slot for place, slot in layout.slots.items() if place[1] == j}
    before_last = layout.analyses[-2] if len(layout.analyses) > 1 else 0
    was_last = any(layout.ranks[s.method][seed] >= before_last for s in slots.values() for seed in s.judged)
    hopeless = all(
        slot.gate.state in ("refused", "collapsed") or place[0] in analysis.controls.invalid
        for place, slot in slots.items()
    )
    return not was_last and not hopeless
