from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from prunecheck.errors import PluginError
from prunecheck.pruning import masks as m
from prunecheck.pruning.counts import Counts
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.seeds import stream

FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def sorted_twin(scores: Mapping[str, Tensor], kept: int) -> dict[str, list[bool]]:
    """The rule as a sorted Python list: larger scores first, then earlier layers, then earlier positions."""
    pool = [(-float(v), i, j) for i, s in enumerate(scores.values()) for j, v in enumerate(s.reshape(-1).tolist())]
    chosen = {(i, j) for _, i, j in sorted(pool)[:kept]}
    return {n: [(i, j) in chosen for j in range(s.numel())] for i, (n, s) in enumerate(scores.items())}


def flat(masks: Mapping[str, Tensor]) -> dict[str, list[bool]]:
    return {name: mask.reshape(-1).tolist() for name, mask in masks.items()}


@st.composite
def score_sets(draw: st.DrawFn) -> dict[str, Tensor]:
    """Few distinct values, so that ties are the rule; dtypes may differ between layers."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    value = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 1.0, 1.001, 1.0000000001, 3.0])
    return {
        f"layer{i}": torch.tensor(
            draw(st.lists(value, min_size=size, max_size=size)), dtype=draw(st.sampled_from(FLOATS))
        )
        for i, size in enumerate(sizes)
    }


@given(score_sets(), st.data())
def test_global_selection_is_the_sorted_list(scores: dict[str, Tensor], data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, sum(s.numel() for s in scores.values())))
    expected = sorted_twin(scores, kept)
    counts = m.global_counts(scores, kept)
    assert counts == {name: sum(mask) for name, mask in expected.items()}
    assert flat(m.keep_top(scores, counts).masks) == expected


@given(score_sets(), st.data())
def test_layerwise_selection_is_the_sorted_list(scores: dict[str, Tensor], data: st.DataObject) -> None:
    counts = {name: data.draw(st.integers(0, s.numel())) for name, s in scores.items()}
    expected = {n: sorted_twin({n: s}, counts[n])[n] for n, s in scores.items()}
    assert flat(m.keep_top(scores, counts).masks) == expected


def test_ten_thousand_random_score_sets_and_not_one_off_by_one() -> None:
    rng = stream(0, "score sets")
    for _ in range(10_000):
        sizes = rng.integers(1, 40, rng.integers(1, 4))
        coarse = rng.random() < 0.5
        arrays = [
            rng.integers(0, 4, n).astype(np.float32) if coarse else rng.standard_normal(n).astype(np.float32)
            for n in sizes
        ]
        kept = int(rng.integers(0, sizes.sum() + 1))
        scores = {str(i): torch.from_numpy(a) for i, a in enumerate(arrays)}
        masks = m.keep_top(scores, m.global_counts(scores, kept)).masks
        order = np.argsort(-np.concatenate(arrays), kind="stable")[:kept]
        expected = np.zeros(sizes.sum(), dtype=bool)
        expected[order] = True
        assert np.array_equal(np.concatenate([mask.numpy() for mask in masks.values()]), expected)


@pytest.mark.parametrize("dtype", FLOATS)
def test_many_scores_of_every_dtype(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(7)
    scores = {n: torch.randn(40, 25, generator=generator).to(dtype) for n in ("a", "b")}
    for kept in (0, 1, 37, 1000, 1999, 2000):
        counts = m.global_counts(scores, kept)
        assert sum(counts.values()) == kept
        assert flat(m.keep_top(scores, counts).masks) == sorted_twin(scores, kept)


@given(score_sets(), st.data())
def test_the_hint_never_decides(scores: dict[str, Tensor], data: st.DataObject) -> None:
    counts = Counts({name: data.draw(st.integers(0, s.numel())) for name, s in scores.items()})
    plain = m.keep_top(scores, dict(counts))
    counts.cut = data.draw(st.sampled_from([-9.0, -1.5, 0.0, 0.25, 1.0, 1.0005, 1.001, 3.0, 9.0, float("nan")]))
    assert flat(m.keep_top(scores, counts).masks) == flat(plain.masks)


def test_equal_scores_are_kept_by_position_and_counted_as_ties() -> None:
    scores = {"a": torch.ones(2, 5), "b": torch.ones(10)}
    layerwise = m.keep_top(scores, {"a": 3, "b": 10})
    assert flat(layerwise.masks) == {"a": [True] * 3 + [False] * 7, "b": [True] * 10}
    assert layerwise.tied == 3
    half = m.global_counts(scores, 10)
    assert half == {"a": 10, "b": 0}
    assert m.keep_top(scores, half).tied == 10  # the order of the layers decided all ten
    assert m.keep_top(scores, m.global_counts(scores, 13)).tied == 13
    assert m.keep_top(scores, m.global_counts(scores, 20)).tied == 0


def test_no_tie_is_reported_where_equal_scores_stay_together() -> None:
    scores = {"a": torch.tensor([1.0, 1.0, 0.0, 2.0]), "b": torch.tensor([1.0, 0.5])}
    selection = m.keep_top(scores, m.global_counts(scores, 4))
    assert flat(selection.masks) == {"a": [True, True, False, True], "b": [True, False]}
    assert selection.tied == 0
    assert m.keep_top(scores, m.global_counts(scores, 3)).tied == 2


def test_masks_have_the_shape_of_the_scores_whatever_their_layout() -> None:
    score = torch.arange(24.0).reshape(4, 6).t()  # not contiguous
    mask = m.keep_top({"w": score}, {"w": 5}).masks["w"]
    assert mask.shape == (6, 4)
    assert mask.dtype == torch.bool
    assert sorted(score[mask].tolist()) == [19, 20, 21, 22, 23]
    tied = m.keep_top({"w": torch.zeros(4, 6).t()}, {"w": 5}).masks["w"]
    assert torch.nonzero(tied.reshape(-1)).reshape(-1).tolist() == [0, 1, 2, 3, 4]


def test_selection_leaves_the_scores_alone() -> None:
    score = torch.randn(50, generator=torch.Generator().manual_seed(0))
    before = score.clone()
    m.keep_top({"w": score}, m.global_counts({"w": score}, 7))
    assert torch.equal(score, before)


def test_threshold() -> None:
    scores = {"w": torch.tensor([1.0, 2.0, 3.0])}
    assert flat(m.threshold(scores, 2.0, strict=True)) == {"w": [False, False, True]}
    assert flat(m.threshold(scores, 2.0, strict=False)) == {"w": [False, True, True]}


def test_check_finite_names_layer_and_number() -> None:
    scores = {"a": torch.zeros(3), "b": torch.tensor([0.0, float("nan"), float("inf"), float("-inf")])}
    with pytest.raises(PluginError, match="mine: 3 of 4 scores of b"):
        m.check_finite(scores, "mine")
    m.check_finite({"a": scores["a"]}, "mine")


@given(st.integers(1, 60), st.data())
def test_random_mask_has_the_exact_count(size: int, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, size))
    mask = m.random_mask((1, size), kept, stream(size, "mask", kept))
    assert mask.shape == (1, size)
    assert int(mask.sum()) == kept


@pytest.mark.parametrize("kept", [2, 3, 4])
def test_random_mask_is_uniform_over_subsets(kept: int) -> None:
    """Every subset, not only every position, must be equally likely; both sides of the half are drawn."""
    rng = stream(0, "uniform")
    seen: dict[tuple[bool, ...], int] = {}
    for _ in range(4000):
        subset = tuple(m.random_mask((6,), kept, rng).tolist())
        seen[subset] = seen.get(subset, 0) + 1
    assert len(seen) == {2: 15, 3: 20, 4: 15}[kept]
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3


def test_permuted_keeps_count_and_shape_and_forgets_the_positions() -> None:
    mask = torch.zeros(8, 5, dtype=torch.bool)
    mask[:2] = True
    rng = stream(0, "permuted")
    hits = torch.zeros(8, 5)
    for _ in range(2000):
        other = m.permuted(mask, rng)
        assert other.shape == mask.shape
        assert int(other.sum()) == 10
        hits += other
    # a position's hits are Binomial(2000, 1/4); positions are negatively correlated, which only lowers the statistic
    assert stats.chi2.sf(float(((hits - 500) ** 2 / 375).sum()), 39) > 1e-3
    assert m.permuted(torch.ones(3, 3, dtype=torch.bool), rng).all()
    assert not m.permuted(torch.zeros(3, 3, dtype=torch.bool), rng).any()


def test_overlap_with_a_rearrangement_is_hypergeometric() -> None:
    """Closed form: k of k kept survive in n with mean k*k/n."""
    rng = stream(1, "overlap")
    mask = m.random_mask((400,), 60, rng)
    overlaps = [m.intersection({"w": mask}, {"w": m.permuted(mask, rng)}) for _ in range(1500)]
    law = stats.hypergeom(400, 60, 60)
    assert abs(np.mean(overlaps) - law.mean()) < 4 * law.std() / np.sqrt(1500)
    assert 0.85 < np.var(overlaps) / law.var() < 1.15


def test_random_masks_counts_and_sparsity() -> None:
    layers = (Layer("a", "conv", (4, 3, 3, 3)), Layer("b", "linear", (5, 8)))
    masks = m.random_masks(layers, {"a": 7, "b": 40}, stream(0, "t"))
    assert {n: tuple(mask.shape) for n, mask in masks.items()} == {"a": (4, 3, 3, 3), "b": (5, 8)}
    assert m.counts_of(masks) == {"a": 7, "b": 40}
    assert m.sparsity_of(masks) == 1 - 47 / 148
    again = m.random_masks(layers, {"a": 7, "b": 40}, stream(0, "t"))
    assert all(torch.equal(masks[n], again[n]) for n in masks)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_selection_for_gpus_finds_the_same_threshold_under_ties_and_infinities(dtype: torch.dtype) -> None:
    scores = torch.randint(-3, 4, (5, 40), generator=torch.Generator().manual_seed(0)).to(dtype) / 3
    scores[0, :7] = -float("inf")
    for kept in (1, 2, 50, 150, 199, 200):
        assert m._nth_largest_on_device(scores, kept) == m._nth_largest(scores, kept), kept
