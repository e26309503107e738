"""One effect on one line: margin band, every seed's paired difference, the 90 % interval and the mean.

A strip holds no text and stretches to any width (strokes do not scale), so the same drawing serves a phone and a wall.
"""

from __future__ import annotations

import math

from prunecheck.report.scales import Effects, plain_tick
from prunecheck.report.summary import natural
from prunecheck.report.svg import short, tag, words
from prunecheck.report.wording import STYLES, count, effect, signed
from prunecheck.verdict.outcome import Cell

WIDTH, HEIGHT = 1000, 26
TIP_SEEDS = 12


def strip(cell: Cell, axis: Effects) -> str:
    """The drawing of one cell. Decoration to a screen reader: the numbers stand beside it as text."""
    middle = HEIGHT / 2
    parts = [_band(axis), _zero(axis)]
    if math.isfinite(cell.low) and math.isfinite(cell.high):
        span = f"M{_x(axis, cell.low)} {middle:g}H{_x(axis, cell.high)}"
        parts.append(tag("path", d=span, class_="span"))
    dots = "".join(f"M{_x(axis, d)} {middle:g}h0" for d in sorted(cell.differences.values()) if math.isfinite(d))
    if dots:
        parts.append(tag("path", d=dots, class_="dots"))
    if math.isfinite(cell.mean_drop):
        parts.append(tag("path", d=f"M{_x(axis, cell.mean_drop)} {middle - 9:g}v18", class_="mean"))
    return tag(
        "svg",
        *parts,
        class_=f"strip v-{STYLES[cell.verdict]}",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        aria_hidden="true",
        data_tip=tip(cell),
    )


def ruler(axis: Effects) -> str:
    """The axis the strips share, with tick labels; places are percentages, so text keeps its size."""
    parts = []
    for tick in axis.ticks():
        at = f"{short(100 * axis.place(tick))}%"
        parts.append(tag("line", x1=at, x2=at, y1="0", y2="4", class_="tick"))
        parts.append(tag("text", words(plain_tick(tick).replace("-", "−")), x=at, y="16", text_anchor="middle"))
    return tag("svg", *parts, class_="ruler", aria_hidden="true")


def tip(cell: Cell) -> str:
    """What hovering says: mean, interval, seeds and their differences."""
    seeds = sorted(cell.differences, key=natural)
    listed = ", ".join(f"{seed}: {signed(cell.differences[seed])}" for seed in seeds[:TIP_SEEDS])
    rest = f", … and {len(seeds) - TIP_SEEDS} more" if len(seeds) > TIP_SEEDS else ""
    return f"{effect(cell)} points\n{count(cell.n, 'seed')}: {listed}{rest}".replace("-", "−")


def _band(axis: Effects) -> str:
    left, right = _x(axis, -axis.margin), _x(axis, axis.margin)
    return tag("path", d=f"M{left} 0H{right}V{HEIGHT}H{left}z", class_="band")


def _zero(axis: Effects) -> str:
    return tag("path", d=f"M{_x(axis, 0)} 0v{HEIGHT}", class_="zero")


def _x(axis: Effects, value: float) -> str:
    return short(WIDTH * axis.place(value))
