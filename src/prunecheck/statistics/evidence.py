"""The evidence of a study: p values and bounds of every cell and every check, at any margin."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prunecheck.statistics.calibration import calibration
from prunecheck.statistics.inference import Looks, bounds, p_above, p_below, take_looks, total_level
from prunecheck.statistics.layout import CellIndex, Layout, Slot, differences, document_differences, guards
from prunecheck.statistics.procedure import ONE_SPARSITY, Flags, members, p_check_depends, p_check_fails
from prunecheck.statistics.roles import role
from prunecheck.statistics.variance import Array, Noise, Numbers


@dataclass(frozen=True)
class CellEvidence:
    """Arrays (sparsities, cells). ``collapse``: p, over all analyses, that the corrupted arm collapses and the clean
    arm does not, where all runs of the one and none of the other did; NaN elsewhere. ``harmed``: more corrupted than
    clean runs collapsed, which forbids "does not depend". ``judged``: the cell has an analysis and counts."""

    looks: Looks
    collapse: Array
    harmed: Flags
    judged: Flags

    def above(self, margin: float) -> Array:
        """p for "the drop exceeds *margin*", NaN where a cell is not judged."""
        p = np.where(np.isfinite(self.collapse), self.collapse, p_above(self.looks, margin))
        return np.where(self.judged, p, np.nan)

    def below(self, margin: float) -> Array:
        """p for "the drop stays below *margin*", NaN where a cell is not judged."""
        p = np.where(np.isfinite(self.collapse), 1.0, p_below(self.looks, margin))
        return np.where(self.judged, p, np.nan)

    def low(self, level: Array | float) -> Array:
        """Lower bound of the drop, wrong in at most *level* of studies; infinite where an arm always collapsed."""
        low = np.where(np.isfinite(self.collapse), -np.inf, bounds(self.looks, level)[0])
        return np.where(self.judged, np.where(self.collapse <= level, np.inf, low), -np.inf)

    def high(self, level: Array | float) -> Array:
        """Upper bound of the drop, wrong in at most *level* of studies."""
        # A cell judged by its collapses has no mean drop to bound.
        high = np.where(np.isfinite(self.collapse), np.inf, bounds(self.looks, level)[1])
        return np.where(self.judged, high, np.inf)

    def without(self, strata: Collection[int]) -> CellEvidence:
        """The same with some sparsities not judged."""
        out = np.isin(np.arange(self.judged.shape[0]), list(strata))[:, None]
        return replace(self, judged=self.judged & ~out, harmed=self.harmed & ~out)


@dataclass(frozen=True)
class CheckEvidence:
    """The evidence of each check over its sparsities. ``looks``: the analyses of the per-seed mean over the ``pools``,
    arrays (analyses, checks); ``blocked`` (checks,): why "does not depend" cannot be said yet, whatever the margin,
    empty where it can."""

    cells: CellEvidence
    looks: Looks
    pools: tuple[tuple[int, ...], ...]
    blocked: tuple[str, ...]

    def depends(self, margin: float) -> Array:
        """p that the check matters: more than *margin* is lost, on average or at some sparsity. (checks,)"""
        # Absent p values count as 1: nothing was shown.
        p = p_check_depends(self.cells.above(margin), p_above(self.looks, margin))
        return np.asarray(np.nan_to_num(p, nan=1.0), dtype=np.float64)

    def fails(self, margin: float) -> Array:
        """p that the check does not matter: less than *margin* is lost on average, and two margins nowhere."""
        p = p_check_fails(p_below(self.looks, margin), self.cells.below(ONE_SPARSITY * margin))
        return np.asarray(np.where(self._forbidden(), 1.0, p), dtype=np.float64)

    def found_below(self, level: float) -> Array:
        """The margins up to which ``depends`` stays below *level*, (checks,)."""
        share = level / members(self.cells.above(1.0))
        low = np.maximum(self.cells.low(share).max(axis=0), bounds(self.looks, share)[0])
        return np.asarray(low, dtype=np.float64)

    def excluded_above(self, level: float) -> Array:
        """The margins from which on ``fails`` stays below *level*, (checks,); infinite where it never does."""
        cells = np.where(self.cells.judged, self.cells.high(level), -np.inf).max(axis=0)
        margin = np.maximum(bounds(self.looks, level)[1], cells / ONE_SPARSITY)
        return np.where(self._forbidden(), np.inf, margin)

    def _forbidden(self) -> Flags:
        return np.asarray(
            self.cells.harmed.any(axis=0) | np.array([bool(reason) for reason in self.blocked], dtype=bool)
        )


def weigh_cells(layout: Layout, limit: float) -> CellEvidence:
    """Evidence of every cell. Cells with collapsed runs are judged by Fisher's exact test or not at all.

    *limit*: see ``variance.Noise.limited_mean``; points.
    """
    fine = [place for place, slot in layout.slots.items() if judged_by_mean(slot, layout)]
    looks = take_looks(
        differences(layout, fine),
        layout.analyses,
        owners(layout),
        guards(layout),
        layout.settings.cap_d0,
        documents=document_differences(layout, fine),
        limit=limit,
    )
    looks = looks._replace(calibration=calibration(owners(layout), layout.settings.design == "sequential"))
    collapse = np.full(looks.seen.n.shape[1:], np.nan)
    harmed = np.zeros(collapse.shape, dtype=bool)
    for place, slot in layout.slots.items():
        harmed[place] = bool(slot.judged) and slot.gate.harm
        if slot.judged and slot.gate.state == "all or none":
            collapse[place] = _over_all_analyses(slot.gate.p, layout, slot)
    return CellEvidence(looks, collapse, harmed, np.isfinite(looks.seen.n).any(axis=0) | np.isfinite(collapse))


def owners(layout: Layout) -> Numbers:
    """The clean arm of each check, as a number."""
    methods = sorted({method for method, _ in layout.checks})
    return np.array([methods.index(method) for method, _ in layout.checks])


def judged_by_mean(slot: Slot, layout: Layout) -> bool:
    """Whether the mean drop of a cell may be judged."""
    return slot.gate.state == "fine" and role(slot.method, slot.check, layout.settings) != "identity"


def _over_all_analyses(p: float, layout: Layout, slot: Slot) -> float:
    rank = max(layout.ranks[slot.method][seed] for seed in slot.judged)
    at = next(number for number, n in enumerate(layout.analyses) if n > rank)
    # Only one analysis can give this p; the other analyses gave none, and count as 1.
    each = np.ones(len(layout.analyses))
    each[at] = p
    return min(1.0, float(total_level(layout.analyses, each).min()))


def pool_sparsities(
    layout: Layout, cells: CellEvidence, informative: Mapping[CellIndex, bool]
) -> tuple[tuple[int, ...], ...]:
    """Which sparsities each check is averaged over: those judged by their mean where the positive control is hurt.

    Where it is hurt nowhere, all of them: nothing can be called independent there, but a check may still matter.
    """
    judged = cells.judged & np.isfinite(cells.looks.seen.n).any(axis=0)
    pools = []
    for j in range(len(layout.checks)):
        every = [k for k in range(len(layout.sparsities)) if judged[k, j]]
        pools.append(tuple([k for k in every if informative[k, j]] or every))
    return tuple(pools)


def weigh_means(layout: Layout, cells: CellEvidence, pools: Sequence[tuple[int, ...]], limit: float) -> Looks:
    """The analyses of every check's per-seed mean over its sparsities."""
    places = [place for place, slot in layout.slots.items() if judged_by_mean(slot, layout)]
    d = differences(layout, places)
    single = document_differences(layout, places)
    return analyse_means(d, guards(layout), owners(layout), cells, pools, layout.settings.cap_d0, limit, single)


