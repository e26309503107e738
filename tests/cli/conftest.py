from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Cli


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line in an empty folder with its own store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNECHECK_HOME", str(tmp_path / "store"))
    return Cli(capsys)
