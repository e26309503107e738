"""The data of the report's figures: panels, series and axes. The page draws them as SVG, the paper with matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from prunecheck.reporting.check_names import check_name
from prunecheck.reporting.data import REFERENCES, Curve, LayerTable, ReportData
from prunecheck.reporting.scales import Decades, Linear
from prunecheck.reporting.summary import Arm, Order, mean
from prunecheck.reporting.text import fraction, share
from prunecheck.statistics.outcome import StudyVerdict
from prunecheck.statistics.rows import CLEAN
from prunecheck.text import counted, percent, printable

MAX_EPOCHS_DRAWN = 120
MAX_CHOICES = 12
MAX_LAYER_NAMES = 20
LAYER_LETTERS = 13


@dataclass(frozen=True)
class Point:
    """``x`` and ``y`` in data units; ``low`` to ``high`` is the spread; ``tip`` is shown on hovering."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    tip: str | None = None


@dataclass(frozen=True)
class Series:
    """One line. ``kind`` picks colour, shape and dash; ``band`` draws the spread as an area, not as whiskers."""

    name: str
    kind: int
    points: tuple[Point, ...] = ()
    marked: bool = True
    band: bool = False
    reference: bool = False


@dataclass(frozen=True)
class Axis:
    """``place`` maps data units to [0, 1]; ``ticks`` are values in data units with their labels."""

    title: str
    place: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]
    slanted: bool = False
    """labels are long, such as names of layers"""


@dataclass(frozen=True)
class Panel:
    """One chart. ``label`` names it for a screen reader, ``summary`` describes it; ``level`` is a dashed line."""

    title: str
    label: str
    summary: str
    series: tuple[Series, ...]
    x: Axis
    y: Axis
    level: float | None = None


@dataclass(frozen=True)
class Figure:
    """Panels that share the series of one legend."""

    panels: tuple[Panel, ...]
    legend: tuple[Series, ...]


def accuracy(arms: Sequence[Arm], known: Order, verdict: StudyVerdict) -> Figure | None:
    """Mean accuracy against sparsity: one panel per method, one line per arm, whiskers to the extreme seeds."""
    arms = [arm for arm in arms if arm.check not in undrawn_checks(verdict)]
    if not arms:
        return None
    dense = verdict.dense_accuracy
    checks = [CLEAN, *[c for c in known.checks if any(a.check == c for a in arms)]]
    x = _sparsities(known.sparsities)
    y = _accuracies([a.low for a in arms] + [a.high for a in arms] + ([] if dense is None else [dense]))
    panels = []
    for method in [m for m in known.methods if any(a.method == m for a in arms)]:
        mine = [a for a in arms if a.method == method]
        series = [
            _arm_series(i, c, [a for a in mine if a.check == c], known, _offset(i, len(checks)))
            for i, c in enumerate(checks)
        ]
        clean = [f"{percent(a.sparsity)}: {share(a.mean)}" for a in mine if a.check == CLEAN]
        summary = f"Clean accuracy of {printable(method)} at sparsity " + ", ".join(clean[:20])
        label = f"Accuracy of {printable(method)} against sparsity"
        panels.append(Panel(method, label, summary, tuple(series), x, y, dense))
    return Figure(tuple(panels), tuple(Series(c, i) for i, c in enumerate(checks)))


def clean_accuracy(arms: Sequence[Arm], known: Order, verdict: StudyVerdict) -> Figure | None:
    """The clean arms of all methods against sparsity in one panel; None where there is one sparsity only."""
    clean = [arm for arm in arms if arm.check == CLEAN]
    if len({arm.sparsity for arm in clean}) < 2:
        return None
    dense = verdict.dense_accuracy
    y = _accuracies([a.low for a in clean] + [a.high for a in clean] + ([] if dense is None else [dense]))
    methods = [m for m in known.methods if any(a.method == m for a in clean)]
    series = []
    for i, method in enumerate(methods):
        mine = [a for a in clean if a.method == method]
        drawn = _arm_series(i + 1, CLEAN, mine, known, _offset(i, len(methods)))
        series.append(replace(drawn, name=method))
    where = counted(len(known.sparsities), "sparsity", "sparsities")
    summary = f"Mean accuracy of {counted(len(methods), 'method')} at {where}"
    title = "all methods, clean"
    panel = Panel(
        title,
        "Accuracy of all methods against sparsity",
        summary,
        tuple(series),
        _sparsities(known.sparsities),
        y,
        dense,
    )
    return Figure((panel,), tuple(Series(m, i + 1) for i, m in enumerate(methods)))


