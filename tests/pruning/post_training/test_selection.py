from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.errors import PluginError
from prunecheck.pruning.patterns import parse_pattern
from prunecheck.pruning.post_training.selection import Select


def _naive(scores: np.ndarray, kept: int) -> tuple[list[bool], int]:
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    mask = [i in set(order[:kept]) for i in range(len(scores))]
    if not 0 < kept < len(scores) or scores[order[kept - 1]] != scores[order[kept]]:
        return mask, 0
    return mask, sum(bool(scores[i] == scores[order[kept]]) for i in order[:kept])


@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 2**32), st.data())
def test_rows_equal_a_naive_version_with_ties_to_the_earlier_column(
    outputs: int, inputs: int, seed: int, data: st.DataObject
) -> None:
    scores = np.random.default_rng(seed).integers(0, 4, (outputs, inputs)).astype(np.float32)
    kept = data.draw(st.integers(0, outputs * inputs))
    select = Select((outputs, inputs), kept, "row")
    mask = select(torch.from_numpy(scores))
    few, more = divmod(kept, outputs)
    expected = [_naive(row, few + (i < more)) for i, row in enumerate(scores)]
    assert mask.tolist() == [row for row, _ in expected]
    assert select.tied == sum(ties for _, ties in expected)
    assert int(mask.sum()) == kept


@given(st.integers(1, 6), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32), st.data())
def test_columns_selected_apart_from_each_other_have_the_exact_total(
    outputs: int, inputs: int, step: int, seed: int, data: st.DataObject
) -> None:
    scores = torch.from_numpy(np.random.default_rng(seed).random((outputs, inputs)))
    kept = data.draw(st.integers(0, outputs * inputs))
    for granularity in ("row", "layer"):
        select = Select((outputs, inputs), kept, granularity)
        parts = [select(scores[:, start : start + step], start) for start in range(0, inputs, step)]
        assert sum(int(part.sum()) for part in parts) == kept


def test_groups_keep_the_largest_and_the_earlier_of_equal_scores() -> None:
    select = Select((1, 8), 4, "layer", parse_pattern("2:4"))
    mask = select(torch.tensor([[1.0, 3.0, 2.0, 2.0, 5.0, 5.0, 5.0, 5.0]]))
    assert mask.tolist() == [[False, True, True, False, True, True, False, False]]
    assert select.tied == 3


def test_columns_that_cut_a_group_or_lie_outside_are_refused() -> None:
    select = Select((2, 8), 8, "layer", parse_pattern("2:4"))
    with pytest.raises(PluginError, match="cut a group of 4"):
        select(torch.zeros(2, 4), 2)
    with pytest.raises(PluginError, match="from column 8"):
        select(torch.zeros(2, 4), 8)
    with pytest.raises(PluginError, match="NaN"):
        select(torch.full((2, 4), torch.nan))
