"""Files in folders and archives: whole, missing, torn, huge."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from prunecheck.data import DataSpec, files
from prunecheck.data.files import missing, open_tree, read_members, roots
from prunecheck.errors import DataError
from tests.data.makers import write_files, write_tar, write_zip

MEMBERS = {"a.txt": b"alpha", "sub/b.txt": b"beta"}


def test_a_folder_and_a_zip_of_it_look_the_same(tmp_path: Path) -> None:
    write_files(tmp_path / "top", MEMBERS)
    write_zip(tmp_path / "top.zip", MEMBERS, top="top/")
    write_zip(tmp_path / "flat.zip", MEMBERS, top="")
    for place in (tmp_path / "top", tmp_path / "top.zip", tmp_path / "flat.zip"):
        with open_tree(place, "top") as tree:
            assert {name: tree.read(name) for name in tree.names} == MEMBERS


def test_a_zip_is_not_unpacked_even_if_it_asks_to_climb(tmp_path: Path) -> None:
    write_zip(tmp_path / "evil.zip", {"../../evil.txt": b"x"}, top="top/")
    with open_tree(tmp_path / "evil.zip", "top") as tree:
        assert tree.read(tree.names[0]) == b"x"
    assert list(tmp_path.iterdir()) == [tmp_path / "evil.zip"]
    assert not (tmp_path / ".." / "evil.txt").exists()


def test_a_torn_zip_is_named(tmp_path: Path) -> None:
    write_zip(tmp_path / "top.zip", MEMBERS, top="top/")
    content = (tmp_path / "top.zip").read_bytes()
    (tmp_path / "top.zip").write_bytes(content[:-30])
    with (
        pytest.raises(DataError, match=r"top\.zip is not a zip archive, or torn"),
        open_tree(tmp_path / "top.zip", "top"),
    ):
        pass


def test_a_damaged_member_of_a_zip_is_named(tmp_path: Path) -> None:
    write_zip(tmp_path / "top.zip", MEMBERS, top="top/")
    content = (tmp_path / "top.zip").read_bytes()
    (tmp_path / "top.zip").write_bytes(content.replace(b"alpha", b"alphA"))
    with open_tree(tmp_path / "top.zip", "top") as tree:
        with pytest.raises(DataError, match=r"'top/a\.txt' cannot be read: Bad CRC"):
            tree.read("a.txt")
        assert tree.read("sub/b.txt") == b"beta"


def test_members_of_a_folder_and_of_a_tar(tmp_path: Path) -> None:
    write_files(tmp_path / "top", MEMBERS)
    write_tar(tmp_path / "top.tar.gz", {f"anything/{name}": content for name, content in MEMBERS.items()})
    assert read_members(tmp_path / "top", ["a.txt"]) == {"a.txt": b"alpha"}
    assert read_members(tmp_path / "top.tar.gz", ["a.txt", "b.txt"]) == {"a.txt": b"alpha", "b.txt": b"beta"}


def test_an_absent_member_is_named(tmp_path: Path) -> None:
    write_tar(tmp_path / "top.tar.gz", MEMBERS)
    for place in (tmp_path, tmp_path / "top.tar.gz"):
        with pytest.raises(DataError, match=r"has no 'c\.txt'"):
            read_members(place, ["c.txt"])


def test_links_in_a_tar_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    with tarfile.open(tmp_path / "top.tar.gz", "w:gz") as stream:
        for kind, name in ((tarfile.SYMTYPE, "a.txt"), (tarfile.LNKTYPE, "b.txt")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, str(tmp_path / "secret")
            stream.addfile(link)
    for name in ("a.txt", "b.txt"):
        with pytest.raises(DataError, match=f"has no '{name}'"):
            read_members(tmp_path / "top.tar.gz", [name])


def test_huge_members_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_MEMBER", 4)
    write_tar(tmp_path / "top.tar.gz", MEMBERS)
    write_zip(tmp_path / "top.zip", MEMBERS, top="top/")
    with pytest.raises(DataError, match=r"top\.tar\.gz unpacks to more than .* or 512 at once: refused"):
        read_members(tmp_path / "top.tar.gz", ["a.txt"])
    with open_tree(tmp_path / "top.zip", "top") as tree, pytest.raises(DataError, match="claims over 4 bytes"):
        tree.read("a.txt")


@pytest.mark.parametrize("keep", [0, 20, -12])
def test_a_torn_tar_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "top.tar.gz"
    write_tar(path, {"a.txt": bytes(range(256)) * 100})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"top\.tar\.gz is not a tar\.gz archive, or torn"):
        read_members(path, ["a.txt"])


def test_a_flipped_bit_in_a_tar_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "top.tar.gz"
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as stream:
        member = tarfile.TarInfo("a.txt")
        member.size = 5
        stream.addfile(member, io.BytesIO(b"alpha"))
    # stored, not compressed: nothing but the checksum can tell
    path.write_bytes(gzip.compress(plain.getvalue(), compresslevel=0).replace(b"alpha", b"alphA"))
    with pytest.raises(DataError, match="CRC check failed"):
        read_members(path, ["a.txt"])


def test_the_root_of_the_spec_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNECHECK_DATA", "/elsewhere")
    assert roots(DataSpec("cifar10", root="/here")) == [Path("/here")]


def test_the_environment_goes_before_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNECHECK_DATA", "/elsewhere")
    assert roots(DataSpec("cifar10")) == [Path("/elsewhere"), Path("data")]
    monkeypatch.setenv("PRUNECHECK_DATA", "")
    assert roots(DataSpec("cifar10")) == [Path("data")]


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert roots(DataSpec("cifar10", root="~/sets")) == [tmp_path / "sets"]


@pytest.mark.parametrize(
    ("present", "message"),
    [
        (["cifer-10-batches-py"], "There is 'cifer-10-batches-py': is that it?"),
        (["zzz"], "holds zzz."),
        ([], "holds nothing."),
        ([f"{c}{c}{c}" for c in "qvwxyz"], "holds qqq, vvv, www, xxx, yyy …."),
    ],
)
def test_missing_root_suggests_the_nearest_folder(tmp_path: Path, present: list[str], message: str) -> None:
    for name in present:
        (tmp_path / name).mkdir()
    error = missing(DataSpec("cifar10", root=str(tmp_path)), ["cifar-10-batches-py", "cifar10"])
    assert str(error).startswith(f"data 'cifar10' is not there: expected {tmp_path}/cifar-10-batches-py (or cifar10).")
    assert message in str(error)
    assert len(str(error).splitlines()) <= 3


def test_a_root_that_is_missing_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "file is a file." in str(missing(DataSpec("cifar10", root=str(tmp_path / "file")), ["x"]))
    assert "absent does not exist." in str(missing(DataSpec("cifar10", root=str(tmp_path / "absent")), ["x"]))


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "top.tar.gz", {"one/a.txt": b"alpha", "two/a.txt": b"beta"})
    with pytest.raises(DataError, match=r"holds 'a\.txt' twice"):
        read_members(tmp_path / "top.tar.gz", ["a.txt"])
    write_zip(tmp_path / "top.zip", {"top/a.txt": b"alpha", "a.txt": b"beta"}, top="")
    with pytest.raises(DataError, match=r"holds 'a\.txt' twice"), open_tree(tmp_path / "top.zip", "top"):
        pass


def test_a_tar_whose_header_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    """A pax header is read whole by tarfile before its member is seen."""
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**32
    (tmp_path / "top.tar.gz").write_bytes(gzip.compress(header.tobuf(tarfile.USTAR_FORMAT) + bytes(2**20)))
    with pytest.raises(DataError, match="unpacks to more than"):
        read_members(tmp_path / "top.tar.gz", ["a.txt"])


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_ARCHIVE", 2**20)
    (tmp_path / "top.tar.gz").write_bytes(gzip.compress(bytes(2**22)))
    with pytest.raises(DataError, match="unpacks to more than 1048576 bytes"):
        read_members(tmp_path / "top.tar.gz", ["a.txt"])
