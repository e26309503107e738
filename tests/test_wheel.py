"""The built wheel, in an environment of its own, runs the demo from any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
needs_uv = pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not on the path")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "--wheel", "--out-dir", folder, ROOT], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@needs_uv
def test_wheel_contains_data_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert {name.removeprefix("src/") for name in tracked.split()} <= names


@needs_uv
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_wheel_runs_the_demo_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT")}
    subprocess.run(["uv", "venv", "-q", "--python", sys.executable, tmp_path / "venv"], check=True, env=environment)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run(["uv", "pip", "install", "-q", "--python", python, wheel], check=True, env=environment)
    (tmp_path / "elsewhere").mkdir()
    # the same study with fewer epochs: what is tested is that everything it needs has travelled
    command = [python.with_name("prunecheck"), "demo", "--set", "training.epochs=2", "--set", "seeds=3", "--json"]
    environment |= {"PRUNECHECK_HOME": str(tmp_path / "store")}
    done = subprocess.run(command, cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["study"] == "demo"
    assert (tmp_path / "elsewhere" / document["page"]).is_file()
