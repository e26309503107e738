"""The evidence of a real study: p values of every cell and every check, gates applied."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from prunecheck.statistics.inference import Looks, hint_above, p_above, p_below, take_looks
from prunecheck.statistics.layout import Layout, Slot, differences, guards
from prunecheck.statistics.procedure import p_check_depends, p_check_fails
from prunecheck.statistics.roles import role
from prunecheck.statistics.variance import Array, Noise

Place = tuple[int, int]
"""(sparsity index, check index)"""


@dataclass(frozen=True)
class CellEvidence:
    """Arrays (sparsities, checks), NaN where a cell is not judged: sequential p for "above the margin", "below it"
    and "below minus the margin"; ``hints``: the smallest plain p for "above" at any look."""

    looks: Looks
    above: Array
    below: Array
    helps: Array
    hints: Array

    def without(self, strata: Collection[int]) -> CellEvidence:
        """The same with some sparsities struck out."""
        out = np.isin(np.arange(self.above.shape[0]), list(strata))[:, None]
        return CellEvidence(
            self.looks,
            above=np.where(out, np.nan, self.above),
            below=np.where(out, np.nan, self.below),
            helps=np.where(out, np.nan, self.helps),
            hints=np.where(out, np.nan, self.hints),
        )


@dataclass(frozen=True)
class CheckEvidence:
    """Arrays (checks,): the looks at the per-seed mean over the pooled sparsities; p that the check matters, p that
    it does not; sequential p of the mean alone for "above" and "below" the margin."""

    looks: Looks
    pools: tuple[tuple[int, ...], ...]
    depends: Array
    fails: Array
    above: Array
    below: Array


def weigh_cells(layout: Layout, margin: float) -> CellEvidence:
    """Evidence of every cell. Cells with collapsed runs are judged by Fisher's exact test or not at all."""
    fine = [place for place, slot in layout.slots.items() if _by_mean(slot, layout)]
    looks = take_looks(differences(layout, fine), layout.looks, guards(layout), layout.settings.cap_d0)
    there = np.isfinite(looks.seen.n).any(axis=0)
    found = CellEvidence(
        looks,
        above=np.where(there, p_above(looks, margin), np.nan),
        below=np.where(there, p_below(looks, margin), np.nan),
        helps=np.where(there, p_below(looks, -margin), np.nan),
        hints=np.where(there, hint_above(looks, margin), np.nan),
    )
    for place, slot in layout.slots.items():
        if slot.judged and slot.gate.harm:
            found.hints[place] = 0.0
        if slot.judged and slot.gate.state == "all or none":
            found.above[place] = min(1.0, slot.gate.p * layout.settings.alpha / _alpha_of_latest_look(layout, slot))
            found.below[place] = found.helps[place] = 1.0
    return found


def _by_mean(slot: Slot, layout: Layout) -> bool:
    return slot.gate.state == "fine" and role(slot.method, slot.check, layout.settings) != "identity"


def _alpha_of_latest_look(layout: Layout, slot: Slot) -> float:
    rank = max(layout.ranks[slot.method][seed] for seed in slot.judged)
    return next(look.alpha for look in layout.looks if look.n > rank)


def pool_sparsities(layout: Layout, cells: CellEvidence, informative: Mapping[Place, bool]) -> list[tuple[int, ...]]:
    """Which sparsities each check is averaged over: those judged by their mean where the positive control worked.

    Where it worked nowhere, all of them: nothing can be called independent there, but a check may still matter.
    """
    judged = np.isfinite(cells.below) & np.isfinite(cells.looks.seen.n).any(axis=0)
    pools = []
    for j in range(len(layout.checks)):
        every = [k for k in range(len(layout.sparsities)) if judged[k, j]]
        pools.append(tuple([k for k in every if informative[k, j]] or every))
    return pools


def weigh_checks(layout: Layout, cells: CellEvidence, pools: Sequence[tuple[int, ...]], margin: float) -> CheckEvidence:
    """Evidence of every check over its sparsities. The mean of each seed is taken first, so seeds stay independent.

    Variance is borrowed only among checks that are averaged over the same sparsities.
    """
    places = [place for place, slot in layout.slots.items() if _by_mean(slot, layout)]
    d, guard = differences(layout, places), guards(layout)
    parts = Noise(*(np.full((len(layout.looks), len(pools)), np.nan) for _ in Noise._fields))
    for pool in {pool for pool in pools if pool}:
        members = [j for j, other in enumerate(pools) if other == pool]
        if len(pool) == 1:
            seen = Noise(*(part[:, pool[0], members] for part in cells.looks.seen))
        else:
            among = np.ix_(pool, members)
            floor = guard[among].sum(axis=0) / len(pool) ** 2
            mean = d[among].mean(axis=0)
            seen = take_looks(mean, layout.looks, floor, layout.settings.cap_d0).seen
        for part, values in zip(parts, seen, strict=True):
            part[:, members] = values
    looks = Looks(np.array([look.alpha for look in layout.looks]), parts)
    above, below = p_above(looks, margin), p_below(looks, margin)
    return CheckEvidence(
        looks,
        tuple(pools),
        depends=np.nan_to_num(p_check_depends(cells.above, above), nan=1.0),
        fails=p_check_fails(below, cells.hints),
        above=above,
        below=below,
    )
