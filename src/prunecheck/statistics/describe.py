"""Numbers become cells with sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import NamedTuple

from prunecheck.statistics.controls import Controls, plain_answer, seeds, signed
from prunecheck.statistics.evidence import CellEvidence, CheckEvidence, Place
from prunecheck.statistics.gates import remarks
from prunecheck.statistics.inference import Looks, bounds, latest
from prunecheck.statistics.layout import Layout, Slot
from prunecheck.statistics.outcome import Answer, Cell
from prunecheck.statistics.roles import role
from prunecheck.statistics.settings import MIN_SEEDS, next_look
from prunecheck.statistics.variance import Array
from prunecheck.text import percent

SEEDS_FACTOR = 8.6
"""(1.645 + 1.282)^2, rounded: the two normal quantiles of 5 % error and 90 % chance of an answer."""


class Ruling(NamedTuple):
    """What was decided about a mean: the answer, its two p values, the margin, and remarks."""

    answer: Answer
    p_depends: float
    p_not: float
    margin: float
    notes: tuple[str, ...] = ()


def seeds_needed(sd: float, margin: float) -> int:
    """About how many pairs give a 90 % chance of an answer, if the true drop is nothing or twice the margin.

    *sd*: standard deviation of a paired difference, *margin*: both points. One-sided normal approximation.
    """
    return max(MIN_SEEDS, math.ceil(SEEDS_FACTOR * (sd / margin) ** 2))


def describe_cell(layout: Layout, cells: CellEvidence, controls: Controls, margin: float, place: Place) -> Cell:
    """One method x check x sparsity."""
    slot = layout.slots[place]
    answer, why = _answer(layout, cells, controls, place)
    notes = (*why, *_waiting(layout, slot), *remarks(slot.pairs[seed] for seed in slot.shown))
    ruling = Ruling(answer, _known(cells.above[place]), _known(cells.below[place]), margin, notes)
    drops = {seed: slot.drop(seed) for seed in slot.shown}
    return _cell(cells.looks, place, drops, [slot], ruling)


def describe_mean(layout: Layout, checks: CheckEvidence, margin: float, j: int, answer: Answer) -> Cell | None:
    """A check over its sparsities, each seed averaged first. None where no look was taken at such a mean.

    Its ``sparsity`` is NaN where there are several.
    """
    slots = [layout.slots[k, j] for k in checks.pools[j]]
    common = [seed for seed in slots[0].judged if all(seed in slot.judged for slot in slots)] if slots else []
    if len(common) < MIN_SEEDS:
        return None
    drops = {seed: fmean(slot.drop(seed) for slot in slots) for seed in common}
    ruling = Ruling(answer, float(checks.above[j]), float(checks.below[j]), margin)
    return _cell(checks.looks, (j,), drops, slots, ruling)


def _cell(
    looks: Looks, index: tuple[int, ...], drops: Mapping[int, float], slots: Sequence[Slot], ruling: Ruling
) -> Cell:
    seen = looks.seen
    low, high = (float(bound[index]) for bound in bounds(looks))
    borrowed = math.sqrt(_last(seen.borrowed, index))
    sd = stdev(drops.values()) if len(drops) > 1 else math.nan
    needed = None
    if ruling.answer == "INCONCLUSIVE" and math.isfinite(borrowed):
        needed = seeds_needed(borrowed, ruling.margin)
    cell = Cell(
        sparsity=slots[0].sparsity if len(slots) == 1 else math.nan,
        verdict=ruling.answer,
        n=len(drops),
        mean_drop=fmean(drops.values()) if drops else math.nan,
        low=low,
        high=high,
        margin=ruling.margin,
        p_depends=ruling.p_depends,
        p_not=ruling.p_not,
        sd=sd,
        borrowed_sd=borrowed,
        d0=_last(seen.d0, index),
        floor_sd=math.sqrt(sum(slot.floor for slot in slots)) / len(slots),
        break_even=low if ruling.answer == "DEPENDS" else high,
        seeds_needed=needed if needed is not None and needed > len(drops) else None,
        win_share=fmean((drop > 0) + 0.5 * (drop == 0) for drop in drops.values()) if drops else math.nan,
        differences={str(seed): drop for seed, drop in drops.items()},
        sentence="",
        notes=ruling.notes,
    )
    return _spoken(cell, strata(slot.sparsity for slot in slots))


def _spoken(cell: Cell, label: str) -> Cell:
    words = [f"{label}: {figures(cell)}, {cell.verdict}"]
    if cell.verdict == "INCONCLUSIVE" and math.isfinite(cell.low):
        words.append(lean(cell))
    if cell.verdict == "DOES NOT DEPEND" and cell.high < -cell.margin:
        words.append("corruption helps")
    return replace(cell, sentence=", ".join((*words, *cell.notes)) + ".")


def lean(cell: Cell) -> str:
    """Which way an undecided cell leans, and what it would take."""
    way = "it hurts, how much is unclear" if cell.low > 0 else "no clear sign of harm"
    if cell.seeds_needed is None:
        return f"{way}; too close to the margin to call"
    return f"{way}; needs about {cell.seeds_needed} seeds"


def figures(cell: Cell) -> str:
    """``mean drop +0.40 points, 90% CI [-0.60, +1.40], 5 seeds``."""
    if not cell.n:
        return "no pair of runs yet"
    interval = f", 90% CI [{signed(cell.low)}, {signed(cell.high)}]" if math.isfinite(cell.low) else ""
    return f"mean drop {signed(cell.mean_drop)} points{interval}, {seeds(cell.n)}"


def strata(sparsities: Iterable[float]) -> str:
    """``90/95/98%``."""
    return "/".join(percent(sparsity).removesuffix("%") for sparsity in sparsities) + "%"


def _answer(layout: Layout, cells: CellEvidence, controls: Controls, place: Place) -> tuple[Answer, tuple[str, ...]]:
    """The verdict of a cell after every gate and control, and why it is not the plain one."""
    slot = layout.slots[place]
    if role(slot.method, slot.check, layout.settings) == "identity":
        if not slot.pairs:
            return "INCONCLUSIVE", ()
        same = all(slot.drop(seed) == 0 for seed in slot.pairs)
        return ("DOES NOT DEPEND", ("equal to the bit",)) if same else ("UNINFORMATIVE", ("not deterministic",))
    if slot.gate.state == "refused":
        return "UNINFORMATIVE", (f"refused: {slot.gate.reason}",)
    if place[0] in controls.invalid:
        return "UNINFORMATIVE", ("a control failed at this sparsity",)
    plain = plain_answer(layout, cells, place)
    notes = (slot.gate.reason,) if slot.gate.reason else ()
    if cells.above[place] <= layout.settings.alpha and cells.below[place] <= layout.settings.alpha:
        notes = (*notes, "the looks contradict each other")
    if plain == "DOES NOT DEPEND":
        if not controls.informative[place]:
            return "UNINFORMATIVE", ("the positive control is not hurt here either, so nobody can tell",)
        if not controls.guarded[place] and role(slot.method, slot.check, layout.settings) is None:
            notes = (*notes, "(unguarded)")
    return plain, notes


def _waiting(layout: Layout, slot: Slot) -> tuple[str, ...]:
    """Seeds that do not count (yet), and why."""
    notes = []
    if slot.unpaired:
        notes.append(f"{seeds(slot.unpaired)} without a partner in the other arm left out")
    waiting = len(slot.pairs) - len(slot.judged)
    upcoming = next_look(len(layout.ranks[slot.method]), layout.settings)
    if len(slot.shown) < MIN_SEEDS:
        notes.append(f"needs at least {MIN_SEEDS} seeds")
    elif waiting and upcoming is None:
        notes.append(f"{seeds(waiting)} beyond the last look at {layout.width} left out")
    elif waiting:
        notes.append(f"{seeds(waiting)} waiting for the look at {upcoming}")
    return tuple(notes)


def _known(p: float) -> float:
    return 1.0 if math.isnan(p) else float(p)


def _last(values: Array, index: tuple[int, ...]) -> float:
    return float(latest(values)[index])
