"""A full disk: one sentence, exit 74, and the same command continues once there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck.runner.preflight import RESERVE
from prunecheck.store import Store
from tests.cli.command import Cli
from tests.reliability.conftest import Undisturbed
from tests.reliability.study_folder import RUN, Zygote, artefacts, commits, new_study_folder, results


@pytest.mark.parametrize("limit", [500, 20_000], ids=["before anything fits", "once masks fit, but no network"])
def test_file_size_limit_ends_with_exit_74_and_resumes(
    limit: int, zygote: Zygote, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    folder = new_study_folder(tmp_path / "trial")
    assert zygote.run(folder, *RUN, limit=limit) == 74
    said = [line for line in (folder / "stderr").read_text().splitlines() if not line.endswith(("left", "done"))]
    assert len(said) == 1, said
    assert "size limit" in said[0]
    assert not list((folder / "store").glob("tmp/*"))
    kept = commits(folder)
    assert zygote.run(folder, *RUN) == 0
    assert kept.items() <= commits(folder).items()
    assert artefacts(folder) == undisturbed.artefacts
    assert results(folder) == undisturbed.results


def test_too_little_space_is_refused_before_training(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = new_study_folder(tmp_path / "trial") / "s.toml"
    monkeypatch.setattr(Store, "free_bytes", lambda _: RESERVE)
    said = cli("run", path, "--workers", "1")
    assert (said.code, said.out) == (74, "")
    assert len(said.err.splitlines()) == 1
    assert "has 100 MB free; this study needs about 100 MB" in said.err or "Free some space" in said.err
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "runs").exists()


def test_finished_study_needs_no_space(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = new_study_folder(tmp_path / "trial") / "s.toml"
    assert cli("run", path, "--workers", "1").code == 0
    monkeypatch.setattr(Store, "free_bytes", lambda _: 0)
    assert cli("run", path, "--workers", "1").code == 0
