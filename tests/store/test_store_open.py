from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from store_study import everything, key_of, names_in

from prunecheck.errors import StoreError
from prunecheck.store import Store, verify

KEY, OTHER = key_of("one"), key_of("two")
FILES = {"b.json": b"{}", "a.bin": bytes(5000)}


def test_open_writes_nothing_until_the_first_commit(place: Path) -> None:
    store = Store.open(place / "deep" / "store")
    assert not store.has(KEY)
    assert list(store.keys()) == []
    assert store.missing([KEY]) == {KEY}
    assert store.load_partial(KEY) is None
    assert names_in(place) == []
    store.commit(KEY, FILES)
    assert Store.open(place / "deep" / "store").has(KEY)


def test_files_of_a_store(store: Store) -> None:
    store.commit(KEY, FILES)
    folder = f"objects/{KEY[:2]}"
    assert everything(store.root) == {
        "format.json", "CACHEDIR.TAG", ".gitignore", "lock", "claims", "partial", "quarantine", "tmp",
        "objects", folder, f"{folder}/{KEY}", f"{folder}/{KEY}/manifest.json",
        f"{folder}/{KEY}/a.bin", f"{folder}/{KEY}/b.json",
    }  # fmt: skip
    assert (store.root / ".gitignore").read_text() == "*\n"
    assert (store.root / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    assert (store.root / "format.json").read_text() == '{"format": 1}\n'


def test_existing_label_files_are_not_changed(store: Store) -> None:
    store.commit(KEY, FILES)
    (store.root / ".gitignore").write_text("# mine\n")
    Store.open(store.root).commit(OTHER, FILES)
    assert (store.root / ".gitignore").read_text() == "# mine\n"


def test_open_accepts_an_empty_folder_and_an_incomplete_store(place: Path) -> None:
    (place / "store" / "tmp").mkdir(parents=True)
    (place / "store" / "lock").touch()
    Store.open(place / "store").commit(KEY, FILES)
    assert Store.open(place / "store").has(KEY)


def test_open_refuses_a_folder_with_other_things(place: Path) -> None:
    (place / "thesis.tex").write_text("dear")
    (place / "zebra").mkdir()
    with pytest.raises(
        StoreError, match=r"is not a store and not empty \(it has 'thesis.tex'\)\. Give a new or empty folder\.$"
    ):
        Store.open(place)
    assert names_in(place) == ["thesis.tex", "zebra"]


def test_open_refuses_a_file(place: Path) -> None:
    (place / "file").write_text("dear")
    with pytest.raises(StoreError, match=r"file is a file\. Give a folder for the store, new or empty\.$"):
        Store.open(place / "file")


def test_open_refuses_a_newer_format(store: Store) -> None:
    store.commit(KEY, FILES)
    (store.root / "format.json").write_text('{"format": 2}')
    with pytest.raises(
        StoreError,
        match=r"newer prunecheck \(format 2, this one reads up to 1\)\. Upgrade prunecheck or choose another store\.$",
    ) as caught:
        Store.open(store.root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"format": "1"}', '{"format": 0}', '{"format": null}', '{"format": 1.5}',
             '{"format": true}', "[" * 4000, " " * 5000 + '{"format": 1}', '"format"']
)  # fmt: skip
def test_open_refuses_a_damaged_format(text: str, store: Store) -> None:
    store.commit(KEY, FILES)
    (store.root / "format.json").write_text(text)
    with pytest.raises(
        StoreError, match=r'format.json is damaged\. If this folder is a store, put \{"format": 1\} in it\.$'
    ):
        Store.open(store.root)


def test_a_store_of_format_1_stays_readable(place: Path) -> None:
    """The fixture was written by the first release; it must be read, or refused in one sentence, for ever."""
    shutil.copytree(Path(__file__).parent / "format_1", place / "store")
    store = Store.open(place / "store")
    key = key_of("fixture")
    assert list(store.keys()) == [key]
    assert {name: store.read(key, name) for name in store.names(key)} == {"a.bin": b"\x00\x01", "b.json": b"{}\n"}
    assert store.load_partial(key_of("fixture partial")) == b"half"
    assert verify(store).ok


def test_the_root_may_be_a_link_and_start_with_a_tilde(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "big").mkdir()
    (place / "link").symlink_to("big")
    monkeypatch.setenv("HOME", str(place))
    Store.open(Path("~/link")).commit(KEY, FILES)
    assert Store.open(place / "big").has(KEY)


def test_open_refuses_an_invalid_path(place: Path) -> None:
    (place / "circle").symlink_to("circle")
    for path in (Path("a\x00b"), Path("~nobody-of-this-name/x"), place / ("x" * 300)):
        with pytest.raises(StoreError) as caught:
            Store.open(path)
        assert str(caught.value).isprintable()
    with pytest.raises(StoreError):
        Store.open(place / "circle" / "store").commit(KEY, FILES)
