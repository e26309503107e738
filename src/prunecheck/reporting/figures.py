"""The page's figures: which lines go into which panel. Each figure is a legend and panels, capped and said so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prunecheck.reporting.charts import Axis, Line, Point, panel, swatch
from prunecheck.reporting.data import REFERENCES, Curve, LayerTable, ReportData
from prunecheck.reporting.scales import Decades, Linear
from prunecheck.reporting.summary import Arm, Order, mean
from prunecheck.reporting.text import count, fraction, name, share
from prunecheck.statistics.rows import CLEAN
from prunecheck.text import percent

MAX_PANELS = 24
MAX_EPOCHS_DRAWN = 120
MAX_CHOICES = 12


@dataclass(frozen=True)
class Figure:
    """``legend``: (swatch SVG, text). ``panels``: (heading, SVG). ``left_out``: panels beyond the cap."""

    legend: tuple[tuple[str, str], ...]
    panels: tuple[tuple[str, str], ...]
    left_out: int = 0


def accuracy(arms: Sequence[Arm], known: Order, dense: float | None) -> Figure | None:
    """Accuracy against sparsity, a panel a method, a line an arm; whiskers reach the extreme seeds."""
    if not arms:
        return None
    checks = [CLEAN, *[c for c in known.checks if any(a.check == c for a in arms)]]
    x = _sparsities(known.sparsities)
    ceiling = [] if dense is None else [dense]
    y = _accuracies([a.low for a in arms] + [a.high for a in arms] + ceiling)
    panels = []
    for method in [m for m in known.methods if any(a.method == m for a in arms)]:
        mine = [a for a in arms if a.method == method]
        lines = [
            _arm_line(i, [a for a in mine if a.check == c], known, _aside(i, len(checks))) for i, c in enumerate(checks)
        ]
        clean = [f"{percent(a.sparsity)}: {share(a.mean)}" for a in mine if a.check == CLEAN]
        summary = f"Clean accuracy of {name(method)} at sparsity " + ", ".join(clean[:20])
        label = f"Accuracy of {name(method)} against sparsity"
        panels.append((method, panel(label, summary, lines[::-1], x, y, dense)))
    legend = tuple((swatch(i), c) for i, c in enumerate(checks))
    return Figure(legend, tuple(panels[:MAX_PANELS]), max(0, len(panels) - MAX_PANELS))


def keep_shares(data: ReportData, known: Order) -> Figure | None:
    """Kept share of every layer in network order, a panel a sparsity, clean masks beside smart ratio and ERK."""
    tables = [t for t in data.layers if t.names and (t.check == CLEAN or t.method in REFERENCES)]
    if not tables:
        return None
    methods = [m for m in known.methods if m not in REFERENCES and any(t.method == m for t in tables)]
    references = [r for r in REFERENCES if any(t.method == r for t in tables)]
    shares = [s for t in tables for s in t.shares() if s > 0]
    decades = Decades(10.0 ** _floor_decade(min(shares, default=0.1)))
    y = Axis(decades.place, [(tick, fraction(tick)) for tick in decades.ticks()], "kept")
    panels = []
    for sparsity in sorted({t.sparsity for t in tables}):
        here = {t.method: t for t in tables if t.sparsity == sparsity}
        depth = max(len(t.names) for t in here.values())
        lines = [_layer_line(i, here[r], True) for i, r in enumerate(references) if r in here]
        lines += [_layer_line(i + 1, here[m], False) for i, m in enumerate(methods) if m in here]
        whole = f"{percent(sparsity)} sparsity"
        summary = (
            f"Kept share of {count(depth, 'layer')} at {whole} for {len(here)} allocations; the table has the values"
        )
        panels.append((whole, panel(f"Kept share by layer at {whole}", summary, lines, _layers(depth), y)))
    legend = [(swatch(i + 1), m) for i, m in enumerate(methods)]
    legend += [(swatch(i, reference=True), r.replace("_", " ")) for i, r in enumerate(references)]
    return Figure(tuple(legend), tuple(panels[:MAX_PANELS]), max(0, len(panels) - MAX_PANELS))


def curves(data: ReportData, known: Order) -> list[tuple[str, Figure]]:
    """Accuracy after every epoch: a figure a sparsity, the highest first and the dense networks last, a panel a method;
    the band is the clean arm's seeds. At most ``MAX_CHOICES`` figures."""
    drawn = [c for c in data.curves if c.accuracy]
    sparsities = sorted({c.sparsity for c in drawn}, reverse=True)
    figures = []
    for sparsity in sparsities[:MAX_CHOICES]:
        most = MAX_EPOCHS_DRAWN if sparsity == sparsities[0] else MAX_EPOCHS_DRAWN // 2
        here = [c for c in drawn if c.sparsity == sparsity]
        where = f"{percent(sparsity)} sparsity" if sparsity > 0 else "dense"
        figures.append((where, _curves_at(where, here, known, most)))
    return figures


