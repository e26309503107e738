"""Controls are known by their names."""

from __future__ import annotations

import pytest

from prunecheck.statistics.roles import partial, role
from prunecheck.statistics.settings import Settings


@pytest.mark.parametrize(
    ("method", "check", "expected"),
    [
        ("snip", "identity", "identity"),
        ("lr_rewinding", "identity", "identity"),
        ("snip", "aa", "aa"),
        ("random_ticket", "layerwise_rearrange", "aa"),
        ("random_ticket", "random_labels", None),
        ("snip", "layerwise_rearrange", None),
        ("lr_rewinding", "layerwise_rearrange", "positive"),
        ("lr_rewinding", "planted_0.25", "planted"),
        ("snip", "planted_1", "planted"),
        ("snip", "planted_", None),
        ("snip", "planted_x1", None),
    ],
)
def test_roles(method: str, check: str, expected: str | None) -> None:
    assert role(method, check, Settings()) == expected


def test_the_positive_control_is_a_choice() -> None:
    assert role("snip", "random_labels", Settings(positive_control="snip")) == "positive"
    assert role("lr_rewinding", "random_labels", Settings(positive_control=None)) is None


def test_doses() -> None:
    assert [partial(f"planted_{q}") for q in ("0", ".5", "0.25", "1", "1.")] == [0.0, 0.5, 0.25, 1.0, None]
    assert partial("random_labels") is None
