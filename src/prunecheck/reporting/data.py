"""The data of a report, as plain values: no tensors, no store, no clock.

The same page serves a study and a table of accuracies from other programs: only the name, the rows and the
verdict are required; empty parts are left out of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prunecheck.resources import PublishedNumber
from prunecheck.statistics.outcome import StudyVerdict

REFERENCES = ("smart_ratio", "erk")
"""layer tables under these method names are references, not methods of the study"""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class LayerTable:
    """Kept weights per layer of one mask, in the order of the network. ``kept[i] <= weights[i]``."""

    method: str
    check: str
    sparsity: float
    names: tuple[str, ...]
    weights: tuple[int, ...]
    kept: tuple[int, ...]

    def shares(self) -> tuple[float, ...]:
        """The fraction kept of every layer, in [0, 1]."""
        return tuple(k / w if w else 0.0 for k, w in zip(self.kept, self.weights, strict=True))


@dataclass(frozen=True)
class Curve:
    """Test accuracy (fraction) after every epoch of one training."""

    method: str
    check: str
    sparsity: float
    seed: int
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class MaskOverlap:
    """How far a corrupted mask is from the clean one, before any training.

    ``iou``: kept by both over kept by either. ``chance_iou``: what masks with the same counts per layer but random
    positions would share. ``counts_correlation``: of kept weights per layer, clean with corrupted; None if undefined.
    """

    method: str
    check: str
    sparsity: float
    iou: float
    chance_iou: float
    counts_correlation: float | None = None
    note: str = ""

    @property
    def above_chance(self) -> float:
        """How much of the way from an overlap by chance to the same mask: 0 by chance alone, 1 for the same mask."""
        return (self.iou - self.chance_iou) / (1 - self.chance_iou) if self.chance_iou < 1 else 0.0


@dataclass(frozen=True)
class ReportData:
    """The content of a report.

    ``rows``: one mapping per trained arm with at least ``method, check, sparsity, seed, accuracy`` (fraction) and
    ``n_test``; ``check`` is ``"clean"`` for the intact arm. Optional keys: ``best_accuracy, train_accuracy, kept,
    weights, effective_sparsity, collapsed, dead_layers, diverged, epochs, key`` and any others, which only
    the raw table and the CSV show. A dense run is a row with sparsity None. ``published``: published
    accuracies of arms with these names; only those of arms in this study are shown.
    """

    name: str
    rows: Sequence[Row]
    verdict: StudyVerdict
    question: str = ""
    study_toml: str = ""
    layers: tuple[LayerTable, ...] = ()
    curves: tuple[Curve, ...] = ()
    overlaps: tuple[MaskOverlap, ...] = ()
    cost: Mapping[str, object] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    published: tuple[PublishedNumber, ...] = ()
    command: str = ""
    collapse_line: float | None = None
    """the accuracy (fraction) at or below which the verdict took a run for collapsed; None if unknown"""
    trained: str = ""
    """what was trained, in a few words: network, data set, epochs"""
    check_words: Mapping[str, str] = field(default_factory=dict)
    """check -> what it does to an arm, in one sentence"""
    unfinished: str = ""
    """one sentence where the study is not finished yet: what is missing, and that the verdicts may still change"""
