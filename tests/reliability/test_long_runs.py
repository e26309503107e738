"""Defects that show in long runs only: other bytes in the tenth run, memory and files that are not released."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.conftest import Undisturbed
from tests.reliability.study_folder import RUN, Zygote, artefacts, new_study_folder, results

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.long
def test_ten_runs_write_the_same_bytes(zygote: Zygote, undisturbed: Undisturbed, tmp_path: Path) -> None:
    for number in range(10):
        folder = new_study_folder(tmp_path / f"{number}")
        assert zygote.run(folder, *RUN) == 0
        assert artefacts(folder) == undisturbed.artefacts
        assert results(folder) == undisturbed.results


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("rounds", "cells"),
    [
        pytest.param(3, 20, marks=pytest.mark.slow),
        pytest.param(11, 100, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_many_cells_in_one_process_release_memory_and_files(rounds: int, cells: int, tmp_path: Path) -> None:
    """Each round trains as many new tickets in the same process; the first round is a warm-up."""
    words = [sys.executable, "-m", "tests.reliability.many_cells", str(tmp_path), str(rounds), str(cells)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    print(done.stdout)
    assert all(one["trained"] >= cells for one in seen)
    assert len({one["files"] for one in seen[1:]}) == 1
    assert seen[-1]["memory"] < 1.05 * seen[1]["memory"]
