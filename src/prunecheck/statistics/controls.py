"""Did the instrument work? Positive control, A/A, identity, planted doses; and which strata they strike out.

A trial that could not have found a difference cannot show that there is none (ICH E10, section 1.5: assay
sensitivity). So DOES NOT DEPEND is believed only where the positive control depends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from prunecheck.statistics.evidence import CellEvidence, Place
from prunecheck.statistics.layout import Layout
from prunecheck.statistics.outcome import Answer, Control
from prunecheck.statistics.roles import dose, role
from prunecheck.text import percent

AA_ALPHA = 0.01
"""Two-sided error rate of the A/A alarm, per stratum."""


Reading = tuple[Literal["ok", "failed", "weak", "missing"], str]
"""How a control did, and the sentence that says so."""


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
    for place, slot in sorted(layout.slots.items()):
        part = role(slot.method, slot.check, layout.settings)
        if part in (None, "planted"):
            continue
        readings = {"identity": _identity, "aa": _same_by_construction, "positive": _positive}
        status, sentence = readings[part](layout, cells, place)
        records.append(Control(part, slot.method, slot.check, slot.sparsity, status, sentence))
        if status == "failed" and part != "positive":
            invalid.setdefault(place[0], sentence)
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


def _identity(layout: Layout, _cells: CellEvidence, place: Place) -> Reading:
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


def _same_by_construction(layout: Layout, cells: CellEvidence, place: Place) -> Reading:
    slot = layout.slots[place]
    said = f"A/A ({slot.method} x {slot.check}) at {percent(slot.sparsity)}: {_drop(layout, place)}"
    if np.fmin(cells.above[place], cells.helps[place]) <= AA_ALPHA / 2:
        return (
            "failed",
            f"{said}, where by construction there can be none. Nothing at {percent(slot.sparsity)} counts.",
        )
    if plain_answer(layout, cells, place) == "DOES NOT DEPEND":
        return "ok", f"{said}: ok."
    return "weak", f"{said}, not yet shown to be below the margin. The noise may be too large for this margin."


def _positive(layout: Layout, cells: CellEvidence, place: Place) -> Reading:
    slot = layout.slots[place]
    said = f"Control: {slot.method} x {slot.check} at {percent(slot.sparsity)}: {_drop(layout, place)}"
    answer = plain_answer(layout, cells, place)
    if answer == "DEPENDS":
        return "ok", f"{said}, depends: ok."
    if answer == "INCONCLUSIVE":
        return "weak", f"{said}, not yet shown to depend. Until it is, nothing here can be called independent."
    return "failed", f"{said}. Even {slot.method} is not hurt here: this check at this sparsity cannot tell."


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
    count = f", {seeds(len(slot.shown))}"
    reason = f" ({slot.gate.reason})" if slot.gate.reason else ""
    return f"mean drop {signed(_mean(layout, place))} points{count}{reason}"


def _mean(layout: Layout, place: Place) -> float:
    slot = layout.slots[place]
    return float(np.mean([slot.drop(seed) for seed in slot.shown]))


def signed(points: float) -> str:
    """``+0.40``; never ``-0.00``."""
    return f"{round(points, 2) + 0.0:+.2f}"


def seeds(n: int) -> str:
    """``1 seed``, ``5 seeds``."""
    return f"{n} seed{'s' * (n != 1)}"
