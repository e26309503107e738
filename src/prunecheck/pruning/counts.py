"""How many weights stay, as exact integers.

The one rule: of ``n`` weights, ``round(n * (1 - sparsity))`` stay, computed on the decimal number the user wrote and
never in floating point (``int(1000 * (1 - 0.9))`` is 99), halves to even.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from prunecheck.errors import InfeasibleError
from prunecheck.text import percent


class Counts(dict[str, int]):
    """``{layer name: kept weights}``. ``cut`` is the score that separates kept from pruned in all layers alike, where
    there is one: it lets the selection skip a second partition and decides nothing. ``tied``: kept weights that were
    preferred to others of the same score by the order of layers and positions."""

    cut: float | None = None
    tied: int = 0


def removed_share(sparsity: float) -> Fraction:
    """The sparsity as the decimal it was written as: 0.9 is 9/10, not 0.90000000000000002."""
    return Fraction(repr(float(sparsity)))


def kept_total(n: int, sparsity: float) -> int:
    """``round(n * (1 - sparsity))``, exact."""
    return round(n * (1 - removed_share(sparsity)))


def apportion(shares: Sequence[float], sizes: Sequence[int], budget: int) -> list[int]:
    """Integers with the exact sum *budget*, each at most its size, as near to proportional to ``shares * sizes`` as
    that allows.

    ``shares`` are wanted keep-fractions up to a common factor, >= 0. Layers that would overflow are kept whole and the
    rest is scaled again (water-filling) until nothing overflows; fractions are rounded by largest remainder, ties to
    the earlier layer. Raises InfeasibleError where the budget is negative or exceeds what the layers can hold.
    """
    open_ = [i for i, share in enumerate(shares) if share > 0]
    if budget < 0 or budget > sum(sizes[i] for i in open_):
        raise InfeasibleError(f"{budget} weights cannot be spread over layers that hold {sum(sizes)}.")
    kept: list[float] = [0.0] * len(sizes)
    left = budget
    while True:
        weight = {i: shares[i] * sizes[i] for i in open_}
        scale = left / sum(weight.values()) if open_ else 0.0
        full = [i for i in open_ if scale * shares[i] >= 1]
        if not full:
            break
        for i in full:
            kept[i] = sizes[i]
            left -= sizes[i]
        open_ = [i for i in open_ if i not in set(full)]
    for i in open_:
        kept[i] = scale * weight[i]
    return round_to(kept, sizes, budget)


def round_to(exact: Sequence[float], sizes: Sequence[int], budget: int) -> list[int]:
    """*exact* rounded to integers with the sum *budget*: floors first, then one more where the largest remainders
    are (ties to the earlier layer), no layer above its size."""
    kept = [min(int(value), size) for value, size in zip(exact, sizes, strict=True)]
    by_remainder = sorted(range(len(kept)), key=lambda i: (kept[i] - exact[i], i))
    missing = budget - sum(kept)
    while missing > 0:
        for i in by_remainder:
            if missing and kept[i] < sizes[i]:
                kept[i] += 1
                missing -= 1
    for i in reversed(by_remainder):  # only where floating point put an integer just above itself
        if missing < 0 and kept[i] > 0:
            kept[i] -= 1
            missing += 1
    return kept


def budget_beside(fixed: Mapping[str, int], weights: int, sparsity: float) -> int:
    """What is left for the other layers when the *fixed* ones keep what they keep.

    Raises InfeasibleError where that is negative, naming the largest sparsity that still works.
    """
    budget = kept_total(weights, sparsity)
    held = sum(fixed.values())
    if held > budget:
        best = int(Fraction(weights - held, weights) * 10000) / 10000
        raise InfeasibleError(
            f"sparsity {percent(sparsity)} leaves {budget} of {weights} weights, but the fixed share of "
            f"{', '.join(fixed)} alone is {held}. The largest sparsity that works here is {percent(best)}."
        )
    return budget - held


def check_counts(counts: Mapping[str, int], sizes: Mapping[str, int]) -> None:
    """Raise InfeasibleError where a count is outside 0..size or a layer is missing or unknown."""
    if set(counts) != set(sizes):
        odd = sorted(set(counts) ^ set(sizes))
        raise InfeasibleError(f"counts and layers differ in {', '.join(odd[:3])}.")
    for name, kept in counts.items():
        if not 0 <= kept <= sizes[name]:
            raise InfeasibleError(f"{name}: {kept} kept of {sizes[name]} weights is impossible.")
