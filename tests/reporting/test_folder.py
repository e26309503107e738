"""The report on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from prunecheck.errors import StoreError
from prunecheck.reporting import write
from prunecheck.reporting.export import results_csv
from prunecheck.reporting.page import page
from prunecheck.statistics import verdict
from tests.reporting import sample

FILES = ["index.html", "report.md", "results.csv", "verdicts.json"]


def test_four_files_with_the_report_in_them(tmp_path: Path) -> None:
    evidence = sample.evidence()
    path = write(evidence, tmp_path / "new" / "report")
    assert path == tmp_path / "new" / "report" / "index.html"
    assert sorted(p.name for p in path.parent.iterdir()) == FILES
    assert path.read_text(encoding="utf-8") == page(evidence)
    assert json.loads((path.parent / "verdicts.json").read_text()) == evidence.verdict.to_dict()


def test_writing_twice_leaves_the_same_bytes(tmp_path: Path) -> None:
    write(sample.evidence(), tmp_path)
    first = {name: (tmp_path / name).read_bytes() for name in FILES}
    write(sample.evidence(), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == first


def test_the_verdicts_file_is_sorted_and_plain(tmp_path: Path) -> None:
    write(sample.plain(), tmp_path)
    text = (tmp_path / "verdicts.json").read_text()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=2) + "\n"


def test_a_failed_write_keeps_the_old_report_and_leaves_no_scraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(sample.plain(), tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        write(sample.evidence(), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_hostile_text_reaches_the_disk_as_utf_8(tmp_path: Path) -> None:
    write(sample.hostile("\ud800\x00\u202e"), tmp_path)
    assert all((tmp_path / name).read_bytes().decode("utf-8") for name in FILES)


def test_a_real_verdict_makes_a_report_and_its_csv_gives_the_verdict_back(tmp_path: Path) -> None:
    dense = [
        {"method": "dense", "check": "clean", "sparsity": None, "seed": s, "accuracy": 0.941, "n_test": 10_000}
        for s in sample.SEEDS
    ]
    base = sample.plain()
    rows = [*base.rows, *dense]
    judged = verdict(rows)
    write(replace(base, rows=rows, verdict=judged), tmp_path)
    assert (tmp_path / "results.csv").read_text() == results_csv(rows)
    assert replace(verdict(tmp_path / "results.csv"), study=judged.study) == judged


def test_importing_the_report_is_light() -> None:
    heavy = "{'torch', 'matplotlib', 'jinja2', 'scipy', 'pandas'}"
    code = f"import prunecheck.reporting, prunecheck.reporting.paper, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
