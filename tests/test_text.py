from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.errors import StudyError
from prunecheck.text import nearest, parse_sparsity, percent, printable, shown_path, unknown


@pytest.mark.parametrize(
    ("value", "sparsity"),
    [
        (0.98, 0.98),
        ("0.98", 0.98),
        ("98%", 0.98),
        (" 98 % ", 0.98),
        ("99.8%", 0.998),
        ("28%", 0.28),
        ("29%", 0.29),  # 29 / 100 as floats is fine, 0.57 * 100 is not: the text decides
        ("57%", 0.57),
        (".5", 0.5),
        ("1e-3", 0.001),
    ],
)
def test_a_sparsity_as_people_write_it(value: object, sparsity: float) -> None:
    assert parse_sparsity(value) == sparsity


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1, 0.0, 1.0, -0.5, 98, "98", "100%", "0%", "", "%", "high", "0,98", "nan", "inf", "1e999", "\x1b[31m"),
        *(float("nan"), float("inf"), 10**400, True, False, None, [0.9], {}),
    ],
)
def test_anything_else_is_refused_in_words(value: object) -> None:
    with pytest.raises(StudyError) as caught:
        parse_sparsity(value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("value", "meant"), [(98, "0.98"), ("95", "0.95"), (99.8, "0.998")])
def test_percent_without_the_sign_is_understood_but_not_accepted(value: object, meant: str) -> None:
    with pytest.raises(StudyError, match=f"Did you mean {meant}"):
        parse_sparsity(value)


@given(st.integers(1, 99999).map(lambda i: i / 100000))
def test_percent_and_back(sparsity: float) -> None:
    assert parse_sparsity(percent(sparsity)) == sparsity


def test_the_nearest_name_is_offered() -> None:
    names = ["snip", "grasp", "Magnitude"]
    assert unknown("method", "snap", names) == "'snap' is not a method. Did you mean 'snip'?"
    assert nearest("MAGNITUD", names) == "Magnitude"
    assert unknown("method", "zzz", names).endswith("There are: Magnitude, grasp, snip.")
    assert unknown("method", "zzz", []).endswith("There are: none.")


def test_what_is_shown_cannot_drive_a_terminal() -> None:
    assert printable("a\x1b[31mb\n") == "a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}"
    assert len(printable("x" * 500)) == 80


def test_a_long_path_keeps_its_end() -> None:
    assert shown_path("/tmp/x.csv") == "/tmp/x.csv"
    long = shown_path("/tmp/" + "deep/" * 100 + "x\x1b.csv")
    assert (len(long), long[0], long[-7:]) == (240, "…", "/x\ufffd.csv")
