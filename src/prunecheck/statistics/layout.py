"""A study laid out for judgement: rows become pairs of one seed, pairs become arrays of differences in points."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike

from prunecheck.errors import StudyError
from prunecheck.statistics.gates import Gate, Pair, collapse_line, gate
from prunecheck.statistics.rows import CLEAN, DENSE, Metric, Row, scale, unique
from prunecheck.statistics.settings import Settings, interim_analyses
from prunecheck.statistics.variance import Array

MIN_DOCUMENTS = 2
GUARD = 0.25
"""Share of the binomial floor below which no variance is believed."""

PROBABILITY_FLOOR = 0.25
"""A probability of the right class moves less than right or wrong does; its paired variance was 0.29 and 0.44 of
accuracy's where it was measured."""


Place = tuple[str, str, float, int]
"""(method, check, sparsity, seed)"""
Documents = Mapping[Place, ArrayLike]
"""the metric of every document in each pruned network, as measured; the same documents in the same order everywhere"""

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
    documents: Mapping[int, Array] | None = None
    """seed -> clean minus corrupted of every document, in the unit of the metric; None = no documents were given"""

    @property
    def shown(self) -> tuple[int, ...]:
        """Seeds to describe the cell by: those judged, or all there are before the first analysis."""
        return self.judged or tuple(self.pairs)

    def drop(self, seed: int) -> float:
        """Clean minus corrupted, in the unit of the metric, positive = the corrupted network is worse."""
        if self.documents is not None:
            return float(self.documents[seed].mean())
        clean, corrupted = self.pairs[seed]
        return clean.score(self.metric) - corrupted.score(self.metric)

    @property
    def floor(self) -> float:
        """Variance of a difference that the test set alone explains, points squared: err / (2 n_test) for each arm.

        Jordan 2023 (arXiv:2304.01910). A mean probability varies less. An arm without a single error counts as one
        with one.
        """
        runs = [run for seed in self.shown for run in self.pairs[seed]]
        # With documents their own spread says how noisy a mean over them is.
        if not runs or self.documents is not None or self.metric == "nll":
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
    single: Mapping[Place, Array]
    """scores of every document by (method, check, sparsity, seed), empty where only means are known"""

    documents: int = 0
    """documents that every network was evaluated on one by one; 0 = only means are known"""

    @property
    def width(self) -> int:
        return self.analyses[-1]


def lay_out(rows: Iterable[Row], settings: Settings, documents: Documents | None = None) -> Layout:
    """Lay rows out. Raises StudyError for contradicting duplicates, a changed test set, documents that do not belong to
    the rows, or nothing to compare."""
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
    # Nats have no line at which a network has learned nothing: that depends on the vocabulary, and rows say it.
    is_fraction = settings.metric != "nll"
    line = collapse_line(settings.chance, sizes[0], fmean(dense) if dense else None) if is_fraction else -np.inf
    single = None if documents is None else _by_document(rows, documents, settings.metric)
    slots = {}
    for (method, check, sparsity), pairs in paired.items():
        width = _width(len(ranks[method]), analyses, fixed=fixed)
        judged = tuple(seed for seed in pairs if ranks[method][seed] < width)
        verdict = gate(check, (pairs[seed] for seed in judged or pairs), line)
        unpaired = len(arms.get((method, CLEAN, sparsity), {}).keys() ^ arms[method, check, sparsity].keys())
        place = (sparsities.index(sparsity), checks.index((method, check)))
        drops = document_drops(pairs, single)
        slots[place] = Slot(method, check, sparsity, pairs, judged, unpaired, verdict, settings.metric, drops)
    clean = {(method, sparsity): arm for (method, check, sparsity), arm in arms.items() if check == CLEAN}
    values = tuple(row.value(settings.metric) for row in rows if row.method == DENSE)
    count = 0 if not single else len(next(iter(single.values())))
    return Layout(
        settings, analyses, sizes[0], dense, values, checks, sparsities, slots, clean, ranks, single or {}, count
    )


