"""A study laid out for judgement: rows become pairs of one seed, pairs become arrays of differences in points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from prunecheck.errors import StudyError
from prunecheck.statistics.gates import Gate, Pair, collapse_line, gate
from prunecheck.statistics.rows import CLEAN, DENSE, Metric, Row, unique
from prunecheck.statistics.settings import Settings, interim_analyses
from prunecheck.statistics.variance import Array

GUARD = 0.25
"""Share of the binomial floor below which no variance is believed."""

PROBABILITY_FLOOR = 0.25
"""A probability of the right class moves less than right or wrong does; its paired variance was 0.29 and 0.44 of
accuracy's where it was measured."""


CellIndex = tuple[int, int]
"""(sparsity index, index into the checks of a layout)"""


@dataclass(frozen=True)
class Slot:
    """One cell before statistics: its pairs by seed, those a look has reached, and what stands in the way."""

    method: str
    check: str
    sparsity: float
    pairs: Mapping[int, Pair]
    judged: tuple[int, ...]
    """seeds that an analysis has reached"""
    unpaired: int
    """seeds of one arm that the other arm lacks"""
    gate: Gate
    metric: Metric = "accuracy"

    @property
    def shown(self) -> tuple[int, ...]:
        """Seeds to describe the cell by: those judged, or all there are before the first analysis."""
        return self.judged or tuple(self.pairs)

    def drop(self, seed: int) -> float:
        """Clean minus corrupted, points of the metric."""
        clean, corrupted = self.pairs[seed]
        return 100 * (clean.value(self.metric) - corrupted.value(self.metric))

    @property
    def floor(self) -> float:
        """Variance of a difference that the test set alone explains, points squared: err / (2 n_test) for each arm.

        Jordan 2023 (arXiv:2304.01910). A mean probability varies less. An arm without a single error counts as one
        with one.
        """
        runs = [run for seed in self.shown for run in self.pairs[seed]]
        if not runs:
            return 0.0
        n_test = runs[0].n_test
        error = fmean(max(1 - run.accuracy, 1 / n_test) for run in runs)
        variance = 2 * 100**2 * error / (2 * n_test)
        return variance if self.metric == "accuracy" else PROBABILITY_FLOOR * variance


@dataclass(frozen=True)
class Layout:
    """A whole study: ``slots`` by (sparsity index, index into ``checks``), which lists (method, check)."""

    settings: Settings
    analyses: tuple[int, ...]
    """numbers of seeds; one alone, that of the longest arm, for a fixed design"""
    n_test: int
    dense: tuple[float, ...]
    """accuracies of the dense runs, fractions"""
    dense_values: tuple[float, ...]
    """the same in the metric that is judged"""
    checks: tuple[tuple[str, str], ...]
    sparsities: tuple[float, ...]
    slots: Mapping[CellIndex, Slot]
    clean: Mapping[tuple[str, float], Mapping[int, Row]]
    """clean arms: (method, sparsity) -> seed -> run"""
    ranks: Mapping[str, Mapping[int, int]]
    """method -> seed -> the rank of the seed in the order in which seeds are analysed"""

    @property
    def width(self) -> int:
        return self.analyses[-1]


