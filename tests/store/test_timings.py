from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_study import key_of, objects

from prunecheck.errors import StoreError
from prunecheck.store import Store, Timings, timings

KEY = key_of("one")


def test_typical_is_the_median(store: Store) -> None:
    times = Timings(store)
    for seconds in (1.0, 9.0, 2.0):
        times.record("train", seconds, KEY)
    times.record("score", 0, KEY)
    assert times.typical("train") == 2.0
    assert times.typical("score") == 0
    assert times.typical("other") is None
    assert Timings(Store.open(store.root)).all_typical() == {"train": 2.0, "score": 0.0}


def test_only_the_latest_50_count(store: Store) -> None:
    times = Timings(store)
    for seconds in [100.0] * 60 + [1.0] * 26 + [3.0] * 24:
        times.record("train", seconds, KEY)
    assert times.typical("train") == 1.0
    times.record("train", 3.0, KEY)
    assert times.typical("train") == 2.0


def test_a_line_is_json(store: Store) -> None:
    Timings(store).record("train", 1.23456789, KEY)
    line = (store.root / "timings.jsonl").read_text()
    assert json.loads(line) == {"class": "train", "key": KEY, "seconds": 1.234568}
    assert line.endswith("\n")


@pytest.mark.parametrize("seconds", [-0.001, math.nan, math.inf])
def test_impossible_times_are_refused(seconds: float, store: Store) -> None:
    with pytest.raises(ValueError, match=f"^seconds must be finite and not negative, not {seconds}$"):
        Timings(store).record("train", seconds, KEY)
    assert not store.root.exists()


GOOD = b'{"class": "a", "key": "k", "seconds": 4}'


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\xff", b"[", b"3", b"null", b"[1]", b"{}", GOOD[:-5], b'{"class": "a"}', b'{"seconds": 9}',
        b'{"class": 1, "seconds": 9}', b'{"class": "a", "seconds": "9"}', b'{"class": "a", "seconds": true}',
        b'{"class": "a", "seconds": NaN}', b'{"class": "a", "seconds": -9}', b'{"class": "a", "seconds": Infinity}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_damaged_lines_are_skipped(line: bytes, store: Store) -> None:
    store.commit(KEY, {})
    (store.root / "timings.jsonl").write_bytes(GOOD + b"\n" + line + b"\n" + GOOD + b"\n" + line)
    assert Timings(store).all_typical() == {"a": 4.0}
    Timings(store).record("a", 6, KEY)
    Timings(store).record("a", 6, KEY)
    assert Timings(store).typical("a") == 5.0


@given(st.lists(st.binary(max_size=60)))
def test_arbitrary_bytes_in_timings_are_skipped(lines: list[bytes]) -> None:
    for line in lines:
        parsed = timings._parse(line)
        assert parsed is None or isinstance(parsed[0], str)


def test_nothing_recorded_yet(store: Store) -> None:
    assert Timings(store).typical("train") is None


def test_artefacts_do_not_contain_times(store: Store, place: Path) -> None:
    other = Store.open(place / "other")
    for each in (store, other):
        each.commit(KEY, {"a": b"1"})
    Timings(store).record("train", 1, KEY)
    assert objects(store.root) == objects(other.root)


def test_timings_link_is_not_followed(store: Store, place: Path) -> None:
    store.commit(KEY, {})
    (store.root / "timings.jsonl").symlink_to(place / "elsewhere")
    with pytest.raises(StoreError):
        Timings(store).record("train", 1, KEY)
    assert not (place / "elsewhere").exists()
