"""Charts as SVG text: escaped, short numbers, coloured by CSS classes only (the page forbids inline styles)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from prunecheck.reporting.text import clean

WIDTH, HEIGHT = 340, 220
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 10, 34


@dataclass(frozen=True)
class Point:
    """A place in data units; ``low`` and ``high`` are the spread to draw, ``tip`` what hovering says."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    tip: str | None = None


@dataclass(frozen=True)
class Line:
    """One series. ``kind`` picks colour, shape and dash; ``band`` draws the spread as an area, not as whiskers."""

    kind: int
    points: Sequence[Point]
    marked: bool = True
    band: bool = False
    reference: bool = False


@dataclass(frozen=True)
class Axis:
    """``place`` maps data to [0, 1]; ``ticks`` are places in data units with their labels."""

    place: Callable[[float], float]
    ticks: Sequence[tuple[float, str]]
    title: str


def panel(label: str, summary: str, lines: Sequence[Line], x: Axis, y: Axis, level: float | None = None) -> str:
    """One chart. *label* names it to a screen reader, *summary* says what it shows; *level* is a dashed line."""
    parts = [tag("desc", words(summary)), *_frame(x, y)]
    if level is not None:
        at = _down(y, level)
        parts.append(tag("path", d=f"M{LEFT} {short(at)}H{WIDTH - RIGHT}", class_="dense"))
    parts += [_spread(line, x, y) for line in lines]
    parts += [_stroke(line, x, y) for line in lines]
    parts += [_marks(line, x, y) for line in lines if line.marked]
    return tag("svg", *parts, class_="panel", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def swatch(kind: int, marked: bool = True, reference: bool = False) -> str:
    """The sample of a series for a legend."""
    css = _css(kind, reference)
    parts = [tag("path", d="M1 7H27", class_=css)]
    if marked and not reference:
        parts.append(marker(kind, 14, 7))
    return tag("svg", *parts, class_="swatch", viewBox="0 0 28 14", aria_hidden="true")


def _frame(x: Axis, y: Axis) -> list[str]:
    parts = []
    for value, text in y.ticks:
        at = _down(y, value)
        parts.append(tag("path", d=f"M{LEFT} {short(at)}H{WIDTH - RIGHT}", class_="grid"))
        parts.append(tag("text", words(text), x=LEFT - 6, y=at + 3.5, text_anchor="end"))
    for value, text in x.ticks:
        parts.append(tag("text", words(text), x=_across(x, value), y=HEIGHT - BOTTOM + 15, text_anchor="middle"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(tag("text", words(x.title), x=middle, y=HEIGHT - 4, text_anchor="middle", class_="axis"))
    return parts


def _stroke(line: Line, x: Axis, y: Axis) -> str:
    spots = [f"{short(_across(x, p.x))} {short(_down(y, p.y))}" for p in line.points]
    return tag("path", d="M" + "L".join(spots), class_=_css(line.kind, line.reference)) if spots else ""


def _spread(line: Line, x: Axis, y: Axis) -> str:
    spans = [
        (_across(x, p.x), _down(y, p.low), _down(y, p.high))
        for p in line.points
        if p.low is not None and p.high is not None
    ]
    if not spans:
        return ""
    if line.band:
        lower = "L".join(f"{short(at)} {short(low)}" for at, low, _ in spans)
        upper = "L".join(f"{short(at)} {short(high)}" for at, _, high in reversed(spans))
        return tag("path", d=f"M{lower}L{upper}z", class_=f"area c{line.kind % PALETTE}")
    whiskers = "".join(f"M{short(at)} {short(low)}V{short(high)}" for at, low, high in spans)
    return tag("path", d=whiskers, class_=f"whisker c{line.kind % PALETTE}")


def _marks(line: Line, x: Axis, y: Axis) -> str:
    return "".join(marker(line.kind, _across(x, p.x), _down(y, p.y), data_tip=p.tip) for p in line.points)


def _css(kind: int, reference: bool) -> str:
    if reference:
        return f"line reference r{kind % 2}"
    return f"line c{kind % PALETTE} d{kind % 3}"


def _across(x: Axis, value: float) -> float:
    return LEFT + 8 + x.place(value) * (WIDTH - LEFT - RIGHT - 16)


def _down(y: Axis, value: float) -> float:
    return TOP + (1 - y.place(value)) * (HEIGHT - TOP - BOTTOM)


def tag(element: str, *children: str, **attributes: object) -> str:
    """One element. *children* are SVG already; attribute values are cleaned and escaped, None ones left out.

    ``class_`` becomes ``class`` and ``font_size`` ``font-size``.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{element}{written}>{''.join(children)}</{element}>"


def words(text: str) -> str:
    """Text as SVG content."""
    return escape(clean(text))


def short(value: float) -> str:
    """At most two decimals and never ``-0``: half the bytes, the same picture."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _value(value: object) -> str:
    return short(value) if isinstance(value, float) else escape(clean(value))


MARKERS = (
    "M{x} {y}m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0",
    "M{x} {y}m-3.2 -3.2h6.4v6.4h-6.4z",
    "M{x} {y}m0 -4.4l4.2 7.4h-8.4z",
    "M{x} {y}m0 -4.8l4.4 4.8l-4.4 4.8l-4.4 -4.8z",
    "M{x} {y}m0 4.4l4.2 -7.4h-8.4z",
    "M{x} {y}m-1.4 -4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
)
"""circle, square, triangle, diamond, triangle down, cross: shape tells series apart where colour cannot"""


def marker(kind: int, x: float, y: float, **attributes: object) -> str:
    path = MARKERS[kind % len(MARKERS)].format(x=short(x), y=short(y))
    return tag("path", d=path, class_=f"mark c{kind % PALETTE}", **attributes)


PALETTE = 8
"""colours of series, ``.c0`` (ink, the clean arm) to ``.c7``; shapes and dashes repeat out of step with them"""
