"""Did the instrument work? Positive control, A/A, identity, planted doses; and which strata they strike out.

A trial that could not have found a difference cannot show that there is none (ICH E10, section 1.5: assay
sensitivity). So DOES NOT DEPEND is believed only where the positive control depends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from prunecheck.core.words import percent
from prunecheck.verdict.evidence import CellEvidence, Place
from prunecheck.verdict.layout import Layout
from prunecheck.verdict.outcome import Answer, Control
from prunecheck.verdict.roles import dose, role

AA_ALPHA = 0.01
"""Two-sided error rate of the A/A alarm, per stratum."""


class Controls(NamedTuple):
    """``records`` for the reader; ``invalid``: sparsity index -> why nothing is judged there; ``informative``: where
    the positive control shows that a difference could have been found; ``guarded``: where there is such a control."""

    records: tuple[Control, ...]
    invalid: Mapping[int, str]
    informative: Mapping[Place, bool]
    guarded: Mapping[Place, bool]


def plain_answer(layout: Layout, cells: CellEvidence, place: Place) -> Answer:
    """The verdict of one cell before any control has its say. Absent cells are INCONCLUSIVE."""
    slot, alpha = layout.slots[place], layout.settings.alpha
    if slot.gate.state in ("refused", "collapsed"):
        return "UNINFORMATIVE"
    depends, fails = cells.above[place] <= alpha, cells.below[place] <= alpha
    if depends == fails:
        return "INCONCLUSIVE"
    return "DEPENDS" if depends else "DOES NOT DEPEND"


def read_controls(layout: Layout, cells: CellEvidence) -> Controls:
    """Read every control of the study."""
    invalid: dict[int, str] = {}
    records = []
    for place in sorted(layout.slots):
        slot = layout.slots[place]
        part = role(slot.method, slot.check, layout.settings)
        record = None
        if part == "identity":
            record = _identity(layout, place)
        elif part == "aa":
            record = _same_by_construction(layout, cells, place)
        elif part == "positive":
            record = _positive(layout, cells, place)
        if record is not None:
            records.append(record)
            if record.status == "failed" and part != "positive":
                invalid.setdefault(place[0], record.sentence)
    records += _doses(layout, cells)
    records += _missing(layout, {record.role for record in records})
    informative, guarded = _sensitivity(layout, cells)
    return Controls(tuple(records), invalid, informative, guarded)


def _sensitivity(layout: Layout, cells: CellEvidence) -> tuple[dict[Place, bool], dict[Place, bool]]:
    informative, guarded = {}, {}
    index = {name: j for j, name in enumerate(layout.checks)}
    for (k, j), slot in layout.slots.items():
        control = index.get((layout.settings.positive_control or "", slot.check))
        ordinary = role(slot.method, slot.check, layout.settings) in (None, "positive")
        guarded[k, j] = ordinary and (k, control) in layout.slots
        informative[k, j] = not guarded[k, j] or plain_answer(layout, cells, (k, control or 0)) == "DEPENDS"
    return informative, guarded


def _identity(layout: Layout, place: Place) -> Control:
    slot = layout.slots[place]
    differing = [seed for seed in slot.pairs if slot.drop(seed) != 0]
    where = f"Identity ({slot.method}) at {percent(slot.sparsity)}"
    if differing:
        text = f"{where}: the same arm trained twice differs at seed {differing[0]}. Training is not deterministic."
        return Control("identity", slot.method, slot.check, slot.sparsity, "failed", text)
    if not slot.pairs:
        text = f"{where}: no seed was run in both arms yet."
        return Control("identity", slot.method, slot.check, slot.sparsity, "missing", text)
    text = f"{where}: equal to the bit, {_seeds(len(slot.pairs))}: ok."
    return Control("identity", slot.method, slot.check, slot.sparsity, "ok", text)


def _same_by_construction(layout: Layout, cells: CellEvidence, place: Place) -> Control:
    slot = layout.slots[place]
    drop = _drop(layout, place)
    where = f"A/A ({slot.method} x {slot.check}) at {percent(slot.sparsity)}"
    if np.fmin(cells.above[place], cells.helps[place]) <= AA_ALPHA / 2:
        text = f"{where}: {drop}, where by construction there can be none. Nothing at {percent(slot.sparsity)} counts."
        return Control("aa", slot.method, slot.check, slot.sparsity, "failed", text)
    if plain_answer(layout, cells, place) == "DOES NOT DEPEND":
        return Control("aa", slot.method, slot.check, slot.sparsity, "ok", f"{where}: {drop}: ok.")
    text = f"{where}: {drop}, not yet shown to be below the margin. The noise may be too large for this margin."
    return Control("aa", slot.method, slot.check, slot.sparsity, "weak", text)


def _positive(layout: Layout, cells: CellEvidence, place: Place) -> Control:
    slot = layout.slots[place]
    drop = _drop(layout, place)
    where = f"Control: {slot.method} x {slot.check} at {percent(slot.sparsity)}"
    answer = plain_answer(layout, cells, place)
    if answer == "DEPENDS":
        return Control("positive", slot.method, slot.check, slot.sparsity, "ok", f"{where}: {drop}, depends: ok.")
    if answer == "INCONCLUSIVE":
        text = f"{where}: {drop}, not yet shown to depend. Until it is, nothing here can be called independent."
        return Control("positive", slot.method, slot.check, slot.sparsity, "weak", text)
    text = f"{where}: {drop}. Even {slot.method} is not hurt here: this check at this sparsity cannot tell."
    return Control("positive", slot.method, slot.check, slot.sparsity, "failed", text)


def _doses(layout: Layout, cells: CellEvidence) -> list[Control]:
    """One record per method and sparsity: the smallest planted drop that the study found."""
    planted: dict[tuple[str, int], list[tuple[float, Place]]] = {}
    for place, slot in sorted(layout.slots.items()):
        share = dose(slot.check)
        if share:
            planted.setdefault((slot.method, place[0]), []).append((share, place))
    records = []
    for (method, k), doses in sorted(planted.items()):
        sparsity = layout.sparsities[k]
        found = [(share, p) for share, p in sorted(doses) if plain_answer(layout, cells, p) == "DEPENDS"]
        where = f"Planted damage to {method} at {percent(sparsity)}"
        if found:
            share, place = min(found, key=lambda one: _mean(layout, one[1]))
            text = f"{where}: the smallest drop found is {_mean(layout, place):.2f} points ({share:.0%} of the mask)."
            records.append(Control("planted", method, layout.slots[place].check, sparsity, "ok", text))
        else:
            share, place = max(doses)
            text = f"{where}: not even {share:.0%} of the mask re-drawn was found ({_drop(layout, place)})."
            records.append(Control("planted", method, layout.slots[place].check, sparsity, "weak", text))
    return records


def _missing(layout: Layout, there: set[str]) -> list[Control]:
    records = []
    positive = layout.settings.positive_control
    if "positive" not in there and positive is not None:
        text = f"No positive control was run ({positive}): whether this study could have found a drop is unknown."
        records.append(Control("positive", positive, "", None, "missing", text))
    if "aa" not in there:
        text = "No A/A control was run (random_ticket x layerwise_rearrange): false alarms would go unnoticed."
        records.append(Control("aa", "random_ticket", "layerwise_rearrange", None, "missing", text))
    return records


def _drop(layout: Layout, place: Place) -> str:
    slot = layout.slots[place]
    if not slot.pairs:
        return "no pair of runs yet"
    count = f", {_seeds(len(slot.shown))}"
    reason = f" ({slot.gate.reason})" if slot.gate.reason else ""
    return f"mean drop {_mean(layout, place):+.2f} points{count}{reason}"


def _mean(layout: Layout, place: Place) -> float:
    slot = layout.slots[place]
    return float(np.mean([slot.drop(seed) for seed in slot.shown]))


def _seeds(n: int) -> str:
    return f"{n} seed{'s' * (n != 1)}"
