"""Charts as SVG text: escaped, short numbers, coloured by CSS classes only (the page forbids inline styles)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

from prunecheck.reporting.figures import Axis, Figure, Panel, Series
from prunecheck.text import printable_lines

WIDTH, HEIGHT = 340, 220
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 10, 34
WIDE = 480
"""the width of a chart that stands alone and has many labels"""
SLANTED_LETTER = 5.2
"""more room below an axis for each letter of its slanted labels"""
MAX_PANELS = 24
PALETTE = 8
"""colours of series, ``.c0`` (ink, the clean arm) to ``.c7``; shapes and dashes repeat out of step with them"""
MARKERS = (
    "M{x} {y}m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0",
    "M{x} {y}m-3.2 -3.2h6.4v6.4h-6.4z",
    "M{x} {y}m0 -4.4l4.2 7.4h-8.4z",
    "M{x} {y}m0 -4.8l4.4 4.8l-4.4 4.8l-4.4 -4.8z",
    "M{x} {y}m0 4.4l4.2 -7.4h-8.4z",
    "M{x} {y}m-1.4 -4h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
)
"""circle, square, triangle, diamond, triangle down, cross: shape tells series apart where colour cannot"""


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG. ``legend``: (sample, text). ``panels``: (heading, drawing). ``left_out``: panels not drawn."""

    legend: tuple[tuple[str, str], ...]
    panels: tuple[tuple[str, str], ...]
    left_out: int = 0


def draw(figure: Figure | None) -> Drawing | None:
    """The figure as SVG, at most ``MAX_PANELS`` panels of it; None where there is no figure."""
    if figure is None:
        return None
    legend = tuple((swatch(series), series.name) for series in figure.legend)
    wide = len(figure.panels) == 1 and figure.panels[0].x.slanted
    panels = tuple((panel.title, draw_panel(panel, WIDE if wide else WIDTH)) for panel in figure.panels[:MAX_PANELS])
    return Drawing(legend, panels, max(0, len(figure.panels) - MAX_PANELS))


def draw_panel(panel: Panel, width: int = WIDTH) -> str:
    """One chart; the first series is drawn last, over the others."""
    x, y, series = _in_pixels(panel.x, width), panel.y, panel.series[::-1]
    height = HEIGHT + _slanted_room(x)
    parts = [tag("desc", words(panel.summary)), *_frame(x, y, width, height)]
    if panel.level is not None:
        at = _down(y, panel.level)
        parts.append(tag("path", d=f"M{LEFT} {short(at)}H{width - RIGHT}", class_="dense"))
    parts += [_spread(line, x, y) for line in series]
    parts += [_stroke(line, x, y) for line in series]
    parts += [_marks(line, x, y) for line in series if line.marked]
    kind = "panel" if width == WIDTH else "panel wide"
    return tag("svg", *parts, class_=kind, viewBox=f"0 0 {width} {height}", role="img", aria_label=panel.label)


def _in_pixels(x: Axis, width: int) -> Axis:
    """The axis with its places in pixels of a chart of *width* instead of in [0, 1]."""
    return replace(x, place=lambda value: LEFT + 8 + x.place(value) * (width - LEFT - RIGHT - 16))


def _slanted_room(x: Axis) -> int:
    """What slanted labels need below the axis, beyond the room of level ones."""
    return round(SLANTED_LETTER * max(len(text) for _, text in x.ticks)) if x.slanted and x.ticks else 0


def swatch(series: Series) -> str:
    """The sample of a series for a legend."""
    parts = [tag("path", d="M1 7H27", class_=_css(series))]
    if series.marked and not series.reference:
        parts.append(marker(series.kind, 14, 7))
    return tag("svg", *parts, class_="swatch", viewBox="0 0 28 14", aria_hidden="true")


def _frame(x: Axis, y: Axis, width: int, height: int) -> list[str]:
    parts = []
    for value, text in y.ticks:
        at = _down(y, value)
        parts.append(tag("path", d=f"M{LEFT} {short(at)}H{width - RIGHT}", class_="grid"))
        parts.append(tag("text", words(text), x=LEFT - 6, y=at + 3.5, text_anchor="end"))
    for value, text in x.ticks:
        at, below = x.place(value), HEIGHT - BOTTOM + 15
        if x.slanted:
            turn = f"rotate(-55 {short(at)} {below - 4})"
            parts.append(tag("text", words(text), x=at + 3, y=below - 3, text_anchor="end", transform=turn))
        else:
            parts.append(tag("text", words(text), x=at, y=below, text_anchor="middle"))
    middle = (LEFT + width - RIGHT) / 2
    parts.append(tag("text", words(x.title), x=middle, y=height - 4, text_anchor="middle", class_="axis"))
    return parts


def _stroke(line: Series, x: Axis, y: Axis) -> str:
    spots = [f"{short(x.place(p.x))} {short(_down(y, p.y))}" for p in line.points]
    return tag("path", d="M" + "L".join(spots), class_=_css(line)) if spots else ""


def _spread(line: Series, x: Axis, y: Axis) -> str:
    spans = [
        (x.place(p.x), _down(y, p.low), _down(y, p.high))
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


def _marks(line: Series, x: Axis, y: Axis) -> str:
    return "".join(marker(line.kind, x.place(p.x), _down(y, p.y), data_tip=p.tip) for p in line.points)


def _css(series: Series) -> str:
    if series.reference:
        return f"line reference r{series.kind % 2}"
    return f"line c{series.kind % PALETTE} d{series.kind % 3}"


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
    return escape(printable_lines(text))


def short(value: float) -> str:
    """At most two decimals and never ``-0``: half the bytes, the same picture."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _value(value: object) -> str:
    return short(value) if isinstance(value, float) else escape(printable_lines(value))


def marker(kind: int, x: float, y: float, **attributes: object) -> str:
    path = MARKERS[kind % len(MARKERS)].format(x=short(x), y=short(y))
    return tag("path", d=path, class_=f"mark c{kind % PALETTE}", **attributes)
