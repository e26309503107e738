"""Head to head: the clean arm of one method against the clean arm of another, paired by seed.

The same machinery as for a check, with the lead of the first method in place of the drop, applied in both directions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

import numpy as np

from prunecheck.errors import StudyError
from prunecheck.statistics.analysis import Analysis
from prunecheck.statistics.calibration import calibration
from prunecheck.statistics.describe import Ruling, interval, make_cell, sample, strata
from prunecheck.statistics.evidence import CellEvidence, CheckEvidence, analyse_means
from prunecheck.statistics.gates import Gate, learning_epochs, remarks
from prunecheck.statistics.inference import LIMIT, Looks, p_above, p_below, take_looks
from prunecheck.statistics.layout import GUARD, CellIndex, Layout, Slot, differences, document_drops, guards
from prunecheck.statistics.outcome import UNEQUAL_TRAINING, Cell, ComparisonAnswer, ComparisonVerdict, MarginCurve
from prunecheck.statistics.procedure import members
from prunecheck.statistics.roles import RANDOM_TICKET
from prunecheck.statistics.rows import amount, size
from prunecheck.statistics.settings import MIN_SEEDS
from prunecheck.statistics.variance import Noise, Numbers
from prunecheck.text import nearest


class _Pairing(NamedTuple):
    """One comparison before statistics: its slots by sparsity index, and the rank of each common seed."""

    first: str
    second: str
    slots: dict[int, Slot]
    ranks: dict[int, int]


def pairs_to_compare(layout: Layout) -> tuple[tuple[str, str], ...]:
    """The comparisons of a study: those of ``Settings.compare``, else every method under test against the
    random ticket. Raises StudyError for a method without a clean arm."""
    methods = sorted({method for method, _ in layout.clean})
    wanted = layout.settings.compare
    if wanted is None:
        if RANDOM_TICKET not in methods:
            return ()
        tested = [m for m in methods if m not in (RANDOM_TICKET, layout.settings.positive_control)]
        return tuple((method, RANDOM_TICKET) for method in tested)
    for name in {name for pair in wanted for name in pair}:
        if name not in methods:
            guess = nearest(name, methods)
            there = f"Did you mean {guess!r}?" if guess else f"There are: {', '.join(methods)}."
            raise StudyError(f"compare: no clean arm of {name!r} is there. {there}")
    return wanted


def judge_comparisons(analysis: Analysis) -> tuple[ComparisonVerdict, ...]:
    """Every comparison of the study. Their variances are moderated by each other's and by those of the checks."""
    layout = analysis.layout
    pairings = [_pairing(layout, first, second) for first, second in pairs_to_compare(layout)]
    if not pairings:
        return ()
    limit = LIMIT * analysis.margin.points
    forward = _weigh(layout, pairings, 1, limit)
    backward = _weigh(layout, pairings, -1, limit)
    return tuple(_judge(analysis, pairing, j, forward, backward) for j, pairing in enumerate(pairings))


def _pairing(layout: Layout, first: str, second: str) -> _Pairing:
    common = {
        k: sorted(layout.clean[first, s].keys() & layout.clean[second, s].keys())
        for k, s in enumerate(layout.sparsities)
        if (first, s) in layout.clean and (second, s) in layout.clean
    }
    ranks = {seed: rank for rank, seed in enumerate(sorted(set().union(*common.values()) if common else set()))}
    fixed = layout.settings.design == "fixed"
    width = len(ranks) if fixed else max((n for n in layout.analyses if n <= len(ranks)), default=0)
    slots = {}
    for k, shared in common.items():
        if shared:
            arms = layout.clean[first, layout.sparsities[k]], layout.clean[second, layout.sparsities[k]]
            pairs = {seed: (arms[0][seed], arms[1][seed]) for seed in shared}
            judged = tuple(seed for seed in shared if ranks[seed] < width)
            unpaired = len(arms[0].keys() ^ arms[1].keys())
            slots[k] = Slot(
                first,
                second,
                layout.sparsities[k],
                pairs,
                judged,
                unpaired,
                Gate("fine"),
                layout.settings.metric,
                document_drops(pairs, layout.single),
            )
    return _Pairing(first, second, slots, ranks)


