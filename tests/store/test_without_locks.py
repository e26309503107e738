"""A system without POSIX file locks: everything can be imported, results can be written, a store is refused in one
sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prunecheck.errors import StoreError
from prunecheck.store import Store, durable

ELSEWHERE = """
import os, sys
sys.modules["fcntl"] = None
for name in ("O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK"):
    delattr(os, name)
from pathlib import Path
import prunecheck
from prunecheck.cli import main
from prunecheck.errors import StoreError
from prunecheck.store import Store, durable

durable.write_file(Path(sys.argv[1]) / "results.csv", b"there")
assert durable.read_file(Path(sys.argv[1]) / "results.csv", 10) == b"there"
try:
    Store.open(Path(sys.argv[1]) / "store")
except StoreError as error:
    print(error)
assert main(["list", "methods"]) == 0
"""


def test_a_store_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "fcntl", None)
    with pytest.raises(StoreError, match="no POSIX file locks") as caught:
        Store.open(tmp_path / "store")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "store").exists()


def test_imports_work_without_fcntl(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "no POSIX file locks" in done.stdout.splitlines()[0]
    assert "snip" in done.stdout