def undrawn_checks(verdict: StudyVerdict) -> set[str]:
    """The identity control: it repeats the clean arm for fewer seeds, so its mean would look like another result."""
    return {check.check for check in verdict.checks if check.control == "identity"}


def keep_shares(data: ReportData, known: Order) -> Figure | None:
    """Kept share of every layer in network order: one panel per sparsity, clean masks beside smart ratio and ERK."""
    tables = clean_layer_tables(data)
    if not tables:
        return None
    methods = [m for m in known.methods if m not in REFERENCES and any(t.method == m for t in tables)]
    references = [r for r in REFERENCES if any(t.method == r for t in tables)]
    legend = [Series(m, i + 1) for i, m in enumerate(methods)]
    legend += [Series(r, i, reference=True) for i, r in enumerate(references)]
    shares = [s for t in tables for s in t.shares() if s > 0]
    decades = Decades(10.0 ** _floor_decade(min(shares, default=0.1)))
    y = Axis("kept", decades.place, tuple((tick, fraction(tick)) for tick in decades.ticks()))
    panels = []
    for sparsity in sorted({t.sparsity for t in tables}):
        here = {t.method: t for t in tables if t.sparsity == sparsity}
        longest = max((t.names for t in here.values()), key=len)
        depth = len(longest)
        series = [_layer_series(s, here[s.name]) for s in legend if s.name in here]
        title = f"{percent(sparsity)} sparsity"
        summary = (
            f"Kept share of {counted(depth, 'layer')} at {title} for {len(here)} allocations; the table has the values"
        )
        panels.append(Panel(title, f"Kept share by layer at {title}", summary, tuple(series), _layers(longest), y))
    return Figure(tuple(panels), tuple(legend))


def clean_layer_tables(data: ReportData) -> list[LayerTable]:
    """The layer tables that are drawn and listed: of clean masks and of the reference allocations."""
    return [t for t in data.layers if t.names and (t.check == CLEAN or t.method in REFERENCES)]


def curves(data: ReportData, known: Order) -> list[tuple[str, Figure]]:
    """Accuracy after every epoch: one figure per sparsity (highest first, dense networks last), one panel per method.

    The band is the spread of the clean arm's seeds. At most ``MAX_CHOICES`` figures; all share one y axis, and the
    panels of a figure one x axis.
    """
    drawn = [c for c in data.curves if c.accuracy and c.check not in undrawn_checks(data.verdict)]
    if not drawn:
        return []
    y = _accuracies([a for c in drawn for a in c.accuracy])
    sparsities = sorted({c.sparsity for c in drawn}, reverse=True)[:MAX_CHOICES]
    figures = []
    for sparsity in sparsities:
        most = MAX_EPOCHS_DRAWN if sparsity == sparsities[0] else MAX_EPOCHS_DRAWN // 2
        here = [c for c in drawn if c.sparsity == sparsity]
        where = f"{percent(sparsity)} sparsity" if sparsity > 0 else "dense"
        figures.append((where, _curves_at(where, here, known, most, y)))
    return figures


def _curves_at(where: str, drawn: Sequence[Curve], known: Order, most: int, y: Axis) -> Figure:
    checks = [CLEAN, *[c for c in known.checks if any(d.check == c for d in drawn)]]
    panels = []
    x = _epochs(max(len(d.accuracy) for d in drawn))
    for method in [m for m in known.methods if any(d.method == m for d in drawn)]:
        mine = [d for d in drawn if d.method == method]
        series = [_curve_series(i, c, [d for d in mine if d.check == c], most) for i, c in enumerate(checks)]
        epochs = max(len(d.accuracy) for d in mine)
        summary = f"{counted(len(mine), 'training')} of up to {counted(epochs, 'epoch')}, mean over seeds"
        label = f"Training curves of {printable(method)}, {where}"
        panels.append(Panel(method, label, summary, tuple(series), x, y))
    return Figure(tuple(panels), tuple(Series(check_name(c), i, marked=False) for i, c in enumerate(checks)))