def _weigh(layout: Layout, pairings: Sequence[_Pairing], sign: int, limit: float) -> CheckEvidence:
    """The evidence that the first method leads (*sign* 1) or the second (-1), one column a comparison.

    Leads above *limit* (points) count as the limit in a second test (see ``inference``).
    """
    count = len(pairings)
    analyses = layout.analyses
    if layout.settings.design == "fixed":
        analyses = (max(1, *(len(pairing.ranks) for pairing in pairings), layout.width),)
    leads = np.full((len(layout.sparsities), count, analyses[-1]), np.nan)
    guard = np.zeros((len(layout.sparsities), count))
    single = np.full((*leads.shape, layout.documents), np.nan) if layout.documents else None
    for j, pairing in enumerate(pairings):
        for k, slot in pairing.slots.items():
            guard[k, j] = GUARD * slot.floor
            for seed in slot.judged:
                leads[k, j, pairing.ranks[seed]] = sign * slot.drop(seed)
                if single is not None and slot.documents is not None:
                    single[k, j, pairing.ranks[seed]] = sign * slot.documents[seed]
    checks = differences(layout, [place for place, slot in layout.slots.items() if slot.gate.state == "fine"])
    checks = np.pad(checks, ((0, 0), (0, 0), (0, analyses[-1] - checks.shape[-1])), constant_values=np.nan)
    every = np.concatenate([leads, checks], axis=1)
    owner = _owners(layout, pairings)
    cap = layout.settings.cap_d0
    floors = np.concatenate([guard, guards(layout)], axis=1)
    if single is None:
        seen = take_looks(every, analyses, owner, floors, cap, limit=limit)
    else:  # variances are not moderated, so that the checks are of no use here
        seen = take_looks(leads, analyses, owner[:count], guard, cap, documents=single)
    share = calibration(owner, layout.settings.design == "sequential")
    looks = Looks(analyses, Noise(*(part[..., :count] for part in seen.seen)), share)
    none = np.full(guard.shape, np.nan)
    cells = CellEvidence(looks, none, np.zeros(guard.shape, bool), np.asarray(np.isfinite(looks.seen.n).any(axis=0)))
    pools = tuple(tuple(k for k in sorted(p.slots) if cells.judged[k, j]) for j, p in enumerate(pairings))
    return CheckEvidence(
        cells, analyse_means(leads, guard, owner[:count], cells, pools, cap, limit, single), pools, ("",) * count
    )


def _owners(layout: Layout, pairings: Sequence[_Pairing]) -> Numbers:
    """Which differences share a run: comparisons by their second method, checks by their clean arm."""
    names = [*(pairing.second for pairing in pairings), *(method for method, _ in layout.checks)]
    order = sorted(set(names))
    return np.array([order.index(name) for name in names])


def _judge(
    analysis: Analysis, pairing: _Pairing, j: int, forward: CheckEvidence, backward: CheckEvidence
) -> ComparisonVerdict:
    layout, margin, alpha = analysis.layout, analysis.margin.points, analysis.layout.settings.alpha
    better, worse = forward.depends(margin)[j] <= alpha, backward.depends(margin)[j] <= alpha
    below, above = forward.fails(margin)[j] <= alpha, backward.fails(margin)[j] <= alpha
    answer: ComparisonAnswer = "INCONCLUSIVE"
    if better != worse:
        answer = "BETTER" if better else "WORSE"
    elif below and not better:
        answer = "NOT BETTER"
    cells = tuple(_cell(forward, backward, pairing, (k, j), margin, alpha) for k in sorted(pairing.slots))
    pooled = _pooled(forward, backward, pairing, j, answer, margin, alpha)
    equivalent = answer == "NOT BETTER" and bool(above)
    last = layout.settings.design == "fixed" or len(pairing.ranks) >= layout.analyses[-1]
    invalid = bool(analysis.controls.invalid)
    curve, reverse = _curve(forward, j, alpha), _curve(backward, j, alpha)
    return ComparisonVerdict(
        first=pairing.first,
        second=pairing.second,
        verdict=answer,
        sentence=_sentence(pairing, answer, pooled, cells, equivalent=equivalent, crossed=bool(better and worse)),
        cells=cells,
        pooled=pooled,
        equivalent=equivalent,
        open=answer == "INCONCLUSIVE" and not last and not invalid,
        curve=curve,
        reverse=reverse,
        notes=(
            *(note for k in sorted(pairing.slots) for note in remarks(pairing.slots[k].pairs.values())),
            *_unequal_training(pairing),
        ),
    )


def _curve(evidence: CheckEvidence, j: int, alpha: float) -> MarginCurve:
    low, high = float(evidence.found_below(alpha)[j]), float(evidence.excluded_above(alpha)[j])
    return MarginCurve(low, max(high, low))


