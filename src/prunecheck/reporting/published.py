"""Published numbers and those of a reproduction beside the study's own, arm by arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prunecheck.reporting.data import Evidence
from prunecheck.reporting.summary import Order, is_number, mean
from prunecheck.reporting.text import share, signed, whole
from prunecheck.reporting.views import Table
from prunecheck.resources.published import CERTAINTIES, Number
from prunecheck.text import percent

HEADS = ("method", "check", "sparsity", "published", "source", "reproduction", "yours", "seeds", "difference")

EXPLANATION = (
    "What others measured in arms of the same name, beside the mean of yours. The difference is yours minus the "
    "published number, in points. Setups differ, so it is a hint, no verdict; nothing here is judged by it."
)

Place = tuple[str, str, float | None]


def table(evidence: Evidence, known: Order) -> Table | None:
    """A row a published number of an arm of ours, in the report's order, dense first; None where there is none.

    An arm that only the reproduction has gets a row too. The difference is ours less the published one, in points.
    """
    ours = _ours(evidence)
    theirs: dict[Place, list[Number]] = {}
    for number in _shown(evidence):
        theirs.setdefault(_place(number), []).append(number)
    ordered = sorted(theirs, key=lambda place: _order(place, known))
    rows = [row for place in ordered for row in _rows(place, theirs[place], ours[place])]
    return Table(HEADS, tuple(rows)) if rows else None


def sources(evidence: Evidence) -> list[tuple[str, str]]:
    """Every source shown, and how its numbers were trained."""
    setups: dict[str, dict[str, None]] = {}
    for number in _shown(evidence):
        setups.setdefault(number.source, {})[number.setup] = None
    return [(source, "; or ".join(found)) for source, found in setups.items()]


def certainties(evidence: Evidence) -> list[tuple[str, str]]:
    """The words of certainty that are shown, and what they mean."""
    shown = {number.certainty for number in _shown(evidence)}
    return [(word, meaning) for word, meaning in CERTAINTIES.items() if word in shown]


def _shown(evidence: Evidence) -> list[Number]:
    ours = _ours(evidence)
    return [number for number in evidence.published if _place(number) in ours]


def _ours(evidence: Evidence) -> dict[Place, list[float]]:
    """The accuracies of every arm, dense ones too."""
    ours: dict[Place, list[float]] = {}
    for row in evidence.rows:
        if is_number(row["accuracy"]):
            sparsity = float(row["sparsity"]) if is_number(row["sparsity"]) else None
            ours.setdefault((str(row["method"]), str(row["check"]), sparsity), []).append(float(row["accuracy"]))
    return ours


def _place(number: Number) -> Place:
    return number.method, number.check, number.sparsity


def _order(place: Place, known: Order) -> tuple[bool, tuple[int, int, float]]:
    method, check, sparsity = place
    return sparsity is not None, known.place(method, check, sparsity or 0.0)


def _rows(place: Place, numbers: Sequence[Number], ours: Sequence[float]) -> Iterator[tuple[str, ...]]:
    method, check, sparsity = place
    published = [number for number in numbers if number.certainty != "reproduction"]
    reproduced = ", ".join(share(n.accuracy, 2) for n in numbers if n.certainty == "reproduction") or "n/a"
    average = mean(ours)
    arm = (method, check, "dense" if sparsity is None else percent(sparsity))
    yours = (share(average, 2), f"{whole(len(ours))}: {share(min(ours), 2)} to {share(max(ours), 2)}")
    if not published:
        yield *arm, "n/a", "n/a", reproduced, *yours, "n/a"
    for number in published:
        source, difference = f"{number.source}, {number.certainty}", signed(100 * (average - number.accuracy))
        yield *arm, share(number.accuracy, 2), source, reproduced, *yours, difference
