"""Runs of one study on two hosts with one store and one results folder; process numbers are not shared.

Hosts are namespaces of the kernel (``unshare``): each has a name and process numbers of its own, and its death takes
all its processes along. What they share is a local file system; a real network file system is another matter.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prunecheck.store import Store
from tests.reliability.conftest import Undisturbed
from tests.reliability.study_folder import Zygote, artefacts, commits, computed, new_study_folder, results

RUN = """
import socket, sys
socket.sethostname(sys.argv[1])
from prunecheck.cli import main
sys.argv = ["prunecheck", "run", "s.toml", "--workers", sys.argv[2]]
sys.exit(main())
"""
HOST = ["unshare", "--pid", "--uts", "--mount-proc", "--fork", "--kill-child"]


def _can_have_hosts() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*HOST, "true"], capture_output=True).returncode == 0


def host(folder: Path, name: str, workers: int) -> subprocess.Popen[bytes]:
    """A run on a separate host; killing it kills the host."""
    words = [*HOST, sys.executable, "-c", RUN, name, str(workers)]
    env = {**os.environ, "PRUNECHECK_HOME": "store"}
    with (folder / f"stderr-{name}").open("ab") as log:
        return subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=log)


@pytest.mark.parametrize(
    ("kills", "seeds"),
    [
        pytest.param(1, 1, marks=pytest.mark.slow),
        pytest.param(10, 3, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_two_killed_hosts_share_the_work_and_write_the_same_bytes(
    kills: int, seeds: int, zygote: Zygote, tmp_path: Path
) -> None:
    if not _can_have_hosts():
        pytest.skip("no namespaces here: needs unshare, as root")
    rng, methods = random.Random(kills), ("snip", "random_ticket")
    alone, folder = (
        new_study_folder(tmp_path / name / "trial", methods, seeds=seeds) for name in ("alone", "together")
    )
    assert zygote.run(alone, "run", "s.toml", "--workers", "1") == 0
    expected = Undisturbed(results(alone), artefacts(alone), 0.0)
    hosts = {name: host(folder, name, workers) for name, workers in (("one", 1), ("two", 2))}
    done: dict[str, tuple[int, int]] = {}
    for _ in range(kills):
        time.sleep(rng.uniform(3, 4 + 3 * seeds))
        name = rng.choice(list(hosts))
        hosts[name].kill()
        hosts[name].wait()
        now = commits(folder)
        assert done.items() <= now.items(), "a committed step was lost, or done again"
        done, hosts[name] = now, host(folder, name, rng.choice([1, 2]))
    for name, run in hosts.items():
        assert run.wait(timeout=240) == 0, (folder / f"stderr-{name}").read_text()
    assert done.items() <= commits(folder).items()
    assert artefacts(folder) == expected.artefacts
    for name in ("results.csv", "verdicts.json"):  # the page also says the command
        assert results(folder)[name] == expected.results[name]
    times = computed(folder)
    assert len(times) == len(set(times)), "a step was computed twice, and its second time kept"
    store = Store.open(folder / "store")
    for key in list(store.keys()):
        claim = store.try_claim(key)
        assert claim is not None, "a claim of the dead was left behind"
        claim.release()
