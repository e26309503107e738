"""Two runs of one study with one store and one results folder, at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.conftest import Undisturbed
from tests.reliability.study_folder import RUN, Zygote, artefacts, commits, computed, new_study_folder, results


def test_two_runs_share_the_work_and_write_the_same_bytes(
    zygote: Zygote, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = new_study_folder(tmp_path / "trial")
    runs = [zygote.start(folder, *RUN) for _ in range(2)]
    assert [zygote.wait(run) for run in runs] == [0, 0]
    assert sorted(computed(folder)) == sorted(commits(folder)), "a step was computed twice"
    assert artefacts(folder) == undisturbed.artefacts
    assert results(folder) == undisturbed.results


@pytest.mark.slow
def test_number_of_workers_changes_no_byte(zygote: Zygote, undisturbed: Undisturbed, tmp_path: Path) -> None:
    for workers in (2, 3):
        folder = new_study_folder(tmp_path / f"{workers}")
        assert zygote.run(folder, "run", "s.toml", "--workers", f"{workers}") == 0
        assert artefacts(folder) == undisturbed.artefacts
        assert results(folder)["results.csv"] == undisturbed.results["results.csv"]
        assert results(folder)["verdicts.json"] == undisturbed.results["verdicts.json"]
