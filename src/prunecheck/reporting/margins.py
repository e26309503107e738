"""Margin curves: the verdict of every check, method and comparison as a function of the margin."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from prunecheck.reporting.charts import short, tag, words
from prunecheck.reporting.text import STYLES
from prunecheck.statistics.outcome import INSTRUMENT_CONTROLS, MarginCurve, StudyVerdict
from prunecheck.statistics.rows import Unit
from prunecheck.text import listing, printable, signed

WIDTH, HEIGHT = 1000, 18
TEST_EXAMPLES = 5


@dataclass(frozen=True)
class Segment:
    """The verdict at margins from ``low`` to ``high`` (points; ``high`` can be infinite)."""

    answer: str
    low: float
    high: float


@dataclass(frozen=True)
class MarginLine:
    """One line of the section. ``label`` names the check (or the comparison); ``text`` says what is drawn."""

    label: str
    segments: tuple[Segment, ...]
    drawing: str
    text: str


@dataclass(frozen=True)
class MarginGroup:
    """The lines of one method. ``lead`` over the random ticket, in points; None where it was not compared."""

    method: str
    lead: float | None
    lines: tuple[MarginLine, ...]


@dataclass(frozen=True)
class Tick:
    """A margin worth comparing with, in points."""

    name: str
    points: float
    css: str


@dataclass(frozen=True)
class MarginAxis:
    """Margins from 0 to ``high``: even below the fixed margin, logarithmic far above it, as for the drops."""

    margin: float
    high: float

    def place(self, points: float) -> float:
        return math.asinh(min(max(points, 0.0), self.high) / self.margin) / math.asinh(self.high / self.margin)

    def ticks(self, apart: float = 0.08) -> list[float]:
        """0, then powers of ten, fives and twos, as many as stand *apart* of each other."""
        chosen = [0.0]
        for value in [m * 10.0**e for m in (1, 5, 2) for e in range(2, -4, -1)]:
            if value <= self.high and all(abs(self.place(value) - self.place(other)) >= apart for other in chosen):
                chosen.append(value)
        return sorted(chosen)


def check_segments(curve: MarginCurve, depends: str, not_: str) -> tuple[Segment, ...]:
    """The verdicts along the margin for a check (or, with the words of a method, for a method)."""
    below, above = max(curve.depends_below, 0.0), max(curve.not_above, curve.depends_below, 0.0)
    guarded = max(curve.guarded_below, above)
    parts = [Segment(depends, 0.0, below), Segment("INCONCLUSIVE", below, above), Segment(not_, above, guarded)]
    parts.append(Segment("INCONCLUSIVE", guarded, math.inf))
    return _joined(parts)


def comparison_segments(curve: MarginCurve, reverse: MarginCurve) -> tuple[Segment, ...]:
    """The verdicts along the margin for a comparison. Where both methods lead somewhere, it stays open."""
    better, worse = max(curve.depends_below, 0.0), max(reverse.depends_below, 0.0)
    both = min(better, worse)
    one = "BETTER" if better > worse else "WORSE"
    lead = max(better, worse)
    above = max(curve.not_above, lead)
    parts = [Segment("INCONCLUSIVE", 0.0, both), Segment(one, both, lead), Segment("INCONCLUSIVE", lead, above)]
    return _joined([*parts, Segment("NOT BETTER", above, math.inf)])


def ticks(verdict: StudyVerdict) -> list[Tick]:
    """The fixed margin, one standard deviation between seeds, and five test examples."""
    found = [Tick("fixed margin", verdict.margin, "fixed")]
    if verdict.seed_sd is not None and math.isfinite(verdict.seed_sd):
        found.append(Tick("one sd between seeds", verdict.seed_sd, "sd"))
    if verdict.n_test > 0 and verdict.metric != "nll":
        found.append(Tick(f"{TEST_EXAMPLES} test examples", 100 * TEST_EXAMPLES / verdict.n_test, "examples"))
    return found


def margin_axis(verdict: StudyVerdict) -> MarginAxis:
    """The axis that holds every finite bound of the curves, every tick and every lead."""
    curves = [check.curve for check in verdict.checks if check.curve is not None]
    curves += [method.curve for method in verdict.methods if method.curve is not None]
    curves += [curve for one in verdict.comparisons for curve in (one.curve, one.reverse)]
    values = [bound for curve in curves for bound in (curve.depends_below, curve.not_above)]
    values += [tick.points for tick in ticks(verdict)]
    values += [abs(one.pooled.mean_drop) for one in verdict.comparisons if one.pooled is not None]
    margin = verdict.margin if verdict.margin > 0 else 1.0
    return MarginAxis(margin, min(100.0, 1.15 * max([2 * margin, *(v for v in values if math.isfinite(v))])))


def margin_groups(verdict: StudyVerdict) -> tuple[MarginGroup, ...]:
    """The curves of every method: of its checks, of its verdict over all checks, and of its comparisons."""
    axis, marks = margin_axis(verdict), ticks(verdict)
    methods = [m.method for m in sorted(verdict.methods, key=lambda m: m.role is not None)]
    methods += [one.first for one in verdict.comparisons]
    groups = []
    for method in dict.fromkeys(methods):
        lead = _lead(verdict, method)
        own = [*marks, Tick("lead over the random ticket", lead, "lead")] if lead is not None and lead > 0 else marks
        lines = tuple(
            MarginLine(label, parts, draw_line(parts, axis, own), describe(parts))
            for label, parts in _lines(verdict, method)
        )
        if lines:
            groups.append(MarginGroup(method, lead, lines))
    return tuple(groups)


def _lines(verdict: StudyVerdict, method: str) -> Iterator[tuple[str, tuple[Segment, ...]]]:
    checks = 0
    for check in verdict.checks:
        if check.method == method and check.curve is not None and check.control not in INSTRUMENT_CONTROLS:
            checks += 1
            yield check.check, check_segments(check.curve, "DEPENDS", "DOES NOT DEPEND")
    for one in verdict.methods:
        if one.method == method and one.curve is not None and one.role is None and checks > 1:
            yield "all checks", check_segments(one.curve, "PASSES", "FAILS")
    for pair in verdict.comparisons:
        if pair.first == method:
            yield f"against {pair.second}", comparison_segments(pair.curve, pair.reverse)


def _lead(verdict: StudyVerdict, method: str) -> float | None:
    """The mean lead of *method* over the random ticket, in points."""
    for pair in verdict.comparisons:
        if (pair.first, pair.second) == (method, "random_ticket") and pair.pooled is not None:
            return pair.pooled.mean_drop
    return None


def describe(segments: tuple[Segment, ...]) -> str:
    """``depends below 0.61, open to 1.40, does not depend above``: the drawing in words."""
    parts = []
    for part in segments:
        word = "open" if part.answer == "INCONCLUSIVE" else part.answer.lower()
        if len(segments) == 1:
            return f"{word} at every margin"
        if math.isinf(part.high):
            parts.append(f"{word} above {part.low:.2f}")
        elif part.low == 0:
            parts.append(f"{word} below {part.high:.2f}")
        else:
            parts.append(f"{word} from {part.low:.2f} to {part.high:.2f}")
    return listing(parts)


def draw_line(segments: tuple[Segment, ...], axis: MarginAxis, marks: list[Tick]) -> str:
    """One curve as a bar, one colour per verdict, with a line at every tick. The text beside it says the same."""
    parts = []
    for part in segments:
        left, right = _x(axis, part.low), _x(axis, part.high)
        css = f"verdict v-{STYLES[part.answer]} {part.answer.lower().replace(' ', '-')}"
        parts.append(tag("path", d=f"M{left} 4H{right}V{HEIGHT - 4}H{left}z", class_=css))
    for mark in marks:
        parts.append(tag("path", d=f"M{_x(axis, mark.points)} 0V{HEIGHT}", class_=f"at {mark.css}"))
    tip = "\n".join([describe(segments), *(f"{mark.name}: {mark.points:.2f}" for mark in marks)])
    return tag(
        "svg",
        *parts,
        class_="margins",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
        data_tip=tip,
    )


def margin_ruler(axis: MarginAxis) -> str:
    """The axis all lines share; places are percentages, so that the text keeps its size."""
    parts = []
    for value in axis.ticks():
        at = f"{short(100 * axis.place(value))}%"
        parts.append(tag("line", x1=at, x2=at, y1="0", y2="4", class_="tick"))
        parts.append(tag("text", words(f"{value:g}"), x=at, y="16", text_anchor="middle"))
    return tag("svg", *parts, class_="ruler", aria_hidden="true")


def margin_ticks_sentence(verdict: StudyVerdict) -> str:
    """The ticks and their values in one sentence."""
    return f"Lines: {listing([f'{printable(tick.name)} ({tick.points:.2f})' for tick in ticks(verdict)])}."


def lead_sentence(group: MarginGroup, unit: Unit = "points") -> str:
    """The lead over the random ticket; empty where the two were not compared."""
    return "" if group.lead is None else f"Lead over the random ticket: {signed(group.lead)} {unit}."


def _joined(segments: list[Segment]) -> tuple[Segment, ...]:
    """Without empty segments; neighbours with the same verdict are one."""
    found: list[Segment] = []
    for part in segments:
        if part.high <= part.low:
            continue
        if found and found[-1].answer == part.answer:
            found[-1] = Segment(part.answer, found[-1].low, part.high)
        else:
            found.append(part)
    return tuple(found)


def _x(axis: MarginAxis, points: float) -> str:
    return short(WIDTH * axis.place(points))
