"""Where data is looked for, in which order, and what is said when it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck.data import DataSpec
from prunecheck.data.places import missing, roots


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
def test_the_nearest_right_thing_is_named(tmp_path: Path, present: list[str], message: str) -> None:
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