def lay_out(rows: Iterable[Row], settings: Settings) -> Layout:
    """Lay rows out. Raises StudyError for contradicting duplicates, a changed test set, or nothing to compare."""
    rows = unique((f"row {number}", row) for number, row in enumerate(rows, start=1))
    sizes = sorted({row.n_test for row in rows})
    if len(sizes) > 1:
        raise StudyError(f"the test set changed size between rows ({sizes}): accuracies cannot be compared.")
    arms: dict[tuple[str, str, float], dict[int, Row]] = defaultdict(dict)
    for row in rows:
        if row.method != DENSE:
            if row.sparsity is None:
                raise StudyError(f"{row} has no sparsity.")
            arms[row.method, row.check, row.sparsity][row.seed] = row
    checks = tuple(sorted({(method, check) for method, check, _ in arms if check != CLEAN}))
    methods = {method for method, _, _ in arms}
    if not checks and len(methods) < 2:
        raise StudyError(f"nothing to judge: no row with a check other than {CLEAN!r}, and no two methods to compare.")
    # also those with clean arms alone, which may be compared with each other
    sparsities = tuple(sorted({sparsity for _, _, sparsity in arms}))
    paired = {key: _pairs(arms.get((key[0], CLEAN, key[2]), {}), arm) for key, arm in arms.items() if key[1] != CLEAN}
    ranks = _ranks(paired)
    most = max((len(seeds) for seeds in ranks.values()), default=0)
    fixed = settings.design == "fixed"
    analyses = (max(most, 1),) if fixed else interim_analyses(settings)
    dense = tuple(row.accuracy for row in rows if row.method == DENSE)
    line = collapse_line(settings.chance, sizes[0], fmean(dense) if dense else None)
    slots = {}
    for (method, check, sparsity), pairs in paired.items():
        width = _width(len(ranks[method]), analyses, fixed=fixed)
        judged = tuple(seed for seed in pairs if ranks[method][seed] < width)
        verdict = gate(check, (pairs[seed] for seed in judged or pairs), line)
        unpaired = len(arms.get((method, CLEAN, sparsity), {}).keys() ^ arms[method, check, sparsity].keys())
        place = (sparsities.index(sparsity), checks.index((method, check)))
        slots[place] = Slot(method, check, sparsity, pairs, judged, unpaired, verdict, settings.metric)
    clean = {(method, sparsity): arm for (method, check, sparsity), arm in arms.items() if check == CLEAN}
    values = tuple(row.value(settings.metric) for row in rows if row.method == DENSE)
    return Layout(settings, analyses, sizes[0], dense, values, checks, sparsities, slots, clean, ranks)


def _pairs(clean: Mapping[int, Row], corrupted: Mapping[int, Row]) -> dict[int, Pair]:
    return {seed: (clean[seed], corrupted[seed]) for seed in sorted(clean.keys() & corrupted.keys())}


def _ranks(paired: Mapping[tuple[str, str, float], Mapping[int, Pair]]) -> dict[str, dict[int, int]]:
    """The order of seeds, per method: a seed that one check lost still counts, an analysis means the same for all."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for (method, _, _), pairs in paired.items():
        seeds[method] |= pairs.keys()
    return {method: {seed: rank for rank, seed in enumerate(sorted(found))} for method, found in seeds.items()}


def _width(seeds: int, analyses: Iterable[int], *, fixed: bool) -> int:
    """How many of the first seeds belong to a finished analysis."""
    return seeds if fixed else max((n for n in analyses if n <= seeds), default=0)


def differences(layout: Layout, places: Iterable[CellIndex]) -> Array:
    """Drops (sparsities, checks, seeds in order), points; NaN where there is no pair or the place is not listed."""
    d = np.full((len(layout.sparsities), len(layout.checks), layout.width), np.nan)
    for k, j in places:
        slot = layout.slots[k, j]
        for seed in slot.judged:
            d[k, j, layout.ranks[slot.method][seed]] = slot.drop(seed)
    return d


def all_differences(layout: Layout, places: Iterable[CellIndex]) -> Array:
    """The same with every pair there is, whether an analysis has reached its seed or not."""
    width = max((len(seeds) for seeds in layout.ranks.values()), default=0)
    d = np.full((len(layout.sparsities), len(layout.checks), max(width, 1)), np.nan)
    for k, j in places:
        slot = layout.slots[k, j]
        for seed in slot.pairs:
            d[k, j, layout.ranks[slot.method][seed]] = slot.drop(seed)
    return d


def guards(layout: Layout) -> Array:
    """Smallest believable variances (sparsities, checks), points squared."""
    guard = np.zeros((len(layout.sparsities), len(layout.checks)))
    for (k, j), slot in layout.slots.items():
        guard[k, j] = GUARD * slot.floor
    return guard
