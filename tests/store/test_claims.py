"""Who is at work, as others see it."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

from prunecheck.store import Store

KEY, OTHER = "a" * 64, "b" * 64
HOLD = """
import sys
from pathlib import Path
from prunecheck.store import Store
claim = Store.open(Path(sys.argv[1])).claim(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def test_claim_names_its_holder_and_start(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    assert store.holders() == {}
    assert not store.root.exists(), "looking writes nothing"
    with store.claim(KEY):
        os.utime(store.root / "claims" / KEY, (7, 7))
        (found,) = store.holders().items()
        key, holder = found
        assert (key, holder.process, holder.host) == (KEY, os.getpid(), platform.node())
        assert holder.since == 7
    assert store.holders() == {}


def test_claim_of_a_dead_process_is_free_and_is_signed_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    words, pipe = [sys.executable, "-c", HOLD, str(store.root), KEY], subprocess.PIPE
    child = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    assert store.holders()[KEY].process == child.pid
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()
    assert (store.root / "claims" / KEY).exists()
    assert store.holders() == {}
    os.utime(store.root / "claims" / KEY, (0, 0))
    with store.claim(KEY):
        assert store.holders()[KEY].process == os.getpid()
        assert store.holders()[KEY].since > 0


def test_claim_without_note_and_unrecognised_files_are_ignored(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    with store.claim(KEY):
        (store.root / "claims" / KEY).write_bytes(b"\xff\xfe nonsense \x1b[2J")
        (store.root / "claims" / "notes").write_text("not ours")
        (store.root / "claims" / OTHER).symlink_to(store.root / "claims" / KEY)
        (holder,) = store.holders().values()
        assert holder.process is None