def _cell(
    forward: CheckEvidence,
    backward: CheckEvidence,
    pairing: _Pairing,
    place: CellIndex,
    margin: float,
    alpha: float,
) -> Cell:
    slot = pairing.slots[place[0]]
    above, below = forward.cells.above(margin)[place], forward.cells.below(margin)[place]
    answer: ComparisonAnswer = "INCONCLUSIVE"
    if above <= alpha:
        answer = "BETTER"
    elif backward.cells.above(margin)[place] <= alpha:
        answer = "WORSE"
    elif below <= alpha:
        answer = "NOT BETTER"
    leads = {seed: slot.drop(seed) for seed in slot.shown}
    p, q = (1.0 if math.isnan(value) else float(value) for value in (above, below))
    cell = make_cell(
        forward.cells.looks, place, leads, [slot], Ruling(answer, p, q, margin, alpha, alpha), backward.cells.looks
    )
    return _with_lead(cell, strata([slot.sparsity]))


def _pooled(
    forward: CheckEvidence,
    backward: CheckEvidence,
    pairing: _Pairing,
    j: int,
    answer: ComparisonAnswer,
    margin: float,
    alpha: float,
) -> Cell | None:
    slots = [pairing.slots[k] for k in forward.pools[j]]
    common = [seed for seed in slots[0].judged if all(seed in slot.judged for slot in slots)] if slots else []
    if len(common) < MIN_SEEDS:
        return None
    leads = {seed: fmean(slot.drop(seed) for slot in slots) for seed in common}
    p, q = float(p_above(forward.looks, margin)[j]), float(p_below(forward.looks, margin)[j])
    # the bound that a lead of either method is decided by is corrected for several sparsities
    strict = alpha / float(members(forward.cells.above(margin))[j])
    low = strict if answer in ("BETTER", "INCONCLUSIVE") else alpha
    high = strict if answer in ("WORSE", "INCONCLUSIVE") else alpha
    cell = make_cell(forward.looks, (j,), leads, slots, Ruling(answer, p, q, margin, low, high), backward.looks)
    return _with_lead(cell, strata(slot.sparsity for slot in slots))


def _with_lead(cell: Cell, label: str) -> Cell:
    return replace(cell, sentence=f"{label}: {_figures(cell)}, {cell.verdict}.")


def _figures(cell: Cell) -> str:
    if not cell.n:
        return "no common seed yet"
    return f"lead {amount(cell.mean_drop, cell.unit)}{interval(cell)}, {sample(cell)}"


def _sentence(
    pairing: _Pairing,
    answer: ComparisonAnswer,
    pooled: Cell | None,
    cells: Sequence[Cell],
    *,
    equivalent: bool,
    crossed: bool,
) -> str:
    words = [f"{pairing.first} against {pairing.second}: {answer}."]
    training = _unequal_training(pairing)
    if pooled is None:
        words += [cell.sentence for cell in cells] or ["They have no sparsity and seed in common."]
        return " ".join([*words, *training])
    over = strata(cell.sparsity for cell in cells)
    text = _figures(pooled)
    words.append(f"{text[0].upper()}{text[1:]}, over {over}, margin {size(pooled.margin, pooled.unit)}.")
    if crossed:
        words.append("One leads at one sparsity, the other at another.")
    elif answer == "NOT BETTER":
        words.append("Equivalent within the margin." if equivalent else "A lead beyond the margin is excluded.")
    elif answer == "INCONCLUSIVE":
        words.append("Neither a lead beyond the margin nor its absence is shown.")
        if pooled.seeds_needed:
            words.append(f"A study with about {pooled.seeds_needed} seeds would be likely to decide.")
    return " ".join([*words, *training])


def _unequal_training(pairing: _Pairing) -> list[str]:
    """A sentence where a method learned its masks and the other one was not trained for as long altogether."""
    pairs = [pair for slot in pairing.slots.values() for pair in slot.pairs.values()]
    learned = learning_epochs(pairs)
    if not any(learned):
        return []
    totals, words = learned, [f"{epochs:g} epochs to learn masks" for epochs in learned]
    if all(row.epochs is not None for pair in pairs for row in pair):
        trained = [fmean([row.epochs or 0.0 for row in arm]) for arm in zip(*pairs, strict=True)]
        totals = (learned[0] + trained[0], learned[1] + trained[1])
        masks = [f" ({epochs:g} to learn masks)" if epochs else "" for epochs in learned]
        words = [f"{total:g} epochs{part}" for total, part in zip(totals, masks, strict=True)]
    if totals[0] == totals[1]:
        return []
    return [
        f"{UNEQUAL_TRAINING}: {pairing.first} has {words[0]}, {pairing.second} {words[1]}, pretraining not counted."
    ]
