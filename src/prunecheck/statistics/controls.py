"""Could the study have found a drop, and does it find none where there is none? Controls, and what they forbid.

A trial that could not have found a difference cannot show that there is none (ICH E10, section 1.5: assay
sensitivity). So DOES NOT DEPEND is believed only where the positive control depends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from prunecheck.statistics.crossed import p_beyond, quantile, standard_error
from prunecheck.statistics.evidence import CellEvidence, CheckEvidence, judged_by_mean, owners
from prunecheck.statistics.inference import bounds
from prunecheck.statistics.layout import CellIndex, Layout, all_differences, all_document_differences, guards
from prunecheck.statistics.outcome import Answer, Control
from prunecheck.statistics.roles import partial, role
from prunecheck.statistics.rows import Unit, amount, number, size, unit
from prunecheck.statistics.settings import AA_ALPHA, MIN_SEEDS
from prunecheck.statistics.variance import Array, noise
from prunecheck.text import percent

Reading = tuple[Literal["ok", "failed", "weak", "missing"], str]
"""The status of a control, and the sentence that explains it."""
Guard = Literal["none", "hurt", "open", "unhurt"]
"""What is known of the positive control: not run, shown to be hurt, not shown yet, shown not to be hurt."""


class Controls(NamedTuple):
    """``records`` for the reader; ``invalid``: sparsity index -> why nothing is judged there; ``informative``: the
    sparsities where the positive control is hurt at all, so that a check is averaged over them; ``guards``: for each
    cell what is known of the positive control there."""

    records: tuple[Control, ...]
    invalid: Mapping[int, str]
    informative: Mapping[CellIndex, bool]
    guards: Mapping[CellIndex, Guard]


class NullTests(NamedTuple):
    """For arms that are equal by construction, arrays (sparsities, checks): the two-sided p for "they differ", and the
    99 % interval of the difference in points."""

    p: Array
    low: Array
    high: Array


def plain_answer(layout: Layout, cells: CellEvidence, margin: float, place: CellIndex) -> Answer:
    """The verdict of one cell before any control is considered. Absent cells are INCONCLUSIVE."""
    slot, alpha = layout.slots[place], layout.settings.alpha
    if slot.gate.state in ("refused", "collapsed"):
        return "UNINFORMATIVE"
    depends, fails = cells.above(margin)[place] <= alpha, cells.below(margin)[place] <= alpha
    if depends == fails or (fails and cells.harmed[place]):
        return "INCONCLUSIVE"
    return "DEPENDS" if depends else "DOES NOT DEPEND"


def read_controls(layout: Layout, cells: CellEvidence, margin: float) -> Controls:
    """Read every control of the study."""
    invalid: dict[int, str] = {}
    records = []
    nulls = compare_nulls(layout)
    for place, slot in sorted(layout.slots.items()):
        part = role(slot.method, slot.check, layout.settings)
        if part in (None, "planted"):
            continue
        if part == "identity":
            status, sentence = _identity(layout, place)
        elif part == "aa":
            status, sentence = _same_by_construction(layout, nulls, place)
        else:
            status, sentence = _positive(layout, cells, margin, place)
        records.append(Control(part, slot.method, slot.check, slot.sparsity, status, sentence))
        # A failed positive control costs single cells their information; the others invalidate the whole sparsity.
        if status == "failed" and part != "positive":
            invalid.setdefault(place[0], sentence)
    records += _partial_corruptions(layout, cells, margin)
    records += _missing(layout, {record.role for record in records})
    informative, guarded = _sensitivity(layout, cells, margin)
    return Controls(tuple(records), invalid, informative, guarded)


def guard_bounds(layout: Layout, checks: CheckEvidence) -> tuple[Array, Array]:
    """For each check the bounds (checks,) of what its positive control loses on average: NaN where there is none."""
    alpha = layout.settings.alpha
    mean_low, mean_high = bounds(checks.looks, alpha)
    cells_low = checks.cells.low(alpha)
    low, high = np.full(len(layout.checks), np.nan), np.full(len(layout.checks), np.nan)
    for j, control in enumerate(_controls_of(layout)):
        if control is not None:
            low[j] = math.inf if np.isposinf(cells_low[:, control]).any() else mean_low[control]
            high[j] = mean_high[control]
            if not checks.cells.judged[:, control].any() and not math.isinf(low[j]):
                high[j] = -math.inf  # collapsed or refused everywhere: it cannot tell
    return low, high


def guard_state(low: float, high: float, margin: float) -> Guard:
    """What bounds of the positive control's drop say at *margin*."""
    if math.isnan(low):
        return "none"
    if low > margin:
        return "hurt"
    return "unhurt" if high < margin else "open"


