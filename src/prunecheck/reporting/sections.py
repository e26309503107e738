"""The smaller sections of the report: dense networks, cost, health of the tickets, published numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prunecheck.reporting.check_names import check_name
from prunecheck.reporting.data import ReportData
from prunecheck.reporting.summary import Arm, Order, is_number, mean
from prunecheck.reporting.text import share, whole
from prunecheck.reporting.views import Table, capped
from prunecheck.resources import CERTAINTIES, PublishedNumber
from prunecheck.statistics.rows import CLEAN
from prunecheck.text import counted, duration, listing, percent, printable, signed

HEALTH_HEADS = ("method", "check", "sparsity", "effective sparsity", "dead layers", "collapsed", "diverged")
PUBLISHED_HEADS = ("method", "check", "sparsity", "published", "source", "reproduction", "yours", "seeds", "difference")
PUBLISHED_EXPLANATION = (
    "Published numbers of arms of the same name, beside the mean of yours. The difference is yours minus the "
    "published number, in points. Setups differ, so the difference is only a hint; no verdict uses it."
)

ArmName = tuple[str, str, float | None]


def dense_sentence(data: ReportData) -> str:
    """Mean accuracy of every dense network, where there are others than the study's own; else nothing."""
    found: dict[str, list[float]] = {}
    for row in data.rows:
        if row["sparsity"] is None and is_number(row["accuracy"]):
            found.setdefault(str(row["method"]), []).append(float(row["accuracy"]))
    if len(found) < 2:
        return ""
    parts = [f"{printable(m)} {share(mean(of), 2)} ({counted(len(of), 'seed')})" for m, of in found.items()]
    return f"Dense networks: {listing(parts)}."


def cost_sentence(cost: Mapping[str, object]) -> str:
    """How many trainings, and what sharing and adaptive seeds saved; empty where the cost does not say."""
    ran, shared, spared = (
        _whole(cost, key) for key in ("trainings", "trainings shared", "trainings spared by adaptive seeds")
    )
    if ran is None:
        return ""
    parts = [f"{counted(ran, 'training')} in all."]
    if shared:
        parts.append(f"{counted(shared, 'more training')} would have been needed without sharing between arms.")
    every = _whole(cost, "trainings with every seed everywhere")
    if spared and every:
        total = counted(every, "training")
        parts.append(f"{whole(spared)} of {total} were saved: seeds were only added where a verdict was open.")
    return " ".join(parts)


def _whole(cost: Mapping[str, object], key: str) -> int | None:
    value = cost.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def cost_items(cost: Mapping[str, object]) -> list[tuple[str, str]]:
    """Cost as text: whole numbers with commas, seconds as time."""
    items = []
    for key, value in cost.items():
        if key == "seconds" and isinstance(value, (int, float)):
            items.append(("time", duration(value)))
        elif isinstance(value, int) and not isinstance(value, bool):
            items.append((key.replace("_", " "), whole(value)))
        elif isinstance(value, float):
            items.append((key.replace("_", " "), f"{value:g}"))
        else:
            items.append((key.replace("_", " "), str(value)))
    return items


def health_table(arms: Sequence[Arm]) -> Table | None:
    """One row per arm; None if the rows have none of these values."""
    if not any(a.collapsed or a.diverged or a.dead_layers or a.effective_sparsity is not None for a in arms):
        return None
    rows = [
        (
            a.method,
            check_name(a.check),
            percent(a.sparsity),
            "n/a" if a.effective_sparsity is None else share(a.effective_sparsity, 2),
            a.dead_layers or "n/a",
            "n/a" if a.collapsed is None else f"{whole(a.collapsed)} of {whole(a.n)}",
            f"{whole(a.diverged)} of {whole(a.n)}",
        )
        for a in arms
    ]
    return capped(HEALTH_HEADS, rows)


def health_sentences(arms: Sequence[Arm]) -> list[str]:
    """How many trainings collapsed or diverged, and where; which tickets are sparser than they look."""
    total = counted(sum(a.n for a in arms), "trained ticket")
    told = [a.collapsed for a in arms if a.collapsed is not None]
    parts = [f"{whole(sum(told))} collapsed to chance"] if told else []
    parts.append(f"{whole(sum(a.diverged for a in arms))} diverged")
    said = [f"Of {total}, {listing(parts)}."]
    fallen = sorted((a for a in arms if a.collapsed), key=lambda a: -(a.collapsed or 0))[:3]
    if fallen:
        said.append(f"Collapsed most often: {listing([_named(a, f'{a.collapsed} of {a.n}') for a in fallen])}.")
    known = [(a.effective_sparsity - a.sparsity, a) for a in arms if a.effective_sparsity is not None]
    if known:
        gap, arm = max(known, key=lambda pair: pair[0])
        where = _named(arm, share(arm.effective_sparsity, 2))
        said.append(
            f"The effective sparsity, which counts weights on no path from input to output as removed, exceeds the "
            f"nominal one by {100 * max(0.0, gap):.2f} points at most ({where})."
        )
    return said


def _named(arm: Arm, what: str) -> str:
    under = "" if arm.check == CLEAN else f" with {check_name(arm.check)}"
    return f"{arm.method}{under} at {percent(arm.sparsity)}: {what}"


def published_table(data: ReportData, known: Order) -> Table | None:
    """One row per published number of an arm of the study, dense first; None where there is none.

    An arm that only the reproduction has gets a row too. The difference is ours less the published one, in points.
    """
    ours = _ours(data)
    theirs: dict[ArmName, list[PublishedNumber]] = {}
    for number in _shown(data):
        theirs.setdefault(_arm_name(number), []).append(number)
    ordered = sorted(theirs, key=lambda place: _order(place, known))
    rows = [row for place in ordered for row in _rows(place, theirs[place], ours[place])]
    return Table(PUBLISHED_HEADS, tuple(rows)) if rows else None


def published_sources(data: ReportData) -> list[tuple[str, str]]:
    """Every source shown, and how its numbers were trained."""
    setups: dict[str, dict[str, None]] = {}
    for number in _shown(data):
        setups.setdefault(number.source, {})[number.setup] = None
    return [(source, "; or ".join(found)) for source, found in setups.items()]


def certainties(data: ReportData) -> list[tuple[str, str]]:
    """The certainties that occur in the table, with their meaning."""
    shown = {number.certainty for number in _shown(data)}
    return [(word, meaning) for word, meaning in CERTAINTIES.items() if word in shown]


def _shown(data: ReportData) -> list[PublishedNumber]:
    ours = _ours(data)
    return [number for number in data.published if _arm_name(number) in ours]


def _ours(data: ReportData) -> dict[ArmName, list[float]]:
    """The accuracies of every arm, dense ones too."""
    ours: dict[ArmName, list[float]] = {}
    for row in data.rows:
        if is_number(row["accuracy"]):
            sparsity = float(row["sparsity"]) if is_number(row["sparsity"]) else None
            ours.setdefault((str(row["method"]), str(row["check"]), sparsity), []).append(float(row["accuracy"]))
    return ours


def _arm_name(number: PublishedNumber) -> ArmName:
    return number.method, number.check, number.sparsity


def _order(place: ArmName, known: Order) -> tuple[bool, tuple[int, int, float]]:
    method, check, sparsity = place
    return sparsity is not None, known.place(method, check, sparsity or 0.0)


def _rows(place: ArmName, numbers: Sequence[PublishedNumber], ours: Sequence[float]) -> Iterator[tuple[str, ...]]:
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
