"""The action, the notebook and the how-to on publishing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from prunecheck.cli import main
from tests.docs.blocks import DOCS, ROOT, blocks, commands

NOTEBOOK = json.loads((DOCS / "example" / "prunecheck.ipynb").read_text(encoding="utf-8"))
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
STUDY = """model = "convnet"
data = {name = "digits", train_size = 200, test_size = 200}
methods = ["snip", "random_ticket"]
checks = ["layerwise_rearrange"]
sparsities = [0.8]
seeds = 1
training = {epochs = 1, rewind_epoch = 0}
"""


@pytest.fixture
def small_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNECHECK_HOME", str(tmp_path / "store"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("prunecheck.api.usable_cores", lambda: 1)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def action() -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def script(name: str) -> str:
    (step,) = [step for step in action()["runs"]["steps"] if step.get("name") == name]
    return str(step["run"])


def test_inputs_reach_the_scripts_of_the_action_only_by_the_environment() -> None:
    steps = action()["runs"]["steps"]
    assert all("${{" not in step.get("run", "") for step in steps)
    assert all(step["shell"] == "bash" for step in steps if "run" in step)
    used = json.dumps(steps)
    assert all(f"inputs.{name} " in used for name in action()["inputs"])


@pytest.mark.slow
def test_action_and_how_to_on_publishing_run(small_study: Path) -> None:
    """The commands of the action as GitHub runs them, then those of the page on the same results."""
    bin_folder = small_study / "bin"
    bin_folder.mkdir()
    (bin_folder / "prunecheck").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m prunecheck "$@"\n')
    (bin_folder / "prunecheck").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "STUDY": "study.toml",
        "ARGUMENTS": "--workers 1",
        "RESULTS": "runs/study",
        "GITHUB_OUTPUT": "output",
        "GITHUB_STEP_SUMMARY": "summary",
        "EXPECTED": "expected/verdicts.json",
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
    subprocess.run([*command, script("Run")], env=environment, check=True, capture_output=True)
    assert Path("output").read_text() == "results=runs/study\n"
    assert Path("summary").read_text() == Path("runs/study/report.md").read_text()

    record = json.loads(Path("runs/study/verdicts.json").read_text())
    Path("expected").mkdir()
    Path("expected/verdicts.json").write_text(json.dumps(record))
    page = (DOCS / "how-to" / "publish.md").read_text(encoding="utf-8")
    found = [line for block in blocks(page) if block.kind == "console" for line in commands(block.text)]
    assert [line.split()[1] for line in found] == ["publish", "verify", "verify", "diff"]
    for line in found:
        assert main(line.partition("#")[0].split()[1:]) == 0

    record["methods"][0]["verdict"] = "PASSES"
    Path("expected/verdicts.json").write_text(json.dumps(record))
    done = subprocess.run([*command, script("Compare")], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "PASSES -> " in done.stdout


def test_registry_of_the_results_holds_all_judged_rows_and_their_verdicts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry = DOCS / "results" / "registry.json"
    assert main(["verify", str(registry)]) == 0
    printed = capsys.readouterr().out.splitlines()
    judged = {path.parent.relative_to(registry.parent).as_posix() for path in registry.parent.rglob("verdicts.json")}
    entries = json.loads(registry.read_text(encoding="utf-8"))["entries"]
    assert {entry["folder"] for entry in entries} == judged
    assert len(printed) == len(judged)
    assert all(line.endswith(": all equal") for line in printed)


def test_notebook_is_without_outputs_and_installs_prunecheck_first() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert CELLS[0] == "%pip install --quiet prunecheck"
    assert all(
        not cell["outputs"] and cell["execution_count"] is None for cell in NOTEBOOK["cells"] if "outputs" in cell
    )
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])


@pytest.mark.slow
@pytest.mark.usefixtures("small_study")
def test_cells_of_the_notebook_run_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    names: dict[str, Any] = {}
    for number, cell in enumerate(CELLS[1:], 1):
        small = cell.replace('"data": "digits"', '"data": {"name": "digits", "train_size": 300, "test_size": 300}')
        small = small.replace('"seeds": 5', '"seeds": 2')
        exec(compile(small, f"cell {number}", "exec"), names)
    assert len(opened) == 1
    assert names["results"].verdict.checks
