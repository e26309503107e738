"""One effect on one line: margin band, every seed's paired difference, the interval of the verdict and the mean.

A strip has no text and can have any width (strokes do not scale), so one drawing serves all screens.
"""

from __future__ import annotations

import math

from prunecheck.reporting.charts import short, tag, words
from prunecheck.reporting.scales import Effects, plain_tick
from prunecheck.reporting.summary import natural
from prunecheck.reporting.text import STYLES, effect, minus
from prunecheck.statistics.outcome import Cell
from prunecheck.statistics.rows import number
from prunecheck.text import counted

WIDTH, HEIGHT = 1000, 26
TIP_SEEDS = 12
MANY = 20
"""seeds from which on dots that would cover each other are drawn once"""


def strip(cell: Cell, axis: Effects, css: str = "") -> str:
    """The drawing of one cell. Hidden from screen readers: the same numbers stand beside it as text.

    *css*: the class of its colour, where it is not that of the cell's verdict.
    """
    middle = HEIGHT / 2
    parts = [_band(axis), _zero(axis)]
    if math.isfinite(cell.low) and math.isfinite(cell.high):
        span = f"M{_x(axis, cell.low)} {middle:g}H{_x(axis, cell.high)}"
        parts.append(tag("path", d=span, class_="span"))
    dots = "".join(f"M{at} {middle:g}h0" for at in _dots(cell, axis))
    if dots:
        parts.append(tag("path", d=dots, class_="dots"))
    if math.isfinite(cell.mean_drop):
        parts.append(tag("path", d=f"M{_x(axis, cell.mean_drop)} {middle - 9:g}v18", class_="mean"))
    return tag(
        "svg",
        *parts,
        class_=f"strip v-{css or STYLES[cell.verdict]}",
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
        parts.append(tag("text", words(minus(plain_tick(tick))), x=at, y="16", text_anchor="middle"))
    return tag("svg", *parts, class_="ruler", aria_hidden="true")


def tip(cell: Cell) -> str:
    """The tooltip: mean, interval, seeds and their differences."""
    return minus(f"{effect(cell)} {cell.unit}\n{counted(cell.n, 'seed')}: {by_seed(cell, TIP_SEEDS)}")


def by_seed(cell: Cell, most: int) -> str:
    """The difference of every seed; of more than *most* seeds only the extremes and the quartiles."""
    if len(cell.differences) <= most:
        seeds = sorted(cell.differences, key=natural)
        return ", ".join(f"{seed}: {number(cell.differences[seed], cell.unit)}" for seed in seeds)
    values = sorted(value for value in cell.differences.values() if math.isfinite(value))
    if not values:
        return "n/a"
    low, first, middle, third, high = (
        number(values[round(q * (len(values) - 1))], cell.unit) for q in (0, 0.25, 0.5, 0.75, 1)
    )
    return f"{low} to {high}, half of them from {first} to {third}, median {middle}"


def _dots(cell: Cell, axis: Effects) -> list[str]:
    """The places of the seeds; of many seeds only those that are visibly apart."""
    values = sorted(value for value in cell.differences.values() if math.isfinite(value))
    if len(values) <= MANY:
        return [_x(axis, value) for value in values]
    return list(dict.fromkeys(short(float(round(WIDTH * axis.place(value) / 2) * 2)) for value in values))


def _band(axis: Effects) -> str:
    left, right = _x(axis, -axis.margin), _x(axis, axis.margin)
    return tag("path", d=f"M{left} 0H{right}V{HEIGHT}H{left}z", class_="band")


def _zero(axis: Effects) -> str:
    return tag("path", d=f"M{_x(axis, 0)} 0v{HEIGHT}", class_="zero")


def _x(axis: Effects, value: float) -> str:
    return short(WIDTH * axis.place(value))