def _curves_at(where: str, drawn: Sequence[Curve], known: Order, most: int) -> Figure:
    checks = [CLEAN, *[c for c in known.checks if any(d.check == c for d in drawn)]]
    panels = []
    for method in [m for m in known.methods if any(d.method == m for d in drawn)]:
        mine = [d for d in drawn if d.method == method]
        lines = [_curve_line(i, [d for d in mine if d.check == c], most) for i, c in enumerate(checks)]
        epochs = max(len(d.accuracy) for d in mine)
        summary = f"{count(len(mine), 'training')} of up to {count(epochs, 'epoch')}, mean over seeds"
        y = _accuracies([a for d in mine for a in d.accuracy])
        label = f"Training curves of {name(method)}, {where}"
        panels.append((method, panel(label, summary, lines[::-1], _epochs(epochs), y)))
    legend = tuple((swatch(i, marked=False), c) for i, c in enumerate(checks))
    return Figure(legend, tuple(panels[:MAX_PANELS]), max(0, len(panels) - MAX_PANELS))


def _aside(i: int, n: int) -> float:
    """Arms stand side by side, so that whiskers do not hide each other: within a third of a step in all."""
    return 0.3 * (i / (n - 1) - 0.5) if n > 1 else 0.0


def _arm_line(kind: int, arms: Sequence[Arm], known: Order, aside: float) -> Line:
    points = []
    for arm in arms:
        spread = f"{share(arm.mean, 2)}, {share(arm.low, 2)} to {share(arm.high, 2)}"
        said = f"{name(arm.check)} at {percent(arm.sparsity)}\n{spread} over {count(arm.n, 'seed')}"
        points.append(Point(known.sparsities.index(arm.sparsity) + aside, arm.mean, arm.low, arm.high, said))
    return Line(kind, points)


def _layer_line(kind: int, table: LayerTable, reference: bool) -> Line:
    points = [
        Point(i + 1, kept, tip=f"{name(table.method)}\n{name(layer)}: {fraction(kept)} kept")
        for i, (layer, kept) in enumerate(zip(table.names, table.shares(), strict=True))
    ]
    return Line(kind, points, marked=not reference and len(points) <= 60, reference=reference)


def _curve_line(kind: int, curves: Sequence[Curve], most: int) -> Line:
    epochs = max((len(c.accuracy) for c in curves), default=0)
    step = max(1, -(-epochs // most))
    points = []
    for epoch in sorted({*range(0, epochs, step), epochs - 1} if epochs else ()):
        values = [c.accuracy[epoch] for c in curves if epoch < len(c.accuracy)]
        band = kind == 0 and len(values) > 1
        points.append(Point(epoch + 1, mean(values), min(values) if band else None, max(values) if band else None))
    return Line(kind, points, marked=False, band=True)


def _sparsities(sparsities: Sequence[float]) -> Axis:
    """Evenly spaced: 90, 95 and 98 % are three conditions, not distances."""
    scale = Linear(-0.25, len(sparsities) - 0.75)
    every = max(1, -(-len(sparsities) // 8))
    ticks = [(float(i), percent(s)) for i, s in enumerate(sparsities) if i % every == 0]
    return Axis(scale.place, ticks, "sparsity")


def _accuracies(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.01
    scale = Linear(max(0.0, low - room), min(1.0, high + room))
    ticks = scale.ticks()
    places = 0 if all(abs(100 * t - round(100 * t)) < 1e-6 for t in ticks) else 1
    return Axis(scale.place, [(t, share(t, places)) for t in ticks], "accuracy")


def _layers(depth: int) -> Axis:
    step = Linear(0, max(depth, 2)).ticks(5)[1]
    ticks = [1, *[t for t in range(2, depth + 1) if t % max(1, round(step)) == 0 and t > step / 2 + 1]]
    return Axis(Linear(1, max(depth, 2)).place, [(float(t), str(t)) for t in ticks], "layer, input to output")


def _epochs(epochs: int) -> Axis:
    scale = Linear(1, max(epochs, 2))
    ticks = sorted({round(t) for t in scale.ticks(5) if t >= 1})
    return Axis(scale.place, [(float(t), str(t)) for t in ticks], "epoch")


def _floor_decade(smallest: float) -> int:
    return next(e for e in range(-1, -13, -1) if 10.0**e <= smallest or e == -12)
