from __future__ import annotations

import bz2
import copy
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from store_study import key_of, names_in, objects

from prunecheck.errors import StoreError
from prunecheck.store import Damaged, Missing, Store, export, import_, manifest, verify
from prunecheck.store.manifest import Entry

KEY, OTHER = sorted([key_of("one"), key_of("two")])
FILES = {"a.bin": bytes(1000), "b" * 64: b"x" * 512, "c": b""}


@pytest.fixture
def source(store: Store) -> Store:
    store.commit(KEY, FILES)
    store.commit(OTHER, {"a": b"1"})
    return store


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_export_and_import_round_trip(source: Store, place: Path) -> None:
    export(source, [OTHER, KEY, KEY], place / "some.tar")
    target = Store.open(place / "target")
    assert import_(target, place / "some.tar") == (KEY, OTHER)
    assert import_(target, place / "some.tar") == ()
    assert objects(target.root) == objects(source.root)
    assert verify(target).ok
    assert names_in(place) == ["some.tar", "store", "target"]


def test_export_of_some_keys(source: Store, place: Path) -> None:
    export(source, iter([OTHER]), place / "some.tar")
    target = Store.open(place / "target")
    assert import_(target, place / "some.tar") == (OTHER,)
    assert list(target.keys()) == [OTHER]


def test_import_keeps_existing_artefacts(source: Store, place: Path) -> None:
    export(source, [KEY, OTHER], place / "some.tar")
    target = Store.open(place / "target")
    target.commit(KEY, {"mine": b""})
    assert import_(target, place / "some.tar") == (OTHER,)
    assert target.names(KEY) == ("mine",)


def test_an_archive_is_a_plain_tar(source: Store, place: Path) -> None:
    export(source, [KEY, OTHER], place / "some.tar")
    with tarfile.open(place / "some.tar", "r:") as tar:
        names = [f"{KEY}/manifest.json", *(f"{KEY}/{n}" for n in FILES), f"{OTHER}/manifest.json", f"{OTHER}/a"]
        assert tar.getnames() == names
        member = tar.extractfile(f"{KEY}/a.bin")
        assert member is not None
        assert member.read() == FILES["a.bin"]
        assert {(m.mtime, m.uid, m.uname, m.mode) for m in tar} == {(0, 0, "", 0o644)}
    assert (place / "some.tar").stat().st_size % 512 == 0


def test_the_same_artefacts_give_the_same_archive(source: Store, place: Path) -> None:
    export(source, [KEY, OTHER], place / "one.tar")
    export(source, [OTHER, KEY], place / "two.tar")
    assert sha256(place / "one.tar") == sha256(place / "two.tar")


def test_an_empty_archive(source: Store, place: Path) -> None:
    export(source, [], place / "none.tar")
    assert (place / "none.tar").read_bytes() == bytes(1024)
    assert import_(Store.open(place / "target"), place / "none.tar") == ()
    assert not (place / "target").exists()


def test_failed_export_keeps_the_old_archive(source: Store, place: Path) -> None:
    (place / "some.tar").write_bytes(b"old")
    with pytest.raises(Missing):
        export(source, [KEY, key_of("absent")], place / "some.tar")
    (source.folder(KEY) / "c").write_bytes(b"rot")
    with pytest.raises(Damaged):
        export(source, [KEY], place / "some.tar")
    assert (place / "some.tar").read_bytes() == b"old"
    assert names_in(place) == ["some.tar", "store"]


