"""When a cell must not be judged by its mean: collapsed runs, unequal budgets, masks that hardly changed.

A diverged run is not a reason: it stays in with the accuracy it has (intention to treat, ICH E9).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean
from typing import Literal, NamedTuple

from prunecheck.statistics.rows import Row
from prunecheck.statistics.settings import MIN_SEEDS

Pair = tuple[Row, Row]
"""The clean and the corrupted run of one seed."""

State = Literal["fine", "refused", "collapsed", "all or none", "unstable"]
EXACT_BUDGET = ("layerwise_", "identity", "aa", "planted_")
SAME_MASK = 0.99


class Gate(NamedTuple):
    """What stands before the mean. ``p``: Fisher p of "all or none". ``harm``: more corrupted runs collapsed than
    clean ones, too few to prove anything but enough to forbid "nothing is lost"."""

    state: State
    p: float = 1.0
    harm: bool = False
    reason: str = ""


def collapse_line(chance: float, n_test: int, dense: float | None) -> float:
    """The accuracy (fraction) at or below which a run has collapsed to guessing.

    Three binomial standard errors above chance, or 2 % of what the dense network knows, whichever is more.
    """
    noise = 3 * math.sqrt(chance * (1 - chance) / n_test)
    return chance + max(noise, 0.0 if dense is None else 0.02 * (dense - chance))


def is_collapsed(row: Row, line: float) -> bool:
    """Whether a run collapsed: its own word where it has one, else its accuracy against *line*."""
    return row.accuracy <= line if row.collapsed is None else row.collapsed


def gate(check: str, pairs: Iterable[Pair], line: float) -> Gate:
    """Decide whether the mean drop of a cell may be judged."""
    pairs = tuple(pairs)
    unequal = _unequal_budget(check, pairs)
    if unequal:
        return Gate("refused", reason=unequal)
    clean = [is_collapsed(a, line) for a, _ in pairs]
    corrupted = [is_collapsed(b, line) for _, b in pairs]
    return collapse_gate(len(pairs), sum(clean), sum(corrupted), sum(map(min, clean, corrupted)))


def collapse_gate(n: int, clean: int, corrupted: int, both: int) -> Gate:
    """The gate of a cell of *n* pairs with so many collapsed runs in the clean arm, the corrupted arm, and both."""
    if clean == corrupted == 0:
        return Gate("fine")
    count = f"{corrupted} of {n} corrupted and {clean} of {n} clean runs collapsed"
    if 2 * both >= n:
        return Gate("collapsed", reason=f"{count}: neither arm learned, so that no difference could show")
    if corrupted == n and clean == 0 and n > MIN_SEEDS:
        return Gate("all or none", p_all_or_none(n), harm=True, reason=count)
    return Gate("unstable", harm=corrupted > clean, reason=f"{count}: unstable")


def p_all_or_none(n: int) -> float:
    """One-sided exact p of n collapsed runs in one arm and none of n in the other (Fisher 1935)."""
    return 1 / math.comb(2 * n, n)


def _unequal_budget(check: str, pairs: Iterable[Pair]) -> str:
    """Why the two arms did not have the same number of weights; empty where they did or where it was not counted."""
    exact = check.startswith(EXACT_BUDGET)
    for clean, corrupted in pairs:
        if clean.kept is None or corrupted.kept is None:
            continue
        allowed = 0.0 if exact else max(1.0, 0.001 * clean.kept)
        if abs(clean.kept - corrupted.kept) > allowed:
            return (
                f"seed {clean.seed} kept {clean.kept} weights clean and {corrupted.kept} corrupted: "
                f"an unequal budget is not a check"
            )
    return ""


def remarks(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """What a reader should know beside the verdict of a check or of a comparison of two methods."""
    pairs = tuple(pairs)
    notes = []
    diverged = sum(a.diverged + b.diverged for a, b in pairs)
    if diverged:
        notes.append(f"{diverged} diverged run{'s' * (diverged > 1)} kept, with the accuracy reached")
    overlaps = [b.overlap for _, b in pairs if b.overlap is not None]
    if overlaps and fmean(overlaps) > SAME_MASK:
        notes.append(f"corruption hardly changed the mask (overlap {fmean(overlaps):.3f})")
    epochs = learning_epochs(pairs)
    # the sentence of a comparison of two methods says it already
    if epochs[0] != epochs[1] and all(a.method == b.method for a, b in pairs):
        notes.append(f"masks learned in {epochs[0]:g} epochs in the clean arm and {epochs[1]:g} in the corrupted one")
    return tuple(notes)


def learning_epochs(pairs: Iterable[Pair]) -> tuple[float, float]:
    """Mean number of epochs in which masks were learned, in the first and in the second arm of the pairs."""
    pairs = tuple(pairs)
    means = [fmean([row.mask_epochs or 0.0 for row in arm]) if pairs else 0.0 for arm in zip(*pairs, strict=True)]
    return (means[0], means[1]) if pairs else (0.0, 0.0)
