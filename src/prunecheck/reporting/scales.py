"""Scales: from a value to a position on an axis in [0, 1], and the ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from prunecheck.text import signed


@dataclass(frozen=True)
class Linear:
    """An even axis."""

    low: float
    high: float

    def place(self, value: float) -> float:
        span = self.high - self.low
        return min(1.0, max(0.0, (value - self.low) / span)) if span > 0 else 0.5

    def ticks(self, about: int = 4) -> list[float]:
        """Round values inside the axis, 1-2-5 apart, roughly *about* of them."""
        span = self.high - self.low
        if not span > 0:
            return [self.low]
        rough = span / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


@dataclass(frozen=True)
class Decades:
    """A logarithmic axis from 1 down to ``low``; what is smaller (or zero) lies on its floor."""

    low: float

    def place(self, value: float) -> float:
        if value <= self.low:
            return 0.0
        return min(1.0, 1 - math.log10(value) / math.log10(self.low))

    def ticks(self) -> list[float]:
        return [10.0**e for e in range(math.ceil(math.log10(self.low) - 1e-9), 1)]


@dataclass(frozen=True)
class Effects:
    """The axis of drops in points: even inside the margin, logarithmic far outside it.

    A drop of a tenth of a point and one of seventy share a page, and the margin stays visible.
    """

    margin: float
    low: float
    high: float

    def place(self, value: float) -> float:
        inside = min(self.high, max(self.low, value))
        return (self._bend(inside) - self._bend(self.low)) / (self._bend(self.high) - self._bend(self.low))

    def _bend(self, value: float) -> float:
        return math.asinh(value / self.margin)

    def ticks(self, apart: float = 0.085) -> list[float]:
        """0 first, then powers of ten, then fives and twos, as many as fit *apart* of each other."""
        chosen: list[float] = []
        candidates = [0.0] + [s * m * 10.0**e for m in (1, 5, 2) for e in range(2, -4, -1) for s in (1, -1)]
        for tick in candidates:
            clear = all(abs(self.place(tick) - self.place(other)) >= apart for other in chosen)
            if self.low <= tick <= self.high and clear:
                chosen.append(tick)
        return sorted(chosen)


def effects_axis(margin: float, values: Iterable[float]) -> Effects:
    """The axis that holds all finite *values*, zero and twice the margin either side."""
    margin = margin if math.isfinite(margin) and margin > 0 else 1.0
    finite = [v for v in values if math.isfinite(v)]
    low, high = min([-2 * margin, *finite]), max([2 * margin, *finite])
    room = 0.04 * (math.asinh(high / margin) - math.asinh(low / margin))
    return Effects(
        margin,
        margin * math.sinh(math.asinh(low / margin) - room),
        margin * math.sinh(math.asinh(high / margin) + room),
    )


def plain_tick(value: float) -> str:
    """``0.5 -> '+0.5'``, ``10 -> '+10'``."""
    return "0" if value == 0 else f"{value:+g}" if abs(value) >= 0.01 else signed(value, 3)