def _offset(i: int, n: int) -> float:
    """Arms stand side by side, within a third of a step in all, so that whiskers do not hide each other."""
    return 0.3 * (i / (n - 1) - 0.5) if n > 1 else 0.0


def _arm_series(kind: int, check: str, arms: Sequence[Arm], known: Order, offset: float) -> Series:
    points = []
    for arm in arms:
        spread = f"{share(arm.mean, 2)}, {share(arm.low, 2)} to {share(arm.high, 2)}"
        tip = f"{printable(arm.check)} at {percent(arm.sparsity)}\n{spread} over {counted(arm.n, 'seed')}"
        points.append(Point(known.sparsities.index(arm.sparsity) + offset, arm.mean, arm.low, arm.high, tip))
    return Series(check, kind, tuple(points))


def _layer_series(series: Series, table: LayerTable) -> Series:
    points = tuple(
        Point(i + 1, kept, tip=f"{printable(table.method)}\n{printable(layer)}: {fraction(kept)} kept")
        for i, (layer, kept) in enumerate(zip(table.names, table.shares(), strict=True))
    )
    marked = not series.reference and len(points) <= 60
    return Series(series.name, series.kind, points, marked=marked, reference=series.reference)


def _curve_series(kind: int, check: str, curves: Sequence[Curve], most: int) -> Series:
    epochs = max((len(c.accuracy) for c in curves), default=0)
    step = max(1, -(-epochs // most))
    points = []
    for epoch in sorted({*range(0, epochs, step), epochs - 1} if epochs else ()):
        values = [c.accuracy[epoch] for c in curves if epoch < len(c.accuracy)]
        band = kind == 0 and len(values) > 1
        points.append(Point(epoch + 1, mean(values), min(values) if band else None, max(values) if band else None))
    return Series(check, kind, tuple(points), marked=False, band=True)


def _sparsities(sparsities: Sequence[float]) -> Axis:
    """Evenly spaced: 90, 95 and 98 % are three conditions, not distances."""
    scale = Linear(-0.25, len(sparsities) - 0.75)
    every = max(1, -(-len(sparsities) // 8))
    ticks = [(float(i), percent(s)) for i, s in enumerate(sparsities) if i % every == 0]
    return Axis("sparsity", scale.place, tuple(ticks))


def accuracy_axis(values: Sequence[float]) -> tuple[Linear, tuple[tuple[float, str], ...]]:
    """The scale that holds all *values* (fractions), and its ticks with their labels."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.01
    scale = Linear(max(0.0, low - room), min(1.0, high + room))
    ticks = scale.ticks()
    places = 0 if all(abs(100 * t - round(100 * t)) < 1e-6 for t in ticks) else 1
    return scale, tuple((t, share(t, places)) for t in ticks)


def _accuracies(values: Sequence[float]) -> Axis:
    scale, ticks = accuracy_axis(values)
    return Axis("accuracy", scale.place, ticks)


def _layers(names: Sequence[str]) -> Axis:
    """Layers by name, input to output; of a deep network every second, third, ... name."""
    every = -(-len(names) // MAX_LAYER_NAMES)
    ticks = tuple((float(i + 1), _short_layer(name)) for i, name in enumerate(names) if i % every == 0)
    return Axis("layer, input to output", Linear(1, max(len(names), 2)).place, ticks, slanted=True)


def _short_layer(name: str) -> str:
    """A layer without ``.weight``; of a long name the end, which tells layers apart."""
    short = printable(name).removesuffix(".weight")
    return short if len(short) <= LAYER_LETTERS else f"…{short[1 - LAYER_LETTERS :]}"


def _epochs(epochs: int) -> Axis:
    scale = Linear(1, max(epochs, 2))
    ticks = sorted({round(t) for t in scale.ticks(5) if t >= 1})
    return Axis("epoch", scale.place, tuple((float(t), str(t)) for t in ticks))


def _floor_decade(smallest: float) -> int:
    return next(e for e in range(-1, -13, -1) if 10.0**e <= smallest or e == -12)
