"""Why a file cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck.paths import file_problem, neighbour


def test_missing_file_is_named_with_the_nearest_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("x")
    (tmp_path / "stuby.csv").write_text("x")
    assert file_problem(tmp_path / "stuby.toml") == (
        f"{tmp_path / 'stuby.toml'} does not exist. Did you mean 'study.toml'?"
    )
    assert file_problem(tmp_path / "other.toml") == f"{tmp_path / 'other.toml'} does not exist."
    assert file_problem(tmp_path / "study.toml" / "inner.pt").endswith("inner.pt does not exist.")
    assert neighbour(tmp_path / "nowhere" / "study.toml") == ""


def test_folder_and_empty_file_are_told_apart_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.pt").touch()
    (tmp_path / "b.pt").mkdir()
    (tmp_path / "c.pt").write_bytes(b"1")
    assert file_problem(tmp_path / "a.pt").endswith("a.pt is empty.")
    assert file_problem(tmp_path / "b.pt").endswith("b.pt is a folder, not a file.")
    assert file_problem(tmp_path / "c.pt") == ""


def test_names_that_no_file_can_have() -> None:
    assert file_problem(Path("a\0b")) == "'a\ufffdb' cannot be the name of a file."
    assert file_problem(Path("x" * 300)).endswith("cannot be read: File name too long.")


def test_file_in_a_locked_folder_names_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", refuse)
    assert file_problem(tmp_path / "a.pt").endswith("a.pt cannot be read: Permission denied.")