def test_import_of_an_absent_file(place: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        import_(Store.open(place / "target"), place / "absent.tar")


# --- hostile archives

Members = list[tuple[tarfile.TarInfo, bytes]]


def plain(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, data


def good(key: str = OTHER, files: dict[str, bytes] | None = None) -> Members:
    files = {"a": b"1", "b": b"2"} if files is None else files
    entries = {name: Entry.of(data) for name, data in files.items()}
    listing = plain(f"{key}/manifest.json", manifest.render(key, entries))
    return [listing, *(plain(f"{key}/{name}", data) for name, data in files.items())]


def special(kind: bytes, name: str, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def linked(info: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    twin = copy.copy(info)
    twin.linkname = "/etc/passwd"
    return twin, data


def packed(members: Members, form: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def with_type(kind: bytes) -> bytes:
    members = good()
    members[1][0].type = kind
    return packed(members)


def sparse_bomb() -> bytes:
    members = good()
    members[1][0].pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" * 15}
    return packed(members, tarfile.PAX_FORMAT)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("../x", "gotcha")
    return buffer.getvalue()


FIRST, A, B = good()
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "noise": lambda: bytes(range(256)) * 8,
    "gzip": lambda: gzip.compress(packed(good())),
    "bzip2": lambda: bz2.compress(packed(good())),
    "zip": zipped,
    "symlink": lambda: packed([FIRST, special(tarfile.SYMTYPE, f"{OTHER}/a", "/etc/passwd"), B]),
    "hard link": lambda: packed([FIRST, special(tarfile.LNKTYPE, f"{OTHER}/a", f"{OTHER}/b"), B]),
    "folder": lambda: packed([special(tarfile.DIRTYPE, OTHER), *good()]),
    "pipe": lambda: packed([FIRST, special(tarfile.FIFOTYPE, f"{OTHER}/a"), B]),
    "character device": lambda: packed([FIRST, special(tarfile.CHRTYPE, f"{OTHER}/a"), B]),
    "block device": lambda: packed([FIRST, special(tarfile.BLKTYPE, f"{OTHER}/a"), B]),
    "old file type": lambda: with_type(tarfile.AREGTYPE),
    "contiguous": lambda: with_type(tarfile.CONTTYPE),
    "sparse": lambda: with_type(tarfile.GNUTYPE_SPARSE),
    "sparse bomb": sparse_bomb,
    "link name on a file": lambda: packed([linked(*FIRST), A, B]),
    "pax header": lambda: packed([plain("ä" * 20, b""), *good()], tarfile.PAX_FORMAT),
    "gnu long name": lambda: packed([plain("x" * 150, b"")], tarfile.GNU_FORMAT),
    "absolute": lambda: packed([plain("/tmp/gotcha", b"1")]),
    "absolute manifest": lambda: packed([plain(f"/{OTHER}/manifest.json", FIRST[1]), A, B]),
    "parent": lambda: packed([plain("../gotcha", b"1")]),
    "parent manifest": lambda: packed([plain("../manifest.json", FIRST[1])]),
    "parent inside": lambda: packed([FIRST, plain(f"{OTHER}/../gotcha", b"1"), B]),
    "parent in the manifest": lambda: packed(good(files={"../a": b"1"})),
    "deeper": lambda: packed([plain(f"x/{OTHER}/manifest.json", FIRST[1]), A, B]),
    "no folder": lambda: packed([plain("manifest.json", FIRST[1]), A, B]),
    "upper-case key": lambda: packed(good(OTHER.upper())),
    "short key": lambda: packed(good(OTHER[:63])),
    "look-alike key": lambda: packed(good("٣" * 30)),
    "another key": lambda: packed([plain(f"{KEY}/manifest.json", FIRST[1]), A, B]),
    "file first": lambda: packed([A, FIRST, B]),
    "manifest twice": lambda: packed([FIRST, FIRST, A, B]),
    "wrong order": lambda: packed([FIRST, B, A]),
    "file twice": lambda: packed([FIRST, A, A, B]),
    "file too many": lambda: packed([FIRST, A, B, plain(f"{OTHER}/c", b"3")]),
    "file missing": lambda: packed([FIRST, A]),
    "all files missing": lambda: packed([FIRST]),
    "next artefact too early": lambda: packed([FIRST, A, *good(KEY)]),
    "content changed": lambda: packed([FIRST, plain(f"{OTHER}/a", b"9"), B]),
    "content longer": lambda: packed([FIRST, plain(f"{OTHER}/a", b"11"), B]),
    "file of another artefact": lambda: packed([FIRST, plain(f"{KEY}/a", b"1"), B]),
    "damaged manifest": lambda: packed([plain(f"{OTHER}/manifest.json", FIRST[1][:-1]), A, B]),
    "size beyond the end": lambda: header(f"{OTHER}/manifest.json", 5000) + bytes(4608),
    "huge size": lambda: header(f"{OTHER}/manifest.json", 1 << 60) + bytes(1024),
    "negative size": lambda: header(f"{OTHER}/manifest.json", -512) + bytes(1024),
    "cut in the content": lambda: packed(good())[:700],
    "cut in the padding": lambda: packed(good())[:1024 + 512 + 200],
    "cut in a header": lambda: packed(good())[:300],
    "cut before the end mark": lambda: packed(good())[: 512 * 6],
    "checksum": lambda: packed(good()).replace(b"ustar", b"ustaR"),
    "name that is not UTF-8": lambda: packed([plain("\udcff", b"1")]),
    "escape sequence": lambda: packed([plain("\x1b[31mgotcha", b"1")]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused(name: str, place: Path) -> None:
    (place / "hostile.tar").write_bytes(HOSTILE[name]())
    target = Store.open(place / "target")
    with pytest.raises(StoreError, match=r"hostile\.tar is not an archive of a store: .*\.$") as caught:
        import_(target, place / "hostile.tar")
    assert str(caught.value).isprintable()
    complete = name in ("file too many", "cut before the end mark")
    assert set(target.keys()) == ({OTHER} if complete else set())
    assert verify(target).ok
    assert set(names_in(place)) <= {"hostile.tar", "target"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("symlink", f"'{OTHER}/a': only plain files may be in it."),
        ("content changed", f"'{OTHER}/a': it should be a with the SHA-256 the manifest gives."),
        ("file missing", "'the end': it should be b with the SHA-256 the manifest gives."),
        ("deeper", "': a valid manifest must come first."),
        ("huge size", f"'{OTHER}/manifest.json': it is cut short."),
        ("size beyond the end", f"'{OTHER}/manifest.json': it is cut short."),
        ("empty", "'the next member': empty header."),
    ],
)
def test_refusal_of_an_archive_names_the_reason(name: str, words: str, place: Path) -> None:
    (place / "hostile.tar").write_bytes(HOSTILE[name]())
    with pytest.raises(StoreError) as caught:
        import_(Store.open(place / "target"), place / "hostile.tar")
    assert str(caught.value).endswith(words)


def test_artefacts_before_a_wrong_member_are_imported(place: Path) -> None:
    (place / "some.tar").write_bytes(packed([*good(KEY), FIRST, B, A]))
    target = Store.open(place / "target")
    with pytest.raises(StoreError):
        import_(target, place / "some.tar")
    assert list(target.keys()) == [KEY]


def test_every_truncation_and_many_flips_are_refused_or_harmless(source: Store, place: Path) -> None:
    export(source, [KEY, OTHER], place / "some.tar")
    sound, expected = (place / "some.tar").read_bytes(), objects(source.root)
    for cut in range(0, len(sound) - 1024, 97):
        (place / "cut.tar").write_bytes(sound[:cut])
        target = Store.open(place / f"cut {cut}")
        with pytest.raises(StoreError):
            import_(target, place / "cut.tar")
        assert objects(target.root).items() <= expected.items()
    for bit in range(0, 8 * len(sound), 101):
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8
        (place / "flip.tar").write_bytes(flipped)
        target = Store.open(place / f"flip {bit}")
        with suppress(StoreError):
            import_(target, place / "flip.tar")
        assert objects(target.root).items() <= expected.items()
