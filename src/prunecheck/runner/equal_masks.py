"""Methods whose masks came out equal: two names for one method, such as SNIP and (w g)² of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prunecheck.runner.step_results import StepResults
from prunecheck.statistics.rows import CLEAN
from prunecheck.study.plan import Arm
from prunecheck.text import listing, percent

Ticket = tuple[float, int]
"""sparsity and seed"""
Methods = dict[tuple[str, str], list[str]]
"""hashes of mask and trained weights -> methods that have them"""


def equal_methods(arms: Iterable[Arm], results: StepResults) -> list[str]:
    """One sentence for each group of methods whose masks are equal and, where *arms* were trained, their trained
    networks too: methods that train one mask from other weights, or for longer, are different methods."""
    found: dict[Ticket, Methods] = {}
    seen: set[tuple[Ticket, str]] = set()
    for arm in arms:
        if arm.check != CLEAN or not arm.mask or arm.sparsity is None:
            continue
        ticket = arm.sparsity, arm.seed
        if not arm.train and (ticket, arm.mask) in seen:
            continue  # one mask step for several methods, which differ in how they train
        seen.add((ticket, arm.mask))
        mask = results.masks_entry(arm.mask).sha256
        weights = results.weights_entry(arm.train).sha256 if arm.train else ""
        found.setdefault(ticket, {}).setdefault((mask, weights), []).append(arm.method)
    groups: dict[tuple[str, ...], list[Ticket]] = {}
    for ticket, methods in found.items():
        for equal in methods.values():
            if len(set(equal)) > 1:
                groups.setdefault(tuple(dict.fromkeys(equal)), []).append(ticket)
    trained = any(weights for methods in found.values() for _, weights in methods)
    return [_sentence(equal, tickets, _in_common(equal, found), trained) for equal, tickets in groups.items()]


def _in_common(methods: Sequence[str], found: Mapping[Ticket, Methods]) -> int:
    """At how many sparsities and seeds all of *methods* have a mask."""
    return sum(set(methods) <= {one for some in here.values() for one in some} for here in found.values())


def _sentence(methods: Sequence[str], equal: Sequence[Ticket], of: int, trained: bool) -> str:
    what = f"{listing(methods)} have equal masks{' and equal trained networks' if trained else ''}"
    if len(equal) == of:
        end = ": in this study they are one method." if trained else "."
        return f"{what} at every sparsity and seed{end}"
    seeds: dict[float, list[str]] = {}
    for sparsity, seed in equal:
        seeds.setdefault(sparsity, []).append(str(seed))
    parts = [f"at {percent(s)} with {'seeds' if len(n) > 1 else 'seed'} {listing(n)}" for s, n in seeds.items()]
    return f"{what} {', '.join(parts)} ({len(equal)} of {of} tickets)."
