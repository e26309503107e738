"""Two desks, one study, one store, one results folder, at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.conftest import Undisturbed
from tests.reliability.trial import RUN, Zygote, artefacts, commits, computed, new_trial, results


def test_two_desks_share_the_work_and_get_the_same_bytes(
    zygote: Zygote, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = new_trial(tmp_path / "trial")
    desks = [zygote.start(folder, *RUN) for _ in range(2)]
    assert [zygote.wait(desk) for desk in desks] == [0, 0]
    assert sorted(computed(folder)) == sorted(commits(folder)), "a step was computed twice"
    assert artefacts(folder) == undisturbed.artefacts
    assert results(folder) == undisturbed.results


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(zygote: Zygote, undisturbed: Undisturbed, tmp_path: Path) -> None:
    for workers in (2, 3):
        folder = new_trial(tmp_path / f"{workers}")
        assert zygote.run(folder, "run", "s.toml", "--workers", f"{workers}") == 0
        assert artefacts(folder) == undisturbed.artefacts
        assert results(folder)["results.csv"] == undisturbed.results["results.csv"]
        assert results(folder)["verdicts.json"] == undisturbed.results["verdicts.json"]
