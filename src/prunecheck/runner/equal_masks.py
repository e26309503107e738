"""Methods whose masks came out equal: two names for one method, such as SNIP and (w g)² of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prunecheck.runner.step_results import StepResults
from prunecheck.statistics.rows import CLEAN
from prunecheck.study.plan import Arm
from prunecheck.text import listing, percent

Place = tuple[float, int]
"""sparsity and seed"""


Tickets = dict[tuple[str, str], list[str]]
"""hashes of mask and trained weights -> methods that have them"""


def equal_methods(arms: Iterable[Arm], results: StepResults) -> list[str]:
    """One sentence for each group of methods whose masks are equal and, where *arms* were trained, their trained
    networks too: methods that train one mask from other weights are different methods."""
    found: dict[Place, Tickets] = {}
    for arm in arms:
        if arm.check == CLEAN and arm.mask and arm.sparsity is not None:
            mask = results.masks_entry(arm.mask).sha256
            weights = results.weights_entry(arm.train).sha256 if arm.train else ""
            found.setdefault((arm.sparsity, arm.seed), {}).setdefault((mask, weights), []).append(arm.method)
    groups: dict[tuple[str, ...], list[Place]] = {}
    trained = any(weights for tickets in found.values() for _, weights in tickets)
    for place, tickets in found.items():
        for methods in tickets.values():
            if len(set(methods)) > 1:
                groups.setdefault(tuple(dict.fromkeys(methods)), []).append(place)
    what = "equal masks and equal trained networks" if trained else "equal masks"
    return [
        f"{listing(methods)} have {what} {_where(places, _in_common(methods, found))}"
        for methods, places in groups.items()
    ]


def _in_common(methods: Sequence[str], found: Mapping[Place, Tickets]) -> int:
    """At how many sparsities and seeds all of *methods* have a ticket."""
    return sum(set(methods) <= {one for some in tickets.values() for one in some} for tickets in found.values())


def _where(equal: Sequence[Place], of: int) -> str:
    if len(equal) == of:
        return "at every sparsity and seed: in this study they are one method."
    seeds: dict[float, list[str]] = {}
    for sparsity, seed in equal:
        seeds.setdefault(sparsity, []).append(str(seed))
    parts = [f"at {percent(s)} with {'seeds' if len(n) > 1 else 'seed'} {listing(n)}" for s, n in seeds.items()]
    return f"{', '.join(parts)} ({len(equal)} of {of} tickets)."
