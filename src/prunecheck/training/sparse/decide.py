"""Which layers are computed sparsely: a fixed rule, from shapes and kept counts alone, never from measured time.

Bits must not depend on how busy a machine was. The figures are rates measured on one core of an AMD Zen 3 at 3.4 GHz
(python -m benchmarks sparse); on other processors their ratios are what matters.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Operations a nanosecond, forward and backward together: of a dense convolution and for kept weights."""

    dense: float
    sparse: float


FLOAT32 = Rates(75.0, 40.0)
BFLOAT16_SPARSE = 1.3
"""how many times as fast kept weights are computed where activations are stored in bfloat16"""
BFLOAT16_DENSE = {"amx_bf16": 3.0, "avx512_bf16": 1.9}
"""instruction -> the same of dense convolutions; measured on an Intel Xeon and an AMD Zen 4, see docs/performance.md"""
BFLOAT16_DENSE_OTHER, BFLOAT16_EMULATED = 1.5, 0.125
"""the same with other instructions for bfloat16 (not measured), and without any (measured on AVX2)"""
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
    rates: Rates = FLOAT32

    @property
    def dense_ns(self) -> float:
        """Per image, forward and backward."""
        return 6 * self.outputs * self.taps * self.pixels / self.rates.dense

    @property
    def sparse_ns(self) -> float:
        return 6 * self.kept * self.pixels / self.rates.sparse

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


def rates_of(precision: str, instructions: Collection[str]) -> Rates:
    """On a processor with these *instructions* for products in bfloat16, all of which are part of a step's key."""
    if precision != "bfloat16":
        return FLOAT32
    dense = next((BFLOAT16_DENSE[name] for name in BFLOAT16_DENSE if name in instructions), None)
    if dense is None:
        dense = BFLOAT16_DENSE_OTHER if instructions else BFLOAT16_EMULATED
    return Rates(FLOAT32.dense * dense, FLOAT32.sparse * BFLOAT16_SPARSE)


def worth_it(layers: list[Layer]) -> bool:
    """Whether the whole network gains enough."""
    dense = sum(layer.dense_ns for layer in layers)
    mixed = sum(min(layer.dense_ns, layer.sparse_ns) for layer in layers)
    return mixed <= OVERHEAD * dense
