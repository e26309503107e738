"""What a reader hands over before anything is chosen or shrunk: labels now, pixels on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prunecheck.data.types import Images, Labels


@dataclass(frozen=True, eq=False)
class Split:
    """Labels ``[N]``, and a function from positions ``[n]`` to pixels ``[n, C, H, W]``: a subset decodes no more."""

    targets: Labels
    images: Callable[[Labels], Images]


@dataclass(frozen=True, eq=False)
class Source:
    """Train and test of a data set as it lies on disk."""

    train: Split
    test: Split
    class_names: tuple[str, ...]


def in_memory(inputs: Images, targets: Labels) -> Split:
    """A split whose pixels are there already."""
    return Split(targets, lambda positions: inputs[positions])