def _controls_of(layout: Layout) -> list[int | None]:
    """For each check the index of the same check of the positive control; None where it has none to be guarded by."""
    index = {name: j for j, name in enumerate(layout.checks)}
    return [
        index.get((layout.settings.positive_control or "", check))
        if role(method, check, layout.settings) in (None, "positive")
        else None
        for method, check in layout.checks
    ]


def _sensitivity(
    layout: Layout, cells: CellEvidence, margin: float
) -> tuple[dict[CellIndex, bool], dict[CellIndex, Guard]]:
    low, high = cells.low(layout.settings.alpha), cells.high(layout.settings.alpha)
    informative: dict[CellIndex, bool] = {}
    guarded: dict[CellIndex, Guard] = {}
    controls = _controls_of(layout)
    for k, j in layout.slots:
        control = controls[j]
        if control is None or (k, control) not in layout.slots:
            informative[k, j], guarded[k, j] = True, "none"
        elif plain_answer(layout, cells, margin, (k, control)) == "UNINFORMATIVE":
            informative[k, j], guarded[k, j] = False, "unhurt"
        else:
            informative[k, j] = bool(low[k, control] > 0)
            guarded[k, j] = guard_state(float(low[k, control]), float(high[k, control]), margin)
    return informative, guarded


def compare_nulls(layout: Layout) -> NullTests:
    """Two-sided t tests, with moderated variances, that the mean difference is 0; all seeds that are there count."""
    fine = [place for place, slot in layout.slots.items() if judged_by_mean(slot, layout)]
    cap, single = layout.settings.cap_d0, all_document_differences(layout, fine)
    seen = noise(all_differences(layout, fine), owners(layout), guards(layout), cap, documents=single)
    enough = seen.n >= MIN_SEEDS
    error = np.where(enough, standard_error(seen), np.nan)
    p = np.where(enough, 2 * np.minimum(p_beyond(seen, 0.0, 1), p_beyond(seen, 0.0, -1)), np.nan)
    reach = quantile(seen, np.asarray(1 - AA_ALPHA / 2)) * error
    return NullTests(p, seen.mean - reach, seen.mean + reach)


def _identity(layout: Layout, place: CellIndex) -> Reading:
    slot = layout.slots[place]
    differing = [seed for seed in slot.pairs if slot.drop(seed) != 0]
    where = f"Identity ({slot.method}) at {percent(slot.sparsity)}"
    if differing:
        return (
            "failed",
            f"{where}: the same arm trained twice differs at seed {differing[0]}. Training is not deterministic.",
        )
    if not slot.pairs:
        return "missing", f"{where}: no seed was run in both arms yet."
    return "ok", f"{where}: equal to the bit, {seeds(len(slot.pairs))}: ok."


def _same_by_construction(layout: Layout, nulls: NullTests, place: CellIndex) -> Reading:
    slot = layout.slots[place]
    where = f"A/A ({slot.method} x {slot.check}) at {percent(slot.sparsity)}"
    if not np.isfinite(nulls.p[place]):
        return "weak", f"{where}: {_drop(layout, place)}; needs at least {MIN_SEEDS} seeds."
    low, high = (number(bound[place], _unit(layout)) for bound in (nulls.low, nulls.high))
    interval = f"99% interval [{low}, {high}]"
    text = f"{where}: mean drop {amount(_mean(layout, place), _unit(layout))}, {interval}, {seeds(len(slot.pairs))}"
    if nulls.p[place] <= AA_ALPHA:
        return "failed", f"{text}, where by construction there is none. Nothing at {percent(slot.sparsity)} counts."
    return "ok", f"{text}: no difference found, and none expected."


