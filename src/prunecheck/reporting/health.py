"""What may have gone wrong in a ticket: collapse, divergence, dead layers, weights on no path."""

from __future__ import annotations

from collections.abc import Sequence

from prunecheck.reporting.summary import Arm
from prunecheck.reporting.text import count, listing, share, whole
from prunecheck.reporting.views import Table, capped
from prunecheck.text import percent

HEADS = ("method", "check", "sparsity", "effective sparsity", "dead layers", "collapsed", "diverged")


def health_table(arms: Sequence[Arm]) -> Table | None:
    """A row an arm; None where the rows say nothing of all this."""
    if not any(a.collapsed or a.diverged or a.dead_layers or a.effective_sparsity is not None for a in arms):
        return None
    rows = [
        (
            a.method,
            a.check,
            percent(a.sparsity),
            "n/a" if a.effective_sparsity is None else share(a.effective_sparsity, 2),
            a.dead_layers or "n/a",
            "n/a" if a.collapsed is None else f"{whole(a.collapsed)} of {whole(a.n)}",
            f"{whole(a.diverged)} of {whole(a.n)}",
        )
        for a in arms
    ]
    return capped(HEADS, rows)


def health_sentences(arms: Sequence[Arm]) -> list[str]:
    """How many trainings collapsed or diverged, and where; which tickets are sparser than they look."""
    total = count(sum(a.n for a in arms), "trained ticket")
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
    return f"{arm.method} under {arm.check} at {percent(arm.sparsity)}: {what}"