def analyse_means(
    d: Array,
    guard: Array,
    owner: Numbers,
    cells: CellEvidence,
    pools: Sequence[tuple[int, ...]],
    cap: float,
    limit: float,
    single: Array | None = None,
) -> Looks:
    """The analyses of the per-seed means of *d* (sparsities, checks, seeds) over *pools*: the mean of each seed comes
    first, so that seeds stay independent.

    Variances are moderated only among checks that are averaged over the same sparsities. *single*: the differences of
    single documents, (sparsities, checks, seeds, documents).
    """
    looks = cells.looks
    parts = Noise(*(np.full((len(looks.analyses), len(pools)), np.nan) for _ in Noise._fields))
    for pool in {pool for pool in pools if pool}:
        same = [j for j, other in enumerate(pools) if other == pool]
        if len(pool) == 1:
            seen = Noise(*(part[:, pool[0], same] for part in looks.seen))
        else:
            among = np.ix_(pool, same)
            # The variance of a mean of independent values: their summed variances over the square of their number.
            floor = guard[among].sum(axis=0, keepdims=True) / len(pool) ** 2
            likeness = looks.seen.likeness[:, :1, same]
            mean = d[among].mean(axis=0, keepdims=True)
            documents = None if single is None else single[among].mean(axis=0, keepdims=True)
            found = take_looks(mean, looks.analyses, owner[same], floor, cap, likeness, documents, limit).seen
            seen = Noise(*(part[:, 0] for part in found))
        for part, values in zip(parts, seen, strict=True):
            part[:, same] = values
    return Looks(looks.analyses, parts, looks.calibration)