def _positive(layout: Layout, cells: CellEvidence, margin: float, place: CellIndex) -> Reading:
    slot = layout.slots[place]
    text = f"Control: {slot.method} x {slot.check} at {percent(slot.sparsity)}: {_drop(layout, place)}"
    answer = plain_answer(layout, cells, margin, place)
    if answer == "DEPENDS":
        return "ok", f"{text}, depends: ok."
    if answer == "INCONCLUSIVE":
        return "weak", f"{text}, not shown to depend yet. Until it is, nothing here can be called independent."
    if answer == "UNINFORMATIVE":
        return "failed", f"{text}. It cannot tell whether this check at this sparsity takes anything away."
    return "failed", f"{text}. {slot.method} is shown to lose less than the margin here, so this check cannot tell."


def _partial_corruptions(layout: Layout, cells: CellEvidence, margin: float) -> list[Control]:
    """One record per method and sparsity: the smallest planted drop that the study found."""
    planted: dict[tuple[str, int], list[tuple[float, CellIndex]]] = {}
    for place, slot in sorted(layout.slots.items()):
        share = partial(slot.check)
        if share:
            planted.setdefault((slot.method, place[0]), []).append((share, place))
    records = []
    for (method, k), fractions in sorted(planted.items()):
        sparsity = layout.sparsities[k]
        found = [(s, p) for s, p in sorted(fractions) if plain_answer(layout, cells, margin, p) == "DEPENDS"]
        where = f"Planted damage to {method} at {percent(sparsity)}"
        if found:
            share, place = min(found, key=lambda one: _mean(layout, one[1]))
            drop = f"{size(_mean(layout, place), _unit(layout))} {_unit(layout)}"
            text = f"{where}: the smallest drop found is {drop} ({share:.0%} of the mask)."
            records.append(Control("planted", method, layout.slots[place].check, sparsity, "ok", text))
        else:
            share, place = max(fractions)
            text = f"{where}: not even {share:.0%} of the mask re-drawn was found ({_drop(layout, place)})."
            records.append(Control("planted", method, layout.slots[place].check, sparsity, "weak", text))
    return records


def _missing(layout: Layout, there: set[str]) -> list[Control]:
    records: list[Control] = []
    if not layout.checks:
        return records
    positive = layout.settings.positive_control
    if "positive" not in there and positive is not None:
        text = f"No positive control was run ({positive}): whether this study could have found a drop is unknown."
        records.append(Control("positive", positive, "", None, "missing", text))
    if "aa" not in there:
        text = "No A/A control was run (random_ticket x layerwise_rearrange): false alarms would go unnoticed."
        records.append(Control("aa", "random_ticket", "layerwise_rearrange", None, "missing", text))
    return records


def _unit(layout: Layout) -> Unit:
    return unit(layout.settings.metric)


def _drop(layout: Layout, place: CellIndex) -> str:
    slot = layout.slots[place]
    if not slot.pairs:
        return "no pair of runs yet"
    count = f", {seeds(len(slot.shown))}"
    reason = f" ({slot.gate.reason})" if slot.gate.reason else ""
    return f"mean drop {amount(_mean(layout, place), _unit(layout))}{count}{reason}"


def _mean(layout: Layout, place: CellIndex) -> float:
    slot = layout.slots[place]
    return float(np.mean([slot.drop(seed) for seed in slot.shown]))


def seeds(n: int) -> str:
    """``1 seed``, ``5 seeds``."""
    return f"{n} seed{'s' * (n != 1)}"
