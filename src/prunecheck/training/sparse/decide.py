"""Which layers are computed sparsely: a fixed rule, from shapes and kept counts alone, never from measured time.

Bits must not depend on how busy a machine was. The figures are rates measured on one core of an AMD Zen 3 at 3.4 GHz
(python -m benchmarks sparse); on other processors their ratios are what matters.
"""

from __future__ import annotations

from dataclasses import dataclass

DENSE_RATE = 75.0
"""operations a nanosecond of a dense convolution, forward and backward together"""
SPARSE_RATE = 40.0
"""operations a nanosecond for kept weights"""
OVERHEAD = 0.85
"""a sparse network must be estimated to take at most this share of the dense one's time"""


@dataclass(frozen=True)
class Layer:
    """One convolution or linear layer. ``pixels`` of its output; ``taps``: weights a dense output pixel reads."""

    name: str
    outputs: int
    taps: int
    pixels: int
    kept: int

    @property
    def dense_ns(self) -> float:
        """Per image, forward and backward."""
        return 6 * self.outputs * self.taps * self.pixels / DENSE_RATE

    @property
    def sparse_ns(self) -> float:
        return 6 * self.kept * self.pixels / SPARSE_RATE

    @property
    def is_sparse(self) -> bool:
        return self.sparse_ns < self.dense_ns

    @property
    def why(self) -> str:
        """For people."""
        weights = self.outputs * self.taps
        return (
            f"{self.kept} of {weights} weights, about {self.sparse_ns / 1000:.1f} µs an image sparse and "
            f"{self.dense_ns / 1000:.1f} dense"
        )


def worth_it(layers: list[Layer]) -> bool:
    """Whether the whole network gains enough."""
    dense = sum(layer.dense_ns for layer in layers)
    mixed = sum(min(layer.dense_ns, layer.sparse_ns) for layer in layers)
    return mixed <= OVERHEAD * dense
