from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prunecheck.errors import InfeasibleError
from prunecheck.pruning.counts import apportion, budget_beside, check_counts, kept_total, round_to

sparsities = st.integers(1, 9999).map(lambda i: i / 10000)
layer_sizes = st.lists(st.integers(1, 5000), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("n", "sparsity", "kept"),
    [
        (1000, 0.9, 100),  # int(1000 * (1 - 0.9)) is 99
        (20_024_000, 0.9, 2_002_400),
        (20_024_000, 0.98, 400_480),
        (1_855_584, 0.98, 37_112),
        (10, 0.75, 2),  # 2.5: half to even
        (10, 0.65, 4),  # 3.5: half to even
        (1, 0.5, 0),
        (0, 0.5, 0),
    ],
)
def test_kept_total_is_exact_on_the_written_decimal(n: int, sparsity: float, kept: int) -> None:
    assert kept_total(n, sparsity) == kept
    assert kept_total(n, np.float64(sparsity)) == kept


@given(st.integers(0, 10**12), sparsities)
def test_kept_total_is_what_decimal_arithmetic_gives(n: int, sparsity: float) -> None:
    exact = Decimal(n) * (1 - Decimal(str(sparsity)))
    assert kept_total(n, sparsity) == int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


@given(st.integers(0, 10**9), sparsities, sparsities)
def test_kept_total_never_grows_with_the_sparsity(n: int, a: float, b: float) -> None:
    low, high = sorted([a, b])
    assert 0 <= kept_total(n, high) <= kept_total(n, low) <= n


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[float], list[int], int]:
    sizes = draw(layer_sizes)
    share = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
    shares = draw(st.lists(share, min_size=len(sizes), max_size=len(sizes)))
    room = sum(size for size, wanted in zip(sizes, shares, strict=True) if wanted > 0)
    return shares, sizes, draw(st.integers(0, room))


def poured(shares: list[float], sizes: list[int], budget: int) -> list[Fraction]:
    """Naive twin of the water-filling: exact fractions, one overflowing layer at a time."""
    full: set[int] = set()
    while True:
        open_ = [i for i in range(len(sizes)) if i not in full and shares[i] > 0]
        left = budget - sum(sizes[i] for i in full)
        weight = sum(Fraction(shares[i]) * sizes[i] for i in open_)
        scale = left / weight if open_ else Fraction(0)
        over = [i for i in open_ if scale * Fraction(shares[i]) >= 1]
        if not over:
            return [
                Fraction(sizes[i]) if i in full else scale * Fraction(shares[i]) * sizes[i] for i in range(len(sizes))
            ]
        full.add(max(over, key=lambda i: shares[i]))


@given(problems())
def test_apportion_is_the_poured_water_rounded_by_less_than_one(
    problem: tuple[list[float], list[int], int],
) -> None:
    shares, sizes, budget = problem
    kept = apportion(shares, sizes, budget)
    assert sum(kept) == budget
    assert all(0 <= k <= size for k, size in zip(kept, sizes, strict=True))
    for k, exact in zip(kept, poured(shares, sizes, budget), strict=True):
        assert abs(k - exact) < 1 + 1e-6
    assert all(k == 0 for k, share in zip(kept, shares, strict=True) if share == 0)


@given(problems(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_apportion_ignores_a_common_factor(problem: tuple[list[float], list[int], int], factor: float) -> None:
    shares, sizes, budget = problem
    assert apportion([factor * share for share in shares], sizes, budget) == apportion(shares, sizes, budget)


@given(problems(), st.integers(0, 20000))
def test_a_larger_budget_takes_from_no_layer_more_than_rounding(
    problem: tuple[list[float], list[int], int], more: int
) -> None:
    """Largest remainders may move one seat (the Alabama paradox), never two."""
    shares, sizes, budget = problem
    room = sum(size for size, share in zip(sizes, shares, strict=True) if share > 0)
    before, after = apportion(shares, sizes, budget), apportion(shares, sizes, min(room, budget + more))
    assert all(a >= b - 1 for b, a in zip(before, after, strict=True))


def test_apportion_by_hand() -> None:
    assert apportion([1, 1], [10, 30], 20) == [5, 15]
    assert apportion([3, 1], [10, 30], 20) == [10, 10]  # 20 * 3/6 = 10: full exactly
    assert apportion([9, 1], [10, 30], 20) == [10, 10]  # 15 would overflow; the surplus goes to the other
    assert apportion([1, 1, 1], [1, 1, 1], 2) == [1, 1, 0]  # equal remainders: the earlier layers
    assert apportion([1, 2], [4, 4], 0) == [0, 0]
    assert apportion([1, 2], [4, 4], 8) == [4, 4]


@pytest.mark.parametrize("budget", [-1, 9])
def test_apportion_refuses_what_cannot_be(budget: int) -> None:
    with pytest.raises(InfeasibleError, match=str(budget)):
        apportion([1, 1, 0], [4, 4, 100], budget)


@given(st.lists(st.floats(0, 50), min_size=1, max_size=12), st.data())
def test_round_to_is_the_largest_remainder_rule(exact: list[float], data: st.DataObject) -> None:
    """Against a naive twin: hand one seat at a time to the largest remainder, the earlier layer first."""
    floors = [int(value) for value in exact]
    extra = data.draw(st.integers(0, len(exact)))
    budget = sum(floors) + extra
    remainders = [value - floor for value, floor in zip(exact, floors, strict=True)]
    expected = list(floors)
    for _ in range(extra):
        best = max(range(len(exact)), key=lambda i: (remainders[i], -i))
        expected[best] += 1
        remainders[best] = -1.0
    assert round_to(exact, [100] * len(exact), budget) == expected


def test_round_to_respects_sizes_and_repairs_an_integer_that_floats_overshot() -> None:
    assert round_to([2.9, 1.1], [2, 5], 4) == [2, 2]
    assert round_to([0.0, 3.0000000001], [5, 5], 2) == [0, 2]
    assert sum(round_to([3.0, 2.0], [5, 5], 4)) == 4


@given(st.integers(1, 10**7), st.integers(0, 10**7), sparsities)
def test_the_sparsity_named_in_a_refusal_works(weights: int, held: int, sparsity: float) -> None:
    assume(0 < held < weights)
    try:
        assert budget_beside({"fc": held}, weights, sparsity) == kept_total(weights, sparsity) - held
    except InfeasibleError as error:
        named = float(str(error).split()[-1].rstrip("%.")) / 100
        assert named < sparsity
        assert budget_beside({"fc": held}, weights, round(named, 6)) >= 0


def test_a_refusal_names_the_layers_that_eat_the_budget() -> None:
    with pytest.raises(InfeasibleError, match=r"99\.8%.* leaves 2 of 1000.*fc.* 30\..* 97%\."):
        budget_beside({"fc": 30}, 1000, 0.998)


@pytest.mark.parametrize("counts", [{"a": 3}, {"a": 3, "b": 1, "c": 1}, {"a": 11, "b": 1}, {"a": -1, "b": 1}])
def test_check_counts_refuses(counts: dict[str, int]) -> None:
    with pytest.raises(InfeasibleError):
        check_counts(counts, {"a": 10, "b": 5})
    check_counts({"a": 0, "b": 5}, {"a": 10, "b": 5})
