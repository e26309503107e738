"""Cells that fail: reported with their reason, exit 3; all other cells are finished and judged."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.command import Cli
from tests.reliability.study_folder import new_study_folder
from tests.runner import tiny

PLUGIN = """
import multiprocessing, os, signal
from prunecheck.pruning import method

tried = set()

def harmless(name):
    again = name in tried
    tried.add(name)
    return not again

@method
def not_a_number(weights):
    factor = 1 if harmless("not_a_number") else float("nan")
    return {name: weight * factor for name, weight in weights.items()}

@method
def insatiable(weights):
    if harmless("insatiable"):
        return weights
    raise MemoryError("cannot allocate 80 GB")

@method
def reckless(weights):
    if harmless("reckless"):
        return weights
    raise SystemExit(0)

@method
def suicidal(weights):
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return weights
"""
"""None of them fails in the test before the run."""


def run_with(names: list[str], workers: int, cli: Cli, folder: Path) -> tuple[int, str, set[str]]:
    """Exit code, stderr, and the methods with results at the end."""
    path = new_study_folder(folder / "trial", ("snip", *names)) / "s.toml"
    path.write_text(f'plugins = ["plug.py"]\n{path.read_text()}')
    tiny.plugin(path.parent, PLUGIN)
    said = cli("run", path, "--workers", workers, "--out", folder / "out")
    with (folder / "out" / "results.csv").open(encoding="utf-8") as file:
        return said.code, said.err, {row["method"] for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("not_a_number", "NaN"),
        ("insatiable", "MemoryError: cannot allocate 80 GB"),
        ("reckless", "SystemExit: 0"),
    ],
)
def test_failing_method_does_not_affect_other_methods(name: str, reason: str, cli: Cli, tmp_path: Path) -> None:
    code, err, finished = run_with([name], 1, cli, tmp_path)
    assert code == 3
    assert "steps failed; the others are finished and in" in err
    assert name in err
    assert reason in err
    assert "Traceback" not in err
    assert finished == {"dense", "snip"}
    assert (tmp_path / "out" / "index.html").exists()


@pytest.mark.slow
def test_method_that_kills_its_worker_does_not_affect_other_methods(cli: Cli, tmp_path: Path) -> None:
    code, err, finished = run_with(["suicidal", "random_ticket"], 2, cli, tmp_path)
    assert code == 3
    assert "suicidal" in err
    assert "its worker process died twice" in err
    assert finished == {"dense", "snip", "random_ticket"}
