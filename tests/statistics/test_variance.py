"""Moderated variances, against plain loops, a worked example, and the limits that theory gives."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.special import polygamma

from prunecheck.statistics.variance import MIN_OTHERS, SHARED, Array, inverse_trigamma, noise

WORKED = np.array(
    [
        [
            [-0.2, 0.02, -0.31, 0.6, 0.1],
            [0.42, -0.23, -0.09, 0.55, 0.15],
            [-1.27, -0.17, 0.19, 0.06, -0.36],
            [2.26, 2.65, 1.98, 2.66, 1.95],
            [0.27, 0.86, 0.56, 0.57, 1.36],
            [3.42, 4.08, 3.42, 2.43, 3.83],
        ]
    ]
)


def by_hand(d: Array, owners: list[int], guard: float, cap: float) -> tuple[Array, Array]:
    """Moderated variances and weights of one study (sparsities, cells, seeds), one number at a time; bisection for
    the inverse trigamma."""
    sparsities, cells, _ = d.shape
    rows = [[d[k, j][np.isfinite(d[k, j])] for j in range(cells)] for k in range(sparsities)]
    dof = [[len(row) - 1 for row in one] for one in rows]
    s2 = [[float(np.var(row, ddof=1)) if len(row) > 1 else math.nan for row in one] for one in rows]
    usable = [[f >= 2 and s > 0 for f, s in zip(*pair, strict=True)] for pair in zip(dof, s2, strict=True)]
    worth = [
        sum(_worth(d, usable, k, [j for j in range(cells) if owners[j] == o]) for o in sorted(set(owners))) - 1
        for k in range(sparsities)
    ]
    prior, weight, known = (np.zeros((sparsities, cells)) for _ in range(3))
    for k in range(sparsities):
        for j in range(cells):
            others = [i for i in range(cells) if i != j and usable[k][i]]
            if len(others) < MIN_OTHERS or worth[k] <= 0:
                continue
            pool = [(max(s2[k][i], guard), dof[k][i]) for i in others]
            prior[k, j], d0 = _common(pool)
            known[k, j] = float(np.mean([f for _, f in pool])) * worth[k]
            weight[k, j] = min(d0, cap, known[k, j])
    for j in range(cells):
        own = [k for k in range(sparsities) if prior[k, j] > 0 and dof[k][j] > 0]
        if own:
            total = sum(dof[k][j] for k in own)
            ratio = sum(dof[k][j] * s2[k][j] / prior[k, j] for k in own) / total
            weight[:, j] *= min(1.0, 2 * float(stats.f.sf(ratio, total, sum(known[k, j] for k in own))))
    moderated = np.full((sparsities, cells), np.nan)
    for k in range(sparsities):
        for j in range(cells):
            f = dof[k][j]
            if f > 0:
                moderated[k, j] = max((weight[k, j] * prior[k, j] + f * s2[k][j]) / (weight[k, j] + f), guard)
    return moderated, weight


def _worth(d: Array, usable: list[list[bool]], k: int, group: list[int]) -> float:
    """How many cells with a clean arm of their own the cells of one clean arm are worth at sparsity *k*."""
    sparsities, _, seeds = d.shape
    together = apart = 0.0
    for row in range(sparsities):
        spread = {j: d[row, j] - np.nanmean(d[row, j]) for j in group if usable[row][j]}
        for seed in range(seeds):
            values = [float(one[seed]) for one in spread.values() if np.isfinite(one[seed])]
            together += sum(values) ** 2
            apart += sum(value**2 for value in values)
    most = max(max(sum(usable[row][j] for j in group) for row in range(sparsities)) - 1, 1)
    shared = min(max((together / apart - 1) / most, SHARED), 1.0) if apart else SHARED
    count = sum(usable[k][j] for j in group)
    return count / (1 + max(count - 1, 0) * shared**2)


def _common(pool: list[tuple[float, int]]) -> tuple[float, float]:
    """Smyth's prior variance and its degrees of freedom, from (variance, degrees of freedom)."""
    e = [math.log(s) - float(polygamma(0, f / 2)) + math.log(f / 2) for s, f in pool]
    excess = float(np.var(e, ddof=1)) - float(np.mean([float(polygamma(1, f / 2)) for _, f in pool]))
    if excess <= 0:
        return math.exp(float(np.mean(e))), math.inf
    low, high = 1e-6, 1e6
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if float(polygamma(1, middle)) > excess else (low, middle)
    return math.exp(float(np.mean(e)) + float(polygamma(0, low)) - math.log(low)), 2 * low


@pytest.mark.parametrize("cap", [0.0, 0.5, 4.0, 100.0])
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("guard", [0.0, 0.3])
@pytest.mark.parametrize("owners", [[0] * 6, [0, 0, 0, 1, 1, 1], list(range(6))])
def test_moderated_variances_equal_the_naive_reference(
    owners: list[int], guard: float, spread: float, cap: float
) -> None:
    rng = np.random.default_rng(7)
    d = rng.standard_normal((2, 6, 5)) * np.exp(spread * rng.standard_normal((2, 6, 1))) + 2
    d += rng.standard_normal((2, 1, 5))
    d[0, 0, 3:] = np.nan
    d[0, 1, 2:] = np.nan
    d[1, 1, 4] = np.nan
    d[1, 2] = 1.0
    d[1, 5, 1:] = np.nan
    expected, d0 = by_hand(d, owners, guard, cap)
    seen = noise(d, np.array(owners), guard, cap)
    assert seen.borrowed == pytest.approx(expected, rel=1e-6, nan_ok=True)
    assert seen.d0 == pytest.approx(d0, rel=1e-6, abs=1e-9)
    dof = np.isfinite(d).sum(axis=-1) - 1
    assert seen.dof == pytest.approx(np.where(dof > 0, dof + d0, np.nan), nan_ok=True)


