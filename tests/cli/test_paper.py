"""The paper's folder at the desk, and the tracker's option."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from prunecheck.reporting import parquet
from prunecheck.runner import trackers
from tests.cli.desk import Desk
from tests.cli.test_results import table
from tests.runner import tiny
from tests.statistics.makers import full

FILES = ["accuracy.tex", "effects.svg", "methods.tex", "references.bib", "results.csv", "tables.md", "verdicts.tex"]


def test_a_papers_folder_from_anybodys_numbers(desk: Desk, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=5.0))
    said = desk("paper", path, "--to", "paper", "--formats", "svg", "--parquet")
    assert said.code == 0, said.err
    written = sorted(one.name for one in (tmp_path / "paper").iterdir())
    assert written == sorted([*FILES, "accuracy.svg", "results.parquet"])
    assert sorted(Path(line).name for line in said.out.split()) == written
    assert r"\input{verdicts}" in said.err
    with (tmp_path / "paper" / "results.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    from pyarrow.parquet import read_table

    rows = read_table(tmp_path / "paper" / "results.parquet").to_pylist()
    assert [(r["method"], r["check"], r["seed"], r["accuracy"]) for r in rows] == [
        (r["method"], r["check"], int(r["seed"]), float(r["accuracy"])) for r in lines
    ]


def test_a_study_that_was_not_run_has_no_paper(desk: Desk, tmp_path: Path) -> None:
    from prunecheck.study.toml import to_toml

    (tmp_path / "study.toml").write_text(to_toml(tiny.study()))
    said = desk("paper", "study.toml", "--to", "paper")
    assert said.code == 2
    assert "run it first" in said.err
    assert not (tmp_path / "paper").exists()


def test_mistakes_are_said_before_anything_is_written(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path, full(snip=5.0))
    said = desk("paper", path, "--to", "paper", "--formats", "svg,pgn")
    assert (said.code, "Did you mean 'png'?" in said.err) == (2, True)
    monkeypatch.setattr(parquet, "find_spec", lambda _name: None)
    said = desk("paper", path, "--to", "paper", "--parquet")
    assert (said.code, "pip install 'prunecheck[parquet]'" in said.err) == (2, True)
    assert not (tmp_path / "paper").exists()


def test_a_tracker_that_is_not_installed_is_said_before_anything_is_trained(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunecheck.study.toml import to_toml

    (tmp_path / "study.toml").write_text(to_toml(tiny.study()))
    monkeypatch.setattr(trackers, "find_spec", lambda _name: None)
    said = desk("run", "study.toml", "--tracker", "wandb")
    assert said.code == 2
    assert "pip install 'prunecheck[wandb]'" in said.err
    assert not (tmp_path / "runs").exists()
    assert "Did you mean 'wandb'?" in desk("run", "study.toml", "--tracker", "wandbb").err
