"""Builds the reported ``Cell`` of every method x check x sparsity and of every mean over sparsities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from prunecheck.statistics.analysis import Analysis
from prunecheck.statistics.controls import plain_answer, seeds
from prunecheck.statistics.crossed import equivalent_dof
from prunecheck.statistics.evidence import CellEvidence
from prunecheck.statistics.gates import remarks
from prunecheck.statistics.inference import LIMIT, Looks, bounds, latest, limited_low, p_above, p_below
from prunecheck.statistics.layout import CellIndex, Layout, Slot
from prunecheck.statistics.outcome import Answer, Cell, ComparisonAnswer, DocumentSpread
from prunecheck.statistics.procedure import members
from prunecheck.statistics.roles import role
from prunecheck.statistics.rows import amount, number, size, unit
from prunecheck.statistics.settings import MIN_SEEDS, next_look
from prunecheck.statistics.variance import Array, Noise
from prunecheck.text import percent

CHANCE_OF_AN_ANSWER = 0.90


class Ruling(NamedTuple):
    """What was decided about a mean: the answer, its two p values, the margin, the levels of the two bounds, and
    remarks."""

    answer: Answer | ComparisonAnswer
    p_depends: float
    p_not: float
    margin: float
    low_level: float
    high_level: float
    notes: tuple[str, ...] = ()


def seeds_needed(sd: float, margin: float, level: float = 0.05, shared: float = 0.0) -> float:
    """About how many pairs a new study with a fixed number of seeds needs to have a 90 % chance of an answer, if the
    true drop is nothing or twice the margin.

    *sd*: standard deviation of a paired difference, *margin*: both points; *level*: one-sided; *shared*: the part of
    the variance of the mean that seeds do not reduce, which can make the number infinite. Normal approximation.
    """
    factor = float(ndtri(level) + ndtri(1 - CHANCE_OF_AN_ANSWER)) ** 2
    left = margin**2 - factor * shared
    return max(MIN_SEEDS, math.ceil(factor * sd**2 / left)) if left > 0 else math.inf


def seeds_needed_at(drop: float, sd: float, margin: float, level: float = 0.05) -> float:
    """As ``seeds_needed``, if the true drop is *drop* (points); infinite where that is the margin itself."""
    if drop == margin or not math.isfinite(sd):
        return math.inf
    return float(seeds_needed(sd, abs(drop - margin), level))


def describe_cell(analysis: Analysis, place: CellIndex) -> Cell:
    """One method x check x sparsity."""
    layout, cells, margin = analysis.layout, analysis.checks.cells, analysis.margin.points
    slot, alpha = layout.slots[place], layout.settings.alpha
    answer, why = _answer(analysis, place)
    notes = (*why, *_waiting(layout, slot), *remarks(slot.pairs[seed] for seed in slot.shown))
    above, below = cells.above(margin)[place], cells.below(margin)[place]
    ruling = Ruling(answer, _known(above), _known(below), margin, alpha, alpha, notes)
    drops = {seed: slot.drop(seed) for seed in slot.shown}
    return make_cell(cells.looks, place, drops, [slot], ruling)


def describe_mean(analysis: Analysis, j: int, answer: Answer) -> Cell | None:
    """A check over its sparsities, each seed averaged first. None where such a mean was not analysed.

    Its ``sparsity`` is NaN where there are several.
    """
    layout, checks, alpha = analysis.layout, analysis.checks, analysis.layout.settings.alpha
    slots = [layout.slots[k, j] for k in checks.pools[j]]
    common = [seed for seed in slots[0].judged if all(seed in slot.judged for slot in slots)] if slots else []
    if len(common) < MIN_SEEDS:
        return None
    drops = {seed: fmean(slot.drop(seed) for slot in slots) for seed in common}
    margin = analysis.margin.points
    above, below = p_above(checks.looks, margin)[j], p_below(checks.looks, margin)[j]
    level = alpha / float(members(checks.cells.above(margin))[j])
    return make_cell(checks.looks, (j,), drops, slots, Ruling(answer, above, below, margin, level, alpha))


def make_cell(
    looks: Looks,
    index: tuple[int, ...],
    drops: Mapping[int, float],
    slots: Sequence[Slot],
    ruling: Ruling,
    backward: Looks | None = None,
) -> Cell:
    """The numbers of one mean, with its sentence. *backward*: the analyses of minus the drops, which decide WORSE."""
    seen = looks.seen
    low = float(bounds(looks, ruling.low_level)[0][index])
    high = float(bounds(looks, ruling.high_level)[1][index])
    is_limited = float(limited_low(looks, ruling.low_level)[index]) == low > -math.inf
    if ruling.answer == "WORSE" and backward is not None:
        at_least = float(limited_low(backward, ruling.high_level)[index])
        is_limited, high = at_least > -high, min(high, -at_least)
    moderated = math.sqrt(_last(seen.borrowed, index))
    needed = None
    if ruling.answer == "INCONCLUSIVE" and math.isfinite(moderated):
        enough = seeds_needed(moderated, ruling.margin, ruling.low_level, _last(seen.shared, index))
        needed = int(enough) if math.isfinite(enough) else None
    cell = Cell(
        sparsity=slots[0].sparsity if len(slots) == 1 else math.nan,
        verdict=ruling.answer,
        n=len(drops),
        mean_drop=fmean(drops.values()) if drops else math.nan,
        low=low,
        high=high,
        margin=ruling.margin,
        p_depends=float(ruling.p_depends),
        p_not=float(ruling.p_not),
        sd=stdev(drops.values()) if len(drops) > 1 else math.nan,
        borrowed_sd=moderated,
        d0=_last(seen.d0, index),
        floor_sd=math.sqrt(sum(slot.floor for slot in slots)) / len(slots),
        break_even=low if ruling.answer in ("DEPENDS", "BETTER") else high,
        seeds_needed=needed if needed is not None and needed > len(drops) else None,
        win_share=fmean((drop > 0) + 0.5 * (drop == 0) for drop in drops.values()) if drops else math.nan,
        differences={str(seed): drop for seed, drop in drops.items()},
        sentence="",
        notes=ruling.notes,
        low_level=ruling.low_level,
        high_level=ruling.high_level,
        unit=unit(slots[0].metric),
        documents=_documents(looks, index, slots),
        limit=LIMIT * ruling.margin if is_limited else None,
    )
    return _with_sentence(cell, strata(slot.sparsity for slot in slots))


def _documents(looks: Looks, index: tuple[int, ...], slots: Sequence[Slot]) -> DocumentSpread | None:
    """The parts of the noise at the last analysis; None without documents or before the first analysis."""
    single = next(iter((slots[0].documents or {}).values()), None)
    seen = Noise(*(np.asarray(_last(part, index)) for part in looks.seen))
    if single is None or not np.isfinite(seen.n):
        return None
    dof = float(equivalent_dof(seen, 0.05))
    return DocumentSpread(len(single), math.sqrt(seen.borrowed / seen.n), math.sqrt(seen.shared), dof)


def _with_sentence(cell: Cell, label: str) -> Cell:
    words = [f"{label}: {figures(cell)}, {cell.verdict}"]
    if cell.verdict == "INCONCLUSIVE" and math.isfinite(cell.low):
        words.append(lean(cell))
    if cell.verdict == "DOES NOT DEPEND" and cell.high < -cell.margin:
        words.append("corruption helps")
    return replace(cell, sentence=", ".join((*words, *cell.notes)) + ".")


def lean(cell: Cell) -> str:
    """What an undecided cell leaves open, and what it would take."""
    if cell.low > 0:
        text = "something is lost, whether more than the margin is not shown"
    elif cell.low > cell.margin or cell.high < cell.margin:
        text = "the mean alone would decide"
    else:
        text = "neither more nor less than the margin is shown"
    if cell.seeds_needed is None:
        few = cell.documents is not None and cell.documents.error_documents > cell.documents.error_seeds
        return f"{text}; more documents would reduce the noise, more seeds hardly" if few else text
    return f"{text}; a study with about {cell.seeds_needed} seeds would be likely to decide"


def figures(cell: Cell) -> str:
    """``mean drop +0.40 points, 90% interval [-0.60, +1.40], 5 seeds``."""
    if not cell.n:
        return "no pair of runs yet"
    return f"mean drop {amount(cell.mean_drop, cell.unit)}{interval(cell)}, {sample(cell)}"


def sample(cell: Cell) -> str:
    """``5 seeds``, ``5 seeds x 24 documents``."""
    return seeds(cell.n) + (f" x {cell.documents.documents} documents" if cell.documents else "")


def interval(cell: Cell) -> str:
    """The bounds that the verdict uses, and their level: the share of studies in which both hold."""
    if not (math.isfinite(cell.low) and math.isfinite(cell.high)):
        return ""
    level = f"{100 * (1 - cell.low_level - cell.high_level):.3g}%"
    text = f", {level} interval [{number(cell.low, cell.unit)}, {number(cell.high, cell.unit)}]"
    if not cell.low <= cell.mean_drop <= cell.high:  # the tightest bound counts, and it came with fewer seeds
        text += " from an earlier analysis"
    if cell.limit is None:
        return text
    least = -cell.high if cell.verdict == "WORSE" else cell.low
    words = f"counting larger differences as {size(cell.limit, cell.unit)}"
    return f"{text} (at least {size(least, cell.unit)}, {words})" if least > 0 else f"{text} ({words} for the low end)"


def strata(sparsities: Iterable[float]) -> str:
    """``90/95/98%``."""
    return "/".join(percent(sparsity).removesuffix("%") for sparsity in sparsities) + "%"


def _answer(analysis: Analysis, place: CellIndex) -> tuple[Answer, tuple[str, ...]]:
    """The verdict of a cell after every gate and control, and why it is not the plain one."""
    layout, controls = analysis.layout, analysis.controls
    cells: CellEvidence = analysis.checks.cells
    slot, margin, alpha = layout.slots[place], analysis.margin.points, layout.settings.alpha
    part = role(slot.method, slot.check, layout.settings)
    if part == "identity":
        if not slot.pairs:
            return "INCONCLUSIVE", ()
        same = all(slot.drop(seed) == 0 for seed in slot.pairs)
        return ("DOES NOT DEPEND", ("equal to the bit",)) if same else ("UNINFORMATIVE", ("not deterministic",))
    if slot.gate.state == "refused":
        return "UNINFORMATIVE", (f"refused: {slot.gate.reason}",)
    if place[0] in controls.invalid:
        return "UNINFORMATIVE", ("a control failed at this sparsity",)
    plain = plain_answer(layout, cells, margin, place)
    notes = (slot.gate.reason,) if slot.gate.reason else ()
    if cells.above(margin)[place] <= alpha and cells.below(margin)[place] <= alpha:
        notes = (*notes, "two analyses contradict each other")
    if plain == "DOES NOT DEPEND" and part in (None, "positive"):
        guard = controls.guards[place]
        if guard == "unhurt":
            return "UNINFORMATIVE", (*notes, "the positive control is shown to lose less than the margin here, too")
        if guard == "open":
            return "INCONCLUSIVE", (*notes, "(unguarded yet) the positive control is not shown to be hurt here yet")
        if analysis.checks.blocked[place[1]]:
            return "INCONCLUSIVE", (*notes, analysis.checks.blocked[place[1]])
        if guard == "none" and part is None:
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
        notes.append(f"{seeds(waiting)} beyond the last analysis at {layout.width} left out")
    elif waiting:
        notes.append(f"{seeds(waiting)} waiting for the analysis at {upcoming}")
    return tuple(notes)


def _known(p: float) -> float:
    return 1.0 if math.isnan(p) else float(p)


def _last(values: Array, index: tuple[int, ...]) -> float:
    return float(latest(values)[index])
