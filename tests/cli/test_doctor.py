from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from prunecheck.cli import doctor
from tests.cli.desk import Desk, python


def test_it_names_versions_cores_and_the_store(desk: Desk, tmp_path: Path) -> None:
    document = json.loads(desk("doctor", "--json").out)
    assert document["torch"] == version("torch")
    assert int(document["cores"]) >= 1
    assert document["store"] == str(tmp_path / "store")
    assert document["store holds"] == "0 artefacts, 0 B"
    assert "devices" not in document
    assert "free on its disk" in desk("doctor").out
    assert not (tmp_path / "store").exists()


def test_it_says_what_is_missing_and_what_that_costs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    document = json.loads(desk("doctor", "--json").out)
    assert document["pyarrow"] == "not installed (no parquet data sets)"
    assert document["torch"] == "missing"
    assert document["browser"].startswith("none found")


def test_torch_is_loaded_only_where_that_is_asked_for(desk: Desk, tmp_path: Path) -> None:
    program = "import sys; from prunecheck.cli import main; main(['doctor']); sys.exit('torch' in sys.modules)"
    assert python(program, env={"PRUNECHECK_HOME": str(tmp_path / "store")}).returncode == 0
    assert json.loads(desk("doctor", "--torch", "--json").out)["devices"].startswith("cpu")
