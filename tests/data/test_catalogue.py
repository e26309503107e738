"""Specs refuse sizes that are no sizes."""

from __future__ import annotations

import pytest

from prunecheck.data import DataSpec
from prunecheck.errors import DataError


@pytest.mark.parametrize("field", ["size", "train_size", "test_size"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "16", True])
def test_sizes_are_positive_whole_numbers(field: str, value: object) -> None:
    with pytest.raises(DataError, match=f"{field} is a positive whole number"):
        DataSpec("digits", **{field: value})  # type: ignore[arg-type]


def test_equal_specs_are_equal_and_hashable() -> None:
    assert {DataSpec("digits", size=4), DataSpec("digits", size=4)} == {DataSpec("digits", size=4)}
