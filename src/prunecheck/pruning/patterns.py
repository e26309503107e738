"""Structured patterns of a mask, by name: ``2:4``, ``filters``, ``rows``, ``columns``, ``kernels``, ``4x4``.

A weight (out, in / groups, *kernel) is read as the matrix that channels-last kernels multiply with: one row for every
output, and in a row the inputs of the first kernel position, then those of the second, and so on. Does not import
torch, nor numpy before groups are asked for: studies are read and listed without them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from prunecheck.errors import StudyError
from prunecheck.text import printable

if TYPE_CHECKING:
    import numpy as np

    from prunecheck.pruning.layers import Layer
    from prunecheck.pruning.plugins import Method

LARGEST = 64
"""the largest group M of N:M, side of a block, and number of rows or columns that go together"""

_TEXT = re.compile(
    r"(?:([0-9]{1,2}):([0-9]{1,2}))|(?:([0-9]{1,2})x([0-9]{1,2}))|(?:(?:([0-9]{1,2}) )?(filters|rows|columns|kernels))"
)
ROUNDED = 5e-3
"""by how much the sparsity of N:M may differ from 1 - N/M: 0.67 and 0.6667 are 1:3"""

RECOGNISED = "recognised"
"""in a step, in place of a pattern: of masks that a plug-in chose"""
KNOWN = (
    "N:M such as '2:4', 'filters', 'rows', 'columns', 'kernels', '8 rows', or a block of rows x columns such as '4x4'"
)


Kind = Literal["n:m", "filters", "rows", "columns", "kernels", "blocks"]


@dataclass(frozen=True)
class Pattern:
    """How the weights of a layer form groups, and what is decided for a whole group.

    ``n:m``: of every M inputs that follow each other, N stay (the groups of NVIDIA's sparse tensor cores; in a
    convolution the inputs of one kernel position). All others keep or remove whole groups: ``rows``: the weights of one
    output, in a convolution a filter (``filters``: of convolutions only); ``columns``: of one input; ``kernels``: of
    one output and one input; ``blocks``: aligned blocks of rows x inputs. ``size``: (N, M), (rows, inputs) of a block,
    or for rows and columns (how many neighbours go together, 1): 64 for attention heads of 64 dimensions.
    """

    kind: Kind
    size: tuple[int, int] = (1, 1)

    def __str__(self) -> str:
        a, b = self.size
        if self.kind == "n:m":
            return f"{a}:{b}"
        if self.kind == "blocks":
            return f"{a}x{b}"
        return self.kind if a == 1 else f"{a} {self.kind}"

    @property
    def is_within_groups(self) -> bool:
        """Whether a group keeps some of its weights (N:M); else a group stays or goes as a whole."""
        return self.kind == "n:m"

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a weight of this shape can be divided into such groups, more than one of them."""
        if len(shape) < 2:
            return False
        out, inputs, kernel = shape[0], shape[1], math.prod(shape[2:])
        a, b = self.size
        if self.kind == "n:m":
            return inputs % b == 0
        if self.kind == "filters" and len(shape) == 2:
            return False
        if self.kind in ("filters", "rows"):
            return out % a == 0 and out > a and inputs * kernel > 1
        if self.kind == "columns":
            return inputs % a == 0 and inputs > a and out * kernel > 1
        if self.kind == "kernels":
            return kernel > 1 and out * inputs > 1
        return out % a == 0 and inputs % b == 0 and out * inputs * kernel > a * b

    def groups(self, shape: Sequence[int]) -> np.ndarray:
        """(groups, weights in a group): the positions of each group's weights in the flattened weight, for a shape that
        fits. Groups are in the order of rows, then of kernel positions, then of inputs."""
        import numpy as np

        index = np.arange(math.prod(shape)).reshape(shape)
        if self.kind in ("filters", "rows"):
            return index.reshape(shape[0] // self.size[0], -1)
        if self.kind == "columns":
            return np.moveaxis(index, 1, 0).reshape(shape[1] // self.size[0], -1)
        if self.kind == "kernels":
            return index.reshape(shape[0] * shape[1], -1)
        matrix = np.moveaxis(index, 1, -1).reshape(shape[0], -1)
        if self.kind == "n:m":
            return matrix.reshape(-1, self.size[1])
        a, b = self.size
        tiles = matrix.reshape(shape[0] // a, a, -1, b)
        return np.moveaxis(tiles, 1, 2).reshape(-1, a * b)


def parse_pattern(text: str) -> Pattern:
    """The pattern of that name. Raises StudyError."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise StudyError(f"{printable(text)!r} is no pattern. There are: {KNOWN}.")
    n, m, rows, columns, together, kind = match.groups()
    if n is not None:
        if not 1 <= int(n) < int(m) <= LARGEST:
            raise StudyError(f"{text!r}: of every M inputs N stay, with 1 <= N < M <= {LARGEST}.")
        return Pattern("n:m", (int(n), int(m)))
    if rows is not None:
        if not (1 <= int(rows) <= LARGEST and 1 <= int(columns) <= LARGEST and int(rows) * int(columns) > 1):
            raise StudyError(f"{text!r}: a block has 1 to {LARGEST} rows and inputs, and more than one weight.")
        return Pattern("blocks", (int(rows), int(columns)))
    if together is not None and (kind == "kernels" or not 1 <= int(together) <= LARGEST):
        raise StudyError(f"{text!r}: 1 to {LARGEST} rows, filters or columns can go together.")
    return Pattern(cast(Kind, kind), (int(together or 1), 1))


def validate_pattern(
    pattern: Pattern, method: Method, sparsities: Iterable[float], *, allocate: str | None, preset: str | None
) -> None:
    """Raises StudyError where a method cannot prune in this pattern: it chooses masks without asking for the pattern,
    ``preset`` counts in a way of its own, or N:M, which says itself how many weights stay, meets an explicit
    ``allocate`` or a sparsity that differs from 1 - N/M by more than rounding."""
    if method.when == "during":
        raise StudyError(f"{method.name!r} changes its mask during training weight by weight: leave the pattern out.")
    if not method.takes_pattern:
        raise StudyError(
            f"{method.name!r} chooses masks itself and does not ask for 'pattern': whatever pattern its masks have is "
            "recognised."
        )
    if preset is not None:
        raise StudyError(f"preset {preset!r} selects single weights: leave the preset or the pattern out.")
    if not pattern.is_within_groups:
        return
    n, m = pattern.size
    if allocate is not None:
        raise StudyError(f"{n}:{m} says itself how many weights each layer keeps: leave allocate out.")
    for sparsity in sparsities:
        if abs(sparsity - (1 - n / m)) > ROUNDED:
            share = f"{1 - n / m:.4f}".rstrip("0")
            raise StudyError(f"{n}:{m} removes that share itself: the sparsity must be {share}, not {sparsity:g}.")


def layers_under(pattern: Pattern, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers that a study prunes in this pattern; the others stay whole.

    Those whose shape fits, without the last layer where outputs are removed: these are the classes.
    """
    chosen = layers[:-1] if pattern.kind in ("filters", "rows") else layers
    return tuple(layer for layer in chosen if pattern.fits(layer.shape))


def pattern_in_words(patterns: Mapping[str, str | None]) -> str:
    """``2:4 in 5 of 6 layers``; empty where no layer has a pattern."""
    found = [pattern for pattern in patterns.values() if pattern is not None]
    parts = [f"{pattern} in {found.count(pattern)}" for pattern in dict.fromkeys(found)]
    return f"{', '.join(parts)} of {len(patterns)} layers" if parts else ""