def test_two_cells_use_their_own_variances_alone() -> None:
    seen = noise(WORKED[:, :2])
    assert seen.borrowed == pytest.approx(seen.variance)
    assert seen.d0.tolist() == [[0.0, 0.0]]
    assert seen.dof.tolist() == [[4.0, 4.0]]
    assert (noise(WORKED).d0 > 0).any()


def test_the_worked_example() -> None:
    seen = noise(WORKED)
    assert seen.n.tolist() == [[5.0] * 6]
    assert seen.mean == pytest.approx(WORKED.mean(axis=-1))
    assert seen.variance == pytest.approx(WORKED.var(axis=-1, ddof=1))
    assert seen.d0[0] == pytest.approx([4.0, 4.0, 1.75644, 4.0, 4.0, 1.14471], abs=1e-4)
    assert seen.borrowed[0] == pytest.approx([0.190752, 0.186386, 0.295587, 0.189376, 0.205738, 0.352988], abs=1e-5)


def test_a_cell_noisier_than_the_others_keeps_its_own_variance() -> None:
    d = np.concatenate([WORKED, 20 * WORKED[:, :1]], axis=1)
    seen = noise(d)
    assert seen.likeness[0, 6] < 0.01
    assert seen.borrowed[0, 6] == pytest.approx(seen.variance[0, 6], rel=0.01)
    assert seen.likeness[0, :6].min() > seen.likeness[0, 6]


def test_a_quiet_cell_is_moderated_as_much_as_an_average_one() -> None:
    d = np.concatenate([WORKED, WORKED[:, :1] / 20], axis=1)
    assert noise(d).likeness[0, 6] == 1.0


def test_cells_that_share_a_clean_arm_count_less() -> None:
    d = np.random.default_rng(4).standard_normal((400, 1, 6, 3))
    alone, shared = noise(d, cap=100.0), noise(d, np.zeros(6, dtype=int), cap=100.0)
    assert (shared.d0 / shared.likeness <= alone.d0 / alone.likeness + 1e-9).all()
    assert shared.d0.mean() < 0.8 * alone.d0.mean()


def test_cells_without_spread_or_with_two_pairs_give_no_variance_to_others() -> None:
    more = np.array([[1.0] * 5, [1.0, 2.0, np.nan, np.nan, np.nan]])
    d = np.concatenate([WORKED[:, :3], more[None]], axis=1)
    seen, alone = noise(d), noise(WORKED[:, :3])
    assert seen.borrowed[0, :3] == pytest.approx(alone.borrowed[0])
    assert seen.d0[0, :3] == pytest.approx(alone.d0[0])
    assert seen.borrowed[0, 3] > 0


def test_empty_and_single_cells_are_nan_without_a_warning() -> None:
    d = np.full((1, 4, 3), np.nan)
    d[0, 1, 0] = 2.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = noise(d)
    assert seen.n.tolist() == [[0, 1, 0, 0]]
    assert np.isnan(seen.mean).tolist() == [[True, False, True, True]]
    assert np.isnan(seen.borrowed).all()
    assert np.isnan(seen.variance).all()
    assert np.isnan(seen.dof).all()


def test_leading_axes_are_separate_studies() -> None:
    rng = np.random.default_rng(3)
    d = rng.standard_normal((2, 3, 2, 5, 4)) * np.array([1.0, 5.0, 20.0])[None, :, None, None, None]
    guard = rng.random((2, 3, 2, 5))
    whole = noise(d, guard=guard, limit=0.5)
    for index in np.ndindex(2, 3):
        for part, alone in zip(whole, noise(d[index], guard=guard[index], limit=0.5), strict=True):
            assert part[index] == pytest.approx(alone, nan_ok=True)


def test_the_guard_is_a_floor() -> None:
    assert noise(WORKED * 1e-6, guard=0.25).borrowed == pytest.approx(np.full((1, 6), 0.25))
    assert noise(np.zeros((1, 4, 3)), guard=0.25).borrowed == pytest.approx(np.full((1, 4), 0.25))


def test_the_mean_of_a_cell_says_nothing_about_noise() -> None:
    shift = np.array([0.0, 50.0, -20.0, 3.0, 0.0, 1.0])[None, :, None]
    assert noise(WORKED + shift).borrowed == pytest.approx(noise(WORKED).borrowed)


def test_inverse_trigamma() -> None:
    x = np.array([1e-2, 0.1, 0.5, 1.0, 2.0, 10.0, 1e3, 1e5])
    assert inverse_trigamma(polygamma(1, x)) == pytest.approx(x, rel=1e-6)
    assert np.isfinite(inverse_trigamma(np.array([1e-300, 1e300]))).all()
