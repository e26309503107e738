"""kill -9 at random moments: nothing lost, nothing done twice, and at the end the bytes of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.conftest import Undisturbed
from tests.reliability.study_folder import RUN, Zygote, artefacts, commits, new_study_folder, results

Kill = Callable[[Path, float], int]
"""Starts a run in a folder, kills it after so many seconds, and returns its exit status."""


def endure(kills: int, kill: Kill, make: Callable[[str], Path], expected: Undisturbed, seed: int) -> Path:
    """Run studies under *kills* kills, a new one whenever one is finished; returns the folder of the last one."""
    rng, folder, done, deaths = random.Random(seed), make("0"), {}, 0
    for number in range(20 * kills):
        if deaths == kills:
            return folder
        code = kill(folder, rng.uniform(0, 0.6) * expected.seconds)
        assert code in (0, -signal.SIGKILL), (folder / "stderr").read_text()
        deaths += code != 0
        now = commits(folder)
        assert done.items() <= now.items(), "a committed step was lost, or done again"
        done = now
        if code == 0:
            assert_as_undisturbed(folder, expected)
            folder, done = make(f"{number + 1}"), {}
    raise AssertionError("too few runs could be killed")


def assert_as_undisturbed(folder: Path, expected: Undisturbed) -> None:
    assert artefacts(folder) == expected.artefacts
    assert results(folder) == expected.results


@pytest.mark.parametrize("kills", [3, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_runs_killed_at_random_end_with_undisturbed_bytes(
    kills: int, zygote: Zygote, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    def kill(folder: Path, seconds: float) -> int:
        child = zygote.start(folder, *RUN)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)  # it was not waited for, so its number is not reused
        return zygote.wait(child)

    folder = endure(kills, kill, lambda name: new_study_folder(tmp_path / name), undisturbed, seed=kills)
    done = commits(folder)
    assert zygote.run(folder, *RUN) == 0
    assert done.items() <= commits(folder).items()
    assert_as_undisturbed(folder, undisturbed)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_twenty_kills_of_runs_with_two_workers(tmp_path: Path) -> None:
    """Workers outlive a killed run: they finish their step and end."""

    def make(name: str) -> Path:
        return new_study_folder(tmp_path / name, ("snip", "random_ticket"), seeds=3)

    def start(folder: Path) -> subprocess.Popen[bytes]:
        program = "import sys; from prunecheck.cli import main; sys.exit(main())"
        words = [sys.executable, "-c", program, "run", "s.toml", "--workers", "2"]
        with (folder / "stderr").open("ab") as log:
            env = {**os.environ, "PRUNECHECK_HOME": "store"}
            return subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=log)

    def kill(folder: Path, seconds: float) -> int:
        run = start(folder)
        time.sleep(seconds)
        run.kill()
        return run.wait()

    alone, begun = make("alone"), time.monotonic()
    assert start(alone).wait() == 0
    expected = Undisturbed(results(alone), artefacts(alone), time.monotonic() - begun)
    folder = endure(20, kill, make, expected, seed=20)
    done = commits(folder)
    assert start(folder).wait() == 0
    assert done.items() <= commits(folder).items()
    assert_as_undisturbed(folder, expected)
