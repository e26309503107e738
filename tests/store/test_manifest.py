from __future__ import annotations

import hashlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_study import key_of

from prunecheck.errors import StoreError
from prunecheck.store import manifest
from prunecheck.store.manifest import Entry

KEY = key_of("one")
ENTRIES = {"a.bin": Entry.of(b"abc"), "b.json": Entry.of(b"")}
SAFE_NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True).filter(
    lambda name: name.lower() != manifest.NAME
)


def test_golden_bytes() -> None:
    """What old stores hold. A change here is a new format, not a tidy-up."""
    digest = hashlib.sha256(manifest.render(KEY, ENTRIES)).hexdigest()
    assert digest == "10b36687953af3d6fa4452f8b249338482654034f376b483c17ba4f67b11f94f"


def test_entry() -> None:
    assert Entry.of(b"abc") == Entry(3, hashlib.sha256(b"abc").hexdigest())


@given(st.dictionaries(SAFE_NAMES, st.binary(max_size=20), max_size=5))
def test_parse_reads_what_render_wrote(files: dict[str, bytes]) -> None:
    entries = {name: Entry.of(data) for name, data in files.items()}
    parsed = manifest.parse(KEY, manifest.render(KEY, entries))
    assert parsed == entries
    assert list(parsed) == sorted(parsed)


@given(st.dictionaries(SAFE_NAMES, st.binary(max_size=20), max_size=5))
def test_manifest_bytes_equal_json_dumps(files: dict[str, bytes]) -> None:
    text = manifest.render(KEY, {name: Entry.of(data) for name, data in files.items()}).decode()
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"


@pytest.mark.parametrize("odd", [r"\ud800", r"\"", r"\n", "\N{SNOWMAN}"])
def test_invalid_hash_in_a_manifest_is_damage(odd: str) -> None:
    entry = f'{{"size": 1, "sha256": "{odd}"}}'
    assert manifest.parse(KEY, f'{{"files": {{"a": {entry}}}}}'.encode()) is None


def test_order_of_the_files_does_not_matter() -> None:
    assert manifest.render(KEY, dict(reversed(ENTRIES.items()))) == manifest.render(KEY, ENTRIES)


def test_every_flipped_bit_is_detected() -> None:
    sound = manifest.render(KEY, ENTRIES)
    for bit in range(8 * len(sound)):
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8
        assert manifest.parse(KEY, bytes(flipped)) is None, bit


def test_every_truncation_is_detected() -> None:
    sound = manifest.render(KEY, ENTRIES)
    assert all(manifest.parse(KEY, sound[:length]) is None for length in range(len(sound)))
    assert manifest.parse(KEY, sound + b"\n") is None


def test_manifest_of_another_key_is_refused() -> None:
    assert manifest.parse(key_of("two"), manifest.render(KEY, ENTRIES)) is None


def test_empty_bytes_are_no_manifest() -> None:
    assert manifest.parse(KEY, None) is None


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    assert manifest.parse(KEY, data) is None


@pytest.mark.parametrize(
    "value",
    [
        [], {}, 3, None, "x",
        {"files": []}, {"files": None}, {"files": {"a": None}}, {"files": {"a": []}}, {"files": {"a": {}}},
        {"files": {"a": {"size": "x", "sha256": ""}}}, {"files": {"a": {"size": float("inf"), "sha256": ""}}},
        {"files": {"a": {"size": None, "sha256": ""}}}, {"files": {"../a": {"size": 1, "sha256": ""}}},
        {"files": {"a": {"size": 1}}},
    ],
)  # fmt: skip
def test_arbitrary_json_is_refused(value: object) -> None:
    assert manifest.parse(KEY, json.dumps(value).encode()) is None


def test_deeply_nested_json_is_refused() -> None:
    assert manifest.parse(KEY, b"[" * 100_000) is None


@pytest.mark.slow
def test_100_000_mutations_are_refused() -> None:
    rng, sound = random.Random(1), manifest.render(KEY, ENTRIES)
    for _ in range(100_000):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 4)):
            start, stop = sorted(rng.choices(range(len(data) + 1), k=2))
            data[start:stop] = rng.choice([b"", rng.randbytes(3), data[start:stop] * 2, b"9" * 30, b'{"a":'])
        if data != sound:
            assert manifest.parse(KEY, bytes(data)) is None


@pytest.mark.parametrize("key", [KEY, "0" * 64, "f" * 64])
def test_keys(key: str) -> None:
    assert manifest.check_key(key) == key
    assert manifest.is_key(key)


@pytest.mark.parametrize(
    "key",
    ["", "0" * 63, "0" * 65, KEY.upper(), "g" * 64, "٣" * 64, KEY + "\n", "../" + KEY[3:], None, 3, KEY.encode()],
)
def test_keys_refused(key: object) -> None:
    with pytest.raises(StoreError, match=r" is not a key\. A key is 64 hex digits, in lower case\.$") as caught:
        manifest.check_key(key)  # type: ignore[arg-type]
    assert str(caught.value).startswith(repr(key)[:50])


@pytest.mark.parametrize("name", ["a", "0", "a.b-c_D", "a" * 64, "a..b", "CON"])
def test_names(name: str) -> None:
    assert manifest.check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a" * 65, ".a", "_a", "-a", "a/b", "ä", "a\n", "manifest.json", "Manifest.JSON", 3, None]
)
def test_names_refused(name: object) -> None:
    with pytest.raises(
        StoreError, match=r"^['\w].* is not a file name of an artefact\. Use 1 to 64 of .* manifest\.json is taken\.$"
    ):
        manifest.check_name(name)  # type: ignore[arg-type]


def test_limit_is_far_above_any_real_manifest() -> None:
    many = {f"{i}" + "x" * 58: Entry.of(b"") for i in range(10_000)}
    assert len(manifest.render(KEY, many)) < manifest.LIMIT == 16 * 1024 * 1024
