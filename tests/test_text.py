from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.errors import StudyError
from prunecheck.text import (
    counted,
    decimal,
    duration,
    listing,
    nearest,
    parse_sparsity,
    percent,
    points,
    printable,
    printable_line,
    printable_lines,
    printable_path,
    signed,
    unknown,
)


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
        (np.float64(0.98), 0.98),
        (np.float32(0.98), 0.98),  # 0.98000001907... as a double
        (np.float16(0.5), 0.5),
        (np.array(0.98), 0.98),
        (torch.tensor(0.98), 0.98),
        (torch.tensor(0.98, dtype=torch.float64), 0.98),
        (Fraction(49, 50), 0.98),
        (Decimal("0.98"), 0.98),
    ],
)
def test_sparsity_is_read_from_text_and_every_numeric_type(value: object, sparsity: float) -> None:
    assert parse_sparsity(value) == sparsity


@pytest.mark.parametrize(
    "value",
    [
        *(0, 1, 0.0, 1.0, -0.5, 98, "98", "100%", "0%", "", "%", "high", "0,98", "nan", "inf", "1e999", "\x1b[31m"),
        *(float("nan"), float("inf"), 10**400, True, False, None, [0.9], {}),
        *(np.True_, np.array([0.9]), torch.tensor([0.9]), torch.tensor(True), 0.5j, Decimal("nan"), np.int64(98)),
    ],
)
def test_sparsity_outside_the_range_or_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(StudyError) as caught:
        parse_sparsity(value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("value", "meant"), [(98, "0.98"), ("95", "0.95"), (99.8, "0.998")])
def test_percent_without_its_sign_is_refused_with_the_fraction(value: object, meant: str) -> None:
    with pytest.raises(StudyError, match=f"Did you mean {meant}"):
        parse_sparsity(value)


def test_too_many_percent_are_no_fraction_without_its_point() -> None:
    with pytest.raises(StudyError) as caught:
        parse_sparsity("180%")
    assert str(caught.value).endswith("it is the fraction of weights removed.")


@given(st.integers(1, 99999).map(lambda i: i / 100000))
def test_percent_and_back(sparsity: float) -> None:
    assert parse_sparsity(percent(sparsity)) == sparsity


def test_unknown_name_suggests_the_nearest() -> None:
    names = ["snip", "grasp", "Magnitude"]
    assert unknown("method", "snap", names) == "'snap' is not a method. Did you mean 'snip'?"
    assert nearest("MAGNITUD", names) == "Magnitude"
    assert unknown("method", "zzz", names).endswith("There are: Magnitude, grasp, snip.")
    assert unknown("method", "zzz", []).endswith("There are: none.")


def test_printable_replaces_control_characters_and_cuts() -> None:
    assert printable("a\x1b[31mb\n") == "a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}"
    assert len(printable("x" * 500)) == 80


def test_printable_path_cuts_the_beginning() -> None:
    assert printable_path("/tmp/x.csv") == "/tmp/x.csv"
    long = printable_path("/tmp/" + "deep/" * 100 + "x\x1b.csv")
    assert (len(long), long[0], long[-7:]) == (240, "…", "/x\ufffd.csv")


def test_printable_line_joins_lines_and_printable_lines_keeps_them() -> None:
    text = "a\tb\r\nc\x1b[1m \u202ed"
    assert printable_line(text) == "a b c\ufffd[1m \ufffdd"
    assert printable_lines(text) == "a    b\nc\ufffd[1m \ufffdd"
    assert printable_lines("x" * 9 + "\n" + "y", limit=5) == "xxxx…\ny"


@given(st.text())
def test_printable_text_holds_no_character_that_steers_a_terminal(text: str) -> None:
    assert printable(text, 10_000).isprintable()
    assert printable_line(text).isprintable()
    assert printable_lines(text).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("value", "text"), [(6.1, "+6.10"), (-6.1, "-6.10"), (-0.001, "0.00"), (0, "0.00"), (float("nan"), "n/a")]
)
def test_signed_number_has_no_negative_zero(value: float, text: str) -> None:
    assert signed(value) == text


def test_decimal_of_nothing_is_not_available() -> None:
    assert (decimal(2.345, 1), decimal(None), decimal(float("inf"))) == ("2.3", "n/a", "n/a")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.1234, "0.123 s"),
        (59.4, "59.4 s"),
        (59.6, "1 min 0 s"),
        (95, "1 min 35 s"),
        (3599, "60 min"),
        (5025, "1 h 23 min"),
        (36 * 3600, "1.5 days"),
    ],
)
def test_duration_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counted_nouns_and_listing() -> None:
    assert [counted(n, "seed") for n in (0, 1, 10_000)] == ["0 seeds", "1 seed", "10,000 seeds"]
    assert counted(2, "study", "studies") == "2 studies"
    assert [listing(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.8413, "0.84"), (0.0512, "0.051"), (12.0, "12.00"), (0.0, "0.00"), (0.0004, "0.0004")]
)
def test_points_has_two_decimals_or_two_digits(value: float, text: str) -> None:
    assert points(value) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (95, "1 min 35 s"),
        (599, "9 min 59 s"),
        (640, "11 min"),
        (3600, "1 h 0 min"),
        (5 * 3600 + 125, "5 h 2 min"),
        (36 * 3600, "1.5 days"),
        (10 * 86400, "10.0 days"),
    ],
)
def test_duration_in_whole_seconds(seconds: float, words: str) -> None:
    assert duration(seconds, whole_seconds=True) == words
