"""The whole of it: rows in, a study's verdict out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from prunecheck.statistics.case import Case, weigh
from prunecheck.statistics.controls import plain_answer
from prunecheck.statistics.describe import describe_cell, describe_mean
from prunecheck.statistics.methods import judge_method, tabulate, undecided
from prunecheck.statistics.outcome import Answer, Cell, CheckVerdict, StudyVerdict
from prunecheck.statistics.roles import RANDOM_TICKET, role
from prunecheck.statistics.rows import Row
from prunecheck.statistics.sentences import banner, check_sentence, study_notes
from prunecheck.statistics.settings import Settings
from prunecheck.statistics.tables import read_rows


def verdict(source: str | Path | Iterable[Mapping[str, Any] | Row], margin: float | None = None) -> StudyVerdict:
    """Judge results from a CSV file or a list of dicts. *margin*: points of accuracy, None = by rule.

    Raises StudyError where the rows are no results, or where there is neither a margin nor a dense run.
    """
    name = Path(source).stem if isinstance(source, str | Path) else "study"
    return judge(read_rows(source), study=name, settings=Settings(margin=margin))


def judge(rows: Iterable[Row], *, study: str = "study", settings: Settings | None = None) -> StudyVerdict:
    """Judge a study. The order of rows and exact duplicates change nothing. Raises StudyError for contradictions."""
    settings = settings or Settings()
    case = weigh(rows, settings)
    checks = _checks(case)
    table = tabulate(case)
    layout = case.layout
    return StudyVerdict(
        study=study,
        margin=case.margin.points,
        margin_rule=case.margin.rule,
        alpha=settings.alpha,
        looks=tuple(look.n for look in layout.looks),
        dense_accuracy=fmean(layout.dense) if layout.dense else None,
        n_test=layout.n_test,
        methods=tuple(judge_method(case, table, checks, method) for method in table.methods),
        checks=checks,
        controls=case.controls.records,
        banner=banner(case.controls),
        notes=study_notes(case),
    )


def open_checks(verdict: StudyVerdict) -> frozenset[tuple[str, str]]:
    """The (method, check) pairs whose verdict more seeds could still settle."""
    return frozenset((check.method, check.check) for check in verdict.checks if check.open)


def exit_code(verdict: StudyVerdict) -> int:
    """0 every method passes, 1 some method fails, 4 neither. References and controls count only where alone."""
    judged = [method for method in verdict.methods if method.role is None] or verdict.methods
    answers = {method.verdict for method in judged}
    if "FAILS" in answers:
        return 1
    return 0 if answers == {"PASSES"} else 4


def _checks(case: Case) -> tuple[CheckVerdict, ...]:
    layout = case.layout
    table = tabulate(case)
    cells = [_cells(case, j) for j in range(len(layout.checks))]
    answers = [_answer(case, j, parts) for j, parts in enumerate(cells)]
    verdicts = []
    for j, (method, check) in enumerate(layout.checks):
        pooled = describe_mean(layout, case.checks, case.margin.points, j, answers[j])
        part = role(method, check, layout.settings)
        wanted = undecided(case, table, j)
        if part in ("aa", "planted"):
            wanted = any(cell.verdict == "INCONCLUSIVE" for cell in cells[j])
        elif part == "positive":
            wanted = wanted or _guard_wanted(case, j, answers)
        everywhere = all(cell.verdict == "DOES NOT DEPEND" for cell in cells[j])
        verdicts.append(
            CheckVerdict(
                method=method,
                check=check,
                verdict=answers[j],
                sentence=check_sentence(case, j, answers[j], cells[j], pooled),
                cells=cells[j],
                pooled=pooled,
                everywhere=answers[j] == "DOES NOT DEPEND" and everywhere,
                open=wanted and _more_could_help(case, j),
                control=part,
            )
        )
    return tuple(verdicts)


def _cells(case: Case, j: int) -> tuple[Cell, ...]:
    return tuple(
        describe_cell(case.layout, case.cells, case.controls, case.margin.points, place)
        for place in sorted(case.layout.slots)
        if place[1] == j
    )


def _answer(case: Case, j: int, cells: Sequence[Cell]) -> Answer:
    alpha = case.layout.settings.alpha
    answers = {cell.verdict for cell in cells}
    if answers == {"UNINFORMATIVE"} or role(*case.layout.checks[j], case.layout.settings) == "identity":
        return max(answers, key=("DOES NOT DEPEND", "INCONCLUSIVE", "UNINFORMATIVE").index)
    if case.checks.depends[j] <= alpha:
        return "DEPENDS"
    if case.checks.fails[j] <= alpha:
        return "DOES NOT DEPEND" if case.informative(j) else "UNINFORMATIVE"
    return "INCONCLUSIVE"


def _guard_wanted(case: Case, j: int, answers: Sequence[Answer]) -> bool:
    """Whether a positive control is undecided at a sparsity where some method may need it to say "no drop"."""
    layout = case.layout
    needy = any(
        name == layout.checks[j][1]
        and method != RANDOM_TICKET
        and role(method, name, layout.settings) is None
        and answer != "DEPENDS"
        for (method, name), answer in zip(layout.checks, answers, strict=True)
    )
    places = [place for place in layout.slots if place[1] == j]
    return needy and any(plain_answer(layout, case.cells, place) == "INCONCLUSIVE" for place in places)


def _more_could_help(case: Case, j: int) -> bool:
    """Whether another look is to come, and there will be something to look at."""
    layout = case.layout
    if layout.settings.fixed_n or role(*layout.checks[j], layout.settings) == "identity":
        return False
    slots = {place: slot for place, slot in layout.slots.items() if place[1] == j}
    before_last = layout.looks[-2].n if len(layout.looks) > 1 else 0
    looked_last = any(layout.ranks[s.method][seed] >= before_last for s in slots.values() for seed in s.judged)
    hopeless = all(
        slot.gate.state in ("refused", "collapsed") or place[0] in case.controls.invalid
        for place, slot in slots.items()
    )
    return not looked_last and not hopeless
