"""Accuracies of all methods on one axis: one line per method and sparsity, one mark per arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prunecheck.reporting.charts import marker, short, tag, words
from prunecheck.reporting.check_names import check_name
from prunecheck.reporting.figures import accuracy_axis, undrawn_checks
from prunecheck.reporting.scales import Linear
from prunecheck.reporting.summary import Arm, Order
from prunecheck.reporting.text import share
from prunecheck.statistics.outcome import StudyVerdict
from prunecheck.statistics.rows import CLEAN
from prunecheck.text import counted, percent, printable

MOST_LANES = 60
STEP, TOP = 9, 8
"""pixels between two arms of a lane, and above the first"""


@dataclass(frozen=True)
class Lane:
    """One method at one sparsity: the drawing, and the mean accuracy of its clean arm."""

    method: str
    drawing: str
    text: str


@dataclass(frozen=True)
class Lanes:
    """``groups``: (sparsity in words, lanes). ``legend``: (mark, arm). ``left_out``: lanes not drawn."""

    ruler: str
    legend: tuple[tuple[str, str], ...]
    groups: tuple[tuple[str, tuple[Lane, ...]], ...]
    left_out: int


def accuracy_lanes(found: Sequence[Arm], known: Order, verdict: StudyVerdict) -> Lanes | None:
    """Every drawn arm on one axis, the same for all sparsities; None where there is no arm."""
    drawn = [arm for arm in found if arm.check not in undrawn_checks(verdict)]
    if not drawn:
        return None
    dense = verdict.dense_accuracy
    scale, ticks = accuracy_axis([a for arm in drawn for a in (arm.low, arm.high)] + ([] if dense is None else [dense]))
    checks = [CLEAN, *[check for check in known.checks if any(arm.check == check for arm in drawn)]]
    places = list(dict.fromkeys((arm.sparsity, arm.method) for arm in sorted(drawn, key=lambda a: _place(a, known))))
    groups: dict[str, list[Lane]] = {}
    for sparsity, method in places[:MOST_LANES]:
        mine = [arm for arm in drawn if (arm.sparsity, arm.method) == (sparsity, method)]
        groups.setdefault(percent(sparsity), []).append(_lane(method, mine, checks, scale, dense))
    return Lanes(
        _ruler(scale, ticks),
        tuple((_sample(i), "clean" if check == CLEAN else check_name(check)) for i, check in enumerate(checks)),
        tuple((f"{where} sparsity", tuple(lanes)) for where, lanes in groups.items()),
        max(0, len(places) - MOST_LANES),
    )


def _place(arm: Arm, known: Order) -> tuple[float, tuple[int, int, float]]:
    return arm.sparsity, known.place(arm.method, arm.check, arm.sparsity)


def _lane(method: str, mine: Sequence[Arm], checks: Sequence[str], scale: Linear, dense: float | None) -> Lane:
    height = 2 * TOP + STEP * (len(mine) - 1)
    parts = []
    if dense is not None:
        at = _across(scale, dense)
        parts.append(tag("line", x1=at, x2=at, y1="0", y2=str(height), class_="dense"))
    for row, arm in enumerate(mine):
        kind, y = checks.index(arm.check), TOP + STEP * row
        low, high = _across(scale, arm.low), _across(scale, arm.high)
        parts.append(tag("line", x1=low, x2=high, y1=str(y), y2=str(y), class_=f"whisker c{kind % 8}"))
        tip = (
            f"{printable(method)}, {printable(arm.check)}\n"
            f"{share(arm.mean, 2)}, {share(arm.low, 2)} to {share(arm.high, 2)} over {counted(arm.n, 'seed')}"
        )
        mark = marker(kind, 0.0, 0.0, data_tip=tip)
        parts.append(tag("svg", mark, x=_across(scale, arm.mean), y=str(y), class_="spot", aria_hidden="true"))
    clean = [arm for arm in mine if arm.check == CLEAN]
    drawing = tag("svg", *parts, class_="dots-lane", height=str(height), aria_hidden="true")
    return Lane(method, drawing, share(clean[0].mean) if clean else "n/a")


def _sample(kind: int) -> str:
    return tag("svg", marker(kind, 14, 7), class_="swatch", viewBox="0 0 28 14", aria_hidden="true")


def _ruler(scale: Linear, ticks: Sequence[tuple[float, str]]) -> str:
    parts = []
    for value, text in ticks:
        at = _across(scale, value)
        parts.append(tag("line", x1=at, x2=at, y1="0", y2="4", class_="tick"))
        parts.append(tag("text", words(text), x=at, y="16", text_anchor="middle"))
    return tag("svg", *parts, class_="ruler", aria_hidden="true")


def _across(scale: Linear, value: float) -> str:
    return f"{short(100 * scale.place(value))}%"
