"""Verdicts from published means and spreads, unpaired: for tables whose runs are not at hand.

Cells are tested by Welch's test (``welch``). Over sparsities the arms may share seeds in any way, so nothing is
averaged: a check matters where one sparsity says so after Bonferroni, and does not matter where every sparsity says so
(an intersection-union test, Berger 1982). Methods then follow from their checks as in a study with runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np

from prunecheck.errors import StudyError
from prunecheck.statistics.gates import collapse_line
from prunecheck.statistics.margin import Margin, note_on_test_set, settle_margin
from prunecheck.statistics.outcome import (
    Answer,
    Cell,
    CheckVerdict,
    ComparisonAnswer,
    ComparisonVerdict,
    Control,
    MarginCurve,
    MethodAnswer,
    MethodVerdict,
    StudyVerdict,
)
from prunecheck.statistics.procedure import holm
from prunecheck.statistics.roles import RANDOM_TICKET, role
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.statistics.sentences import CHANCE_UNKNOWN
from prunecheck.statistics.settings import AA_ALPHA, Settings
from prunecheck.statistics.summaries import Summary
from prunecheck.statistics.welch import Difference, difference, floor_sd
from prunecheck.text import listing, percent, printable, signed

MARK = "(summary, unpaired)"
NOTE = (
    f"{MARK}: judged from means and spreads by Welch's test, because the table has no single runs. Pairs of runs would "
    "show a difference with fewer seeds, and rare bad runs cannot be seen in a mean."
)

Arms = Mapping[tuple[str, str, float], Summary]


@dataclass(frozen=True)
class _Tested:
    """One clean arm against one other: two sided p values at the margin, before any control has its say."""

    sparsity: float
    first: Summary
    second: Summary
    difference: Difference
    is_collapsed: bool

    def above(self, margin: float) -> float:
        return 1.0 if self.is_collapsed else self.difference.p_above(margin)

    def below(self, margin: float) -> float:
        return 1.0 if self.is_collapsed else self.difference.p_below(margin)

    def answer(self, margin: float, alpha: float) -> Answer:
        if self.is_collapsed:
            return "UNINFORMATIVE"
        if self.above(margin) <= alpha:
            return "DEPENDS"
        return "DOES NOT DEPEND" if self.below(margin) <= alpha else "INCONCLUSIVE"


def judge_summaries(
    summaries: Iterable[Summary], *, study: str = "study", settings: Settings | None = None
) -> StudyVerdict:
    """Judge a table of means and spreads. Raises StudyError where there is nothing to compare, or no margin."""
    return _Judge(tuple(summaries), study, settings or Settings()).verdict()


class _Judge:
    def __init__(self, summaries: Sequence[Summary], study: str, settings: Settings) -> None:
        if settings.design != "fixed":
            raise StudyError("a table of means cannot be judged as a sequential study: leave looks out.")
        self.study, self.settings, self.alpha = study, settings, settings.alpha
        self.arms: Arms = {one.place: one for one in summaries if one.sparsity is not None}
        dense = [one for one in summaries if one.method == DENSE]
        sizes = sorted({one.n_test for one in summaries})
        if len(sizes) > 1:
            raise StudyError(f"the test set changed size between rows ({sizes}): accuracies cannot be compared.")
        self.n_test = sizes[0]
        runs = [one.mean / 100 for one in dense for _ in range(one.n)]
        self.dense = fmean(runs) if runs else None
        self.margin: Margin = settle_margin(
            runs, self.n_test, chance=settings.chance, override=settings.margin, was=settings.margin_was
        )
        if settings.margin_rule:
            self.margin = self.margin._replace(rule=settings.margin_rule)
        self.line = collapse_line(settings.chance, self.n_test, self.dense)
        self.checks = sorted({(method, check) for method, check, _ in self.arms if check != CLEAN})
        self.cells = {(m, c): self._tested((m, c), (m, CLEAN)) for m, c in self.checks}
        self.pairs = self._pairs()
        if not self.checks and not self.pairs:
            raise StudyError(
                f"nothing to judge: no row with a check other than {CLEAN!r}, and no two methods to compare."
            )

    def verdict(self) -> StudyVerdict:
        controls = self._controls()
        invalid = {one.sparsity for one in controls if one.role == "aa" and one.status == "failed"}
        checks = tuple(self._check(pair, invalid) for pair in self.checks)
        names = sorted({check.method for check in checks})
        broken = next((one.sentence for one in controls if one.role == "aa" and one.status == "failed"), None)
        return StudyVerdict(
            study=self.study,
            margin=self.margin.points,
            margin_rule=self.margin.rule,
            alpha=self.alpha,
            looks=(),
            dense_accuracy=self.dense,
            n_test=self.n_test,
            methods=tuple(self._method(name, checks) for name in names),
            checks=checks,
            controls=controls,
            banner=broken,
            notes=self._notes(),
            comparisons=tuple(self._comparison(*pair) for pair in self.pairs),
            basis="summaries",
        )

    def _notes(self) -> tuple[str, ...]:
        small_test_set = note_on_test_set(self.margin, self.n_test, by_hand=self.settings.margin_by_hand)
        unknown_chance = "" if self.settings.chance else CHANCE_UNKNOWN
        return tuple(filter(None, (NOTE, small_test_set, unknown_chance)))

    def _tested(self, arm: tuple[str, str], clean: tuple[str, str]) -> tuple[_Tested, ...]:
        """The arm *clean* minus *arm* at every sparsity where both are there."""
        tested = []
        for method, check, sparsity in sorted(self.arms):
            first = self.arms.get((*clean, sparsity))
            if (method, check) == arm and first is not None:
                second = self.arms[method, check, sparsity]
                collapsed = max(first.mean, second.mean) / 100 <= self.line
                tested.append(_Tested(sparsity, first, second, difference(first, second), collapsed))
        return tuple(tested)

    def _pairs(self) -> list[tuple[str, str]]:
        methods = sorted({method for method, check, _ in self.arms if check == CLEAN})
        if self.settings.compare is None:
            others = {RANDOM_TICKET, self.settings.positive_control}
            usual = [(one, RANDOM_TICKET) for one in methods if one not in others and RANDOM_TICKET in methods]
            return [pair for pair in usual if self._tested((pair[1], CLEAN), (pair[0], CLEAN))]
        for pair in self.settings.compare:
            for name in pair:
                if name not in methods:
                    there = ", ".join(printable(one) for one in methods)
                    raise StudyError(f"compare: there is no clean arm of {printable(name)!r}. There are: {there}.")
            if not self._tested((pair[1], CLEAN), (pair[0], CLEAN)):
                raise StudyError(f"compare: {pair[0]} and {pair[1]} have no sparsity in common.")
        return list(self.settings.compare)

    def _guard(self, method: str, check: str, sparsity: float) -> Answer | None:
        """What the positive control says of this check at this sparsity; None where it was not run."""
        control = self.settings.positive_control
        cells = self.cells.get((control or "", check), ())
        if role(method, check, self.settings) not in (None, "positive"):
            return None
        return next((one.answer(self.margin.points, self.alpha) for one in cells if one.sparsity == sparsity), None)

    def _check(self, pair: tuple[str, str], invalid: set[float | None]) -> CheckVerdict:
        method, check = pair
        tested = self.cells[pair]
        valid = [one for one in tested if one.sparsity not in invalid]
        margin = self.margin.points
        cells = tuple(self._cell(one, *self._allowed(one, pair, invalid)) for one in tested)
        depends, fails = self._p(valid, margin)
        answers = {cell.verdict for cell in cells}
        answer: Answer = "INCONCLUSIVE"
        if answers == {"UNINFORMATIVE"}:
            answer = "UNINFORMATIVE"
        elif depends <= self.alpha:
            answer = "DEPENDS"
        elif fails <= self.alpha:
            guarded = {self._guard(method, check, one.sparsity) for one in valid}
            answer = "DOES NOT DEPEND" if guarded <= {None, "DEPENDS"} else "INCONCLUSIVE"
            if guarded == {"DOES NOT DEPEND"}:
                answer = "UNINFORMATIVE"
        what = f"{printable(method)} x {printable(check)}: {answer}."
        reason = "; ".join(f"{percent(cell.sparsity)}: {_numbers(cell)}" for cell in cells)
        if answer == "DOES NOT DEPEND" and all(self._guard(method, check, one.sparsity) is None for one in valid):
            reason = f"(unguarded) {reason}"
        return CheckVerdict(
            method=method,
            check=check,
            verdict=answer,
            sentence=f"{what} {MARK} {reason}.",
            cells=cells,
            pooled=None,
            everywhere=answer == "DOES NOT DEPEND",
            open=False,
            control=role(method, check, self.settings),
            curve=self._curve(valid),
        )

    def _p(self, tested: Sequence[_Tested], margin: float) -> tuple[float, float]:
        """p of "at some sparsity the drop exceeds the margin" and of "at every sparsity it is below the margin"."""
        if not tested:
            return 1.0, 1.0
        above = min(1.0, len(tested) * min(one.above(margin) for one in tested))
        return above, max(one.below(margin) for one in tested)

    def _curve(self, tested: Sequence[_Tested]) -> MarginCurve | None:
        usable = [one for one in tested if not one.is_collapsed]
        if not usable or len(usable) < len(tested):
            return None
        lows = [one.difference.bounds(self.alpha / len(usable))[0] for one in usable]
        return MarginCurve(max(lows), max(one.difference.bounds(self.alpha)[1] for one in usable))

    def _allowed(self, one: _Tested, pair: tuple[str, str], invalid: set[float | None]) -> tuple[Answer, str]:
        """The answer of a cell, and why it is not the one its numbers alone would give."""
        answer = one.answer(self.margin.points, self.alpha)
        if one.is_collapsed:
            return answer, f"both arms are at most at {100 * self.line:.1f}%, where a network has learned nothing"
        if one.sparsity in invalid:
            return "UNINFORMATIVE", "the A/A control failed at this sparsity"
        guard = self._guard(*pair, one.sparsity)
        if answer != "DOES NOT DEPEND" or guard in (None, "DEPENDS"):
            return answer, ""
        control = self.settings.positive_control
        if guard == "DOES NOT DEPEND":
            return "UNINFORMATIVE", f"the positive control {control} is not hurt either"
        return "INCONCLUSIVE", f"the positive control {control} is not shown to be hurt yet"

    def _cell(self, one: _Tested, answer: Answer | ComparisonAnswer, why: str) -> Cell:
        found, margin = one.difference, self.margin.points
        low, high = found.bounds(self.alpha)
        notes = [why] if why else []
        for arm in (one.first, one.second):
            if arm.n < 2:
                notes.append(f"{arm}: one run has no spread")
            elif arm.sd is None:
                notes.append(f"{arm}: no spread given")
        runs = (one.first.n, one.second.n)
        sd = found.error * math.sqrt(min(runs)) if found.is_known else math.nan
        cell = Cell(
            sparsity=one.sparsity,
            verdict=answer,
            n=min(runs),
            mean_drop=found.mean,
            low=low,
            high=high,
            margin=margin,
            p_depends=one.above(margin),
            p_not=one.below(margin),
            sd=sd,
            borrowed_sd=sd,
            d0=0.0,
            floor_sd=math.hypot(floor_sd(one.first), floor_sd(one.second)),
            break_even=margin - found.mean,
            seeds_needed=None,
            win_share=math.nan,
            differences={},
            sentence="",
            notes=tuple(notes),
        )
        return _with_sentence(cell, one)

    def _method(self, method: str, checks: Sequence[CheckVerdict]) -> MethodVerdict:
        mine = [check for check in checks if check.method == method and check.control in (None, "positive")]
        asked = self.settings.required_checks
        mine = [check for check in mine if asked is None or check.check in asked]
        p = [self._p(self.cells[c.method, c.check], self.margin.points) for c in mine]
        fails = [one[1] if c.verdict == "DOES NOT DEPEND" else 1.0 for c, one in zip(mine, p, strict=True)]
        failed = np.asarray(holm(np.array([fails])))[0] <= self.alpha if mine else np.array([])
        names = tuple(check.check for check, is_failed in zip(mine, failed, strict=True) if is_failed)
        answer: MethodAnswer = "INCONCLUSIVE"
        if names:
            answer = "FAILS"
        elif mine and all(check.verdict == "DEPENDS" for check in mine):
            answer = "PASSES"
        elif mine and all(check.verdict in ("DEPENDS", "UNINFORMATIVE") for check in mine):
            answer = "UNINFORMATIVE"
        name = printable(method)
        open_ones = [printable(check.check) for check in mine if check.verdict not in ("DEPENDS", "DOES NOT DEPEND")]
        words, reasons = [f"{name}: {answer}.", MARK], []
        if names:
            words.append(f"It does not depend on what {listing([*map(printable, names)])} destroys.")
        elif answer == "PASSES":
            words.append(f"It depends on what {listing([c.check for c in mine])} destroys.")
        elif open_ones:
            words.append(f"Not decided: {listing(open_ones)}.")
        elif any(check.verdict == "DOES NOT DEPEND" for check in mine):
            reasons = [f"No check alone decides after the correction for {len(mine)} checks."]
        part: Literal["reference", "positive"] | None = "reference" if method == RANDOM_TICKET else None
        if method == self.settings.positive_control:
            part = "positive"
        sentence = " ".join((*words, *reasons))
        return MethodVerdict(method, answer, sentence, names, role=part, reasons=tuple(reasons))

    def _comparison(self, first: str, second: str) -> ComparisonVerdict:
        tested = self._tested((second, CLEAN), (first, CLEAN))
        mirrored = self._tested((first, CLEAN), (second, CLEAN))
        margin = self.margin.points
        better, not_better = self._p(tested, margin)
        worse, not_worse = self._p(mirrored, margin)
        answer: ComparisonAnswer = "INCONCLUSIVE"
        if better <= self.alpha and worse > self.alpha:
            answer = "BETTER"
        elif worse <= self.alpha and better > self.alpha:
            answer = "WORSE"
        elif not_better <= self.alpha:
            answer = "NOT BETTER"
        cells = tuple(
            self._cell(one, _comparison_answer(one, other, margin, self.alpha), "")
            for one, other in zip(tested, mirrored, strict=True)
        )
        reason = "; ".join(f"{percent(cell.sparsity)}: {_numbers(cell)}" for cell in cells)
        names = f"{printable(first)} against {printable(second)}"
        empty = MarginCurve(-math.inf, math.inf)
        return ComparisonVerdict(
            first=first,
            second=second,
            verdict=answer,
            sentence=f"{names}: {answer}. {MARK} Lead in points, {reason}.",
            cells=cells,
            pooled=None,
            equivalent=not_better <= self.alpha and not_worse <= self.alpha,
            open=False,
            curve=self._curve(tested) or empty,
            reverse=self._curve(mirrored) or empty,
        )

    def _controls(self) -> tuple[Control, ...]:
        found = []
        for (method, check), tested in self.cells.items():
            part = role(method, check, self.settings)
            for one in tested if part in ("aa", "positive") else ():
                where = f"{printable(method)} x {printable(check)} at {percent(one.sparsity)}"
                drop = f"mean drop {signed(one.difference.mean)} points {MARK}"
                answer = one.answer(self.margin.points, self.alpha)
                if part == "aa":
                    p = min(one.difference.p_above(0.0), one.difference.p_below(0.0))
                    bad = p <= AA_ALPHA / 2
                    said = "where by construction there is none" if bad else "no difference seen"
                    found.append(
                        Control(
                            "aa",
                            method,
                            check,
                            one.sparsity,
                            "failed" if bad else "ok",
                            f"A/A: {where}: {drop}, {said}.",
                        )
                    )
                elif answer == "DEPENDS":
                    found.append(
                        Control("positive", method, check, one.sparsity, "ok", f"Control: {where}: {drop}: ok.")
                    )
                else:
                    status: Literal["failed", "weak"] = "failed" if answer == "DOES NOT DEPEND" else "weak"
                    said = "shown not to be hurt" if status == "failed" else "not shown to be hurt yet"
                    found.append(
                        Control("positive", method, check, one.sparsity, status, f"Control: {where}: {drop}, {said}.")
                    )
        control = self.settings.positive_control
        if control and self.checks and not any(one.role == "positive" for one in found):
            text = f"No positive control was run ({control}): whether these arms could have shown a drop is unknown."
            found.append(Control("positive", control, "", None, "missing", text))
        return tuple(found)


def _comparison_answer(one: _Tested, other: _Tested, margin: float, alpha: float) -> ComparisonAnswer:
    if one.above(margin) <= alpha:
        return "BETTER"
    if other.above(margin) <= alpha:
        return "WORSE"
    return "NOT BETTER" if one.below(margin) <= alpha else "INCONCLUSIVE"


def _numbers(cell: Cell) -> str:
    """``+0.20 [-0.61, +1.01] from 3 and 3 runs``; the runs stand in the sentence of the cell."""
    bounds = f" [{signed(cell.low)}, {signed(cell.high)}]" if math.isfinite(cell.low) else " (no spread)"
    why = f" ({cell.notes[0]})" if cell.notes else ""
    return f"{signed(cell.mean_drop)}{bounds}{why}"


def _with_sentence(cell: Cell, one: _Tested) -> Cell:
    sentence = (
        f"{cell.verdict} {MARK}: {one.first.mean:.2f} minus {one.second.mean:.2f} is {_numbers(cell)} points, from "
        f"{one.first.n} and {one.second.n} runs; margin {cell.margin:.2f}."
    )
    return replace(cell, sentence=sentence)
