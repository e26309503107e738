"""Documents and draws as two sources of noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks import documents_and_draws
from prunecheck.errors import StudyError
from prunecheck.statistics.crossed import documents_by_draws, equivalent_dof, lower_tail, p_beyond, quantile
from prunecheck.statistics.variance import Array, Noise, noise


def table(documents: int, draws: int, parts: tuple[float, float, float], seed: int = 0) -> Array:
    """Differences (documents, draws) with the given standard deviations of document, draw and rest."""
    rng = np.random.default_rng(seed)
    a, b, e = parts
    return (
        a * rng.standard_normal((documents, 1))
        + b * rng.standard_normal((1, draws))
        + e * rng.standard_normal((documents, draws))
    )


def naive_error(d: Array) -> float:
    """The standard error from the mean squares of a textbook's table, written as loops."""
    documents, draws = d.shape
    mean = d.mean()
    ms_documents = draws * sum((row.mean() - mean) ** 2 for row in d) / (documents - 1)
    ms_draws = documents * sum((column.mean() - mean) ** 2 for column in d.T) / (draws - 1)
    rest = 0.0
    for i in range(documents):
        for s in range(draws):
            rest += (d[i, s] - d[i].mean() - d[:, s].mean() + mean) ** 2
    ms_rest = rest / ((documents - 1) * (draws - 1))
    return float(np.sqrt((max(ms_draws, ms_rest) + max(ms_documents - ms_rest, 0.0)) / (documents * draws)))


@pytest.mark.parametrize("parts", [(1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.1), (0.0, 0.0, 1.0)])
def test_standard_error_equals_that_of_the_mean_squares(parts: tuple[float, float, float]) -> None:
    d = table(30, 4, parts)
    found = documents_by_draws(d)
    assert found.error == pytest.approx(naive_error(d), rel=1e-10)
    assert found.error**2 == pytest.approx(found.draw_error**2 + found.document_error**2)
    assert found.mean == pytest.approx(d.mean())


def test_without_document_effect_bounds_are_those_of_the_t_test_over_draws() -> None:
    d = np.tile(np.array([0.1, 0.4, 0.3, 0.9]), (5, 1))
    found = documents_by_draws(d, margin=0.2)
    t = stats.ttest_1samp(d[0], 0.2, alternative="greater")
    assert found.p_above == pytest.approx(t.pvalue)
    assert found.dof == pytest.approx(3)
    assert found.p_below == pytest.approx(1 - t.pvalue)


def test_equal_draws_leave_the_t_test_over_documents() -> None:
    column = np.array([0.1, 0.4, 0.3, 0.9, -0.2])
    found = documents_by_draws(np.tile(column[:, None], (1, 3)), margin=0.2)
    assert found.p_above == pytest.approx(stats.ttest_1samp(column, 0.2, alternative="greater").pvalue)
    assert found.dof == pytest.approx(4)


def test_p_value_and_bound_cross_the_level_at_the_same_margin() -> None:
    d = table(40, 4, (0.3, 0.1, 0.5)) + 0.4
    for alpha in (0.05, 0.005):
        found = documents_by_draws(d, alpha=alpha)
        assert documents_by_draws(d, margin=found.low).p_above == pytest.approx(alpha, rel=1e-6)
        assert documents_by_draws(d, margin=found.high).p_below == pytest.approx(alpha, rel=1e-6)
        assert 3 < found.dof < 39


def test_lower_tail_inverts_quantile_on_both_sides() -> None:
    d = np.stack([table(25, 3, (1.0, share, 0.2), seed).T for seed, share in enumerate((0.05, 0.3, 2.0))])[None]
    seen = noise(d.mean(axis=-1), documents=d)
    for p in (1e-9, 0.01, 0.5, 0.97):
        assert lower_tail(seen, quantile(seen, np.asarray(p))) == pytest.approx(np.full((1, 3), p), rel=1e-6)
    assert np.isfinite(equivalent_dof(seen, 0.05)).all()


@pytest.mark.parametrize("draws", [1, 2])
def test_one_or_two_draws_give_a_mean_and_no_test(draws: int) -> None:
    found = documents_by_draws(table(50, draws, (0.1, 0.1, 0.1)) + 5, margin=0.1)
    assert found.mean == pytest.approx(5, abs=0.5)
    assert (found.p_above, found.p_below, found.low, found.high) == (1.0, 1.0, -np.inf, np.inf)


@pytest.mark.parametrize("d", [np.ones(5), np.ones((1, 5)), np.ones((5, 0)), np.array([[1.0, np.nan], [0.0, 1.0]])])
def test_tables_that_cannot_be_judged_are_errors(d: Array) -> None:
    with pytest.raises(StudyError, match="differences"):
        documents_by_draws(d)


def test_simulated_designs_keep_the_level_where_one_source_of_noise_alone_does_not() -> None:
    rng = np.random.default_rng(0)
    worst: dict[str, float] = {}
    for design in list(documents_and_draws.designs())[::7]:
        for name, rate in documents_and_draws.rates(design, 0.05, 1000, rng).items():
            worst[name] = max(rate, worst.get(name, 0.0))
    assert worst["Cochran and Cox"] < 0.056
    assert worst["documents alone"] > 0.3
    assert worst["means of draws alone"] > 0.3


def _studies(documents: int, draws: int, parts: tuple[float, float, float], count: int) -> Noise:
    rng = np.random.default_rng(5)
    a, b, e = parts
    d = (
        a * rng.standard_normal((count, 1, 1, 1, documents))
        + b * rng.standard_normal((count, 1, 1, draws, 1))
        + e * rng.standard_normal((count, 1, 1, draws, documents))
    )
    return noise(d.mean(axis=-1), documents=d)


@pytest.mark.slow
@pytest.mark.parametrize("documents", [20, 200])
@pytest.mark.parametrize("draws", [3, 5, 10])
@pytest.mark.parametrize("parts", [(1, 0, 1), (1, 0.1, 1), (1, 0.5, 0.1), (0, 1, 1), (0, 0, 1)])
def test_coverage_of_whole_tables_at_two_levels(documents: int, draws: int, parts: tuple[float, float, float]) -> None:
    count = 2000
    seen = _studies(documents, draws, parts, count)
    for level in (0.05, 0.01):
        most = level + 3.5 * (level * (1 - level) / count) ** 0.5
        assert (p_beyond(seen, 0.0, 1) <= level).mean() <= most
        assert (p_beyond(seen, 0.0, -1) <= level).mean() <= most