def document_drops(pairs: Mapping[int, Pair], single: Mapping[Place, Array] | None) -> dict[int, Array] | None:
    """For each seed the score of every document in the first network of a pair minus that in the second."""
    if not single:
        return None
    return {seed: single[first.place] - single[second.place] for seed, (first, second) in pairs.items()}


def _by_document(rows: Iterable[Row], documents: Documents, metric: Metric) -> dict[Place, Array]:
    """The scores of every document, by the place of the row. Raises StudyError where they are not those of the rows."""
    found: dict[Place, Array] = {}
    for row in rows:
        if row.method == DENSE:
            continue
        if row.place not in documents:
            raise StudyError(f"documents: {row} has no values of single documents.")
        values = np.asarray(documents[row.place], dtype=np.float64)
        if values.ndim != 1 or len(values) < MIN_DOCUMENTS or not np.isfinite(values).all():
            raise StudyError(f"documents: {row} needs finite values of at least {MIN_DOCUMENTS} documents.")
        if found and len(values) != len(next(iter(found.values()))):
            raise StudyError(
                f"documents: {row} has {len(values)} and {next(iter(found))} has {len(next(iter(found.values())))}. "
                "All networks must be evaluated on the same documents."
            )
        if not np.isclose(values.mean(), row.value(metric), rtol=1e-4, atol=1e-6):
            raise StudyError(
                f"documents: {row} has the mean {values.mean():g} over documents, and {metric} {row.value(metric):g}."
            )
        found[row.place] = scale(metric) * values
    return found


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


def differences(layout: Layout, places: Sequence[CellIndex]) -> Array:
    """Drops (sparsities, checks, seeds in order), points; NaN where there is no pair or the place is not listed."""
    d = np.full((len(layout.sparsities), len(layout.checks), layout.width), np.nan)
    for k, j in places:
        slot = layout.slots[k, j]
        for seed in slot.judged:
            d[k, j, layout.ranks[slot.method][seed]] = slot.drop(seed)
    return d


def all_differences(layout: Layout, places: Sequence[CellIndex]) -> Array:
    """The same with every pair there is, whether an analysis has reached its seed or not."""
    width = max((len(seeds) for seeds in layout.ranks.values()), default=0)
    d = np.full((len(layout.sparsities), len(layout.checks), max(width, 1)), np.nan)
    for k, j in places:
        slot = layout.slots[k, j]
        for seed in slot.pairs:
            d[k, j, layout.ranks[slot.method][seed]] = slot.drop(seed)
    return d


def document_differences(layout: Layout, places: Sequence[CellIndex]) -> Array | None:
    """As ``differences``, of single documents (sparsities, checks, seeds in order, documents); None without them."""
    return _single(layout, places, layout.width, judged=True)


def all_document_differences(layout: Layout, places: Sequence[CellIndex]) -> Array | None:
    """As ``all_differences``, of single documents; None without them."""
    width = max((len(seeds) for seeds in layout.ranks.values()), default=0)
    return _single(layout, places, max(width, 1), judged=False)


def _single(layout: Layout, places: Sequence[CellIndex], width: int, *, judged: bool) -> Array | None:
    if not layout.documents:
        return None
    d = np.full((len(layout.sparsities), len(layout.checks), width, layout.documents), np.nan)
    for k, j in places:
        slot = layout.slots[k, j]
        for seed in slot.judged if judged else slot.pairs:
            assert slot.documents is not None
            d[k, j, layout.ranks[slot.method][seed]] = slot.documents[seed]
    return d


def guards(layout: Layout) -> Array:
    """Smallest believable variances (sparsities, checks), points squared."""
    guard = np.zeros((len(layout.sparsities), len(layout.checks)))
    for (k, j), slot in layout.slots.items():
        guard[k, j] = GUARD * slot.floor
    return guard
