from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from prunecheck.store import Store
from prunecheck.study import load_study, make_plan
from tests.cli.command import Cli
from tests.reliability.study_folder import artefacts, new_study_folder


@pytest.fixture
def study(cli: Cli, tmp_path: Path) -> Path:
    """A study that was run; its store is the default one."""
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    assert cli("run", path, "--workers", 1).code == 0
    return path


def test_cache_commands_on_an_empty_store(cli: Cli, tmp_path: Path) -> None:
    study = new_study_folder(tmp_path / "trial") / "s.toml"
    assert json.loads(cli("cache", "ls", "--json").out)["artefacts"] == {"count": 0, "bytes": 0}
    assert cli("cache", "verify").out == "0 artefacts, 0 B: all intact\n"
    assert cli("cache", "gc", study, "--yes").out == "removed 0 artefacts and 0 unfinished trainings, 0 B\n"
    said = cli("cache", "export", study, tmp_path / "x.tar")
    assert (said.code, "run it first" in said.err) == (2, True)
    assert not (tmp_path / "x.tar").exists()


@pytest.mark.usefixtures("study")
def test_cache_ls_counts_and_measures(cli: Cli, tmp_path: Path) -> None:
    document = json.loads(cli("cache", "ls", "--json").out)
    keys = {path.split("/")[1] for path in artefacts(tmp_path)}
    assert document["artefacts"]["count"] == len(keys)
    assert document["store"] == str(tmp_path / "store")
    assert document["free_bytes"] > 0
    said = cli("cache", "ls", "--store", tmp_path / "store")
    assert re.search(rf"^artefacts +{len(keys)} +[0-9.]+ kB  finished steps$", said.out, re.MULTILINE)


def test_cache_verify_quarantines_damage_and_exits_with_3(cli: Cli, study: Path, tmp_path: Path) -> None:
    assert cli("cache", "verify").code == 0
    store = Store.open(tmp_path / "store")
    key = next(step.key for step in make_plan(load_study(study)).steps.values() if step.kind == "train")
    (store.folder(key) / "result.json").write_text("{}")
    said = cli("cache", "verify")
    assert (said.code, "1 damaged" in said.out, key in said.out) == (3, True, True)
    assert cli("cache", "verify").code == 0
    assert cli("run", study, "--workers", 1).code == 0
    assert store.has(key)


def test_gc_keeps_what_a_study_can_need_and_removes_only_with_yes(cli: Cli, study: Path, tmp_path: Path) -> None:
    everything = artefacts(tmp_path)
    other = new_study_folder(tmp_path / "other", ("random_ticket",)) / "s.toml"
    assert cli("run", other, "--workers", 1, "--out", "there").code == 0
    both = artefacts(tmp_path)
    assert cli("cache", "gc", study, other).out.startswith("would remove 0 artefacts")
    said = cli("cache", "gc", study)
    assert re.fullmatch(r"would remove [1-9]\d* artefacts and 0 unfinished trainings, .* add --yes\n", said.out)
    assert artefacts(tmp_path) == both
    document = json.loads(cli("cache", "gc", study, "--yes", "--json").out)
    assert document["removed"]
    assert len(document["artefacts"]) == int(said.out.split()[2])
    assert artefacts(tmp_path) == everything
    assert "0 run now" in cli("run", study, "--workers", 1).out


def test_gc_keeps_the_seeds_that_an_open_verdict_may_add(cli: Cli, study: Path, tmp_path: Path) -> None:
    many = new_study_folder(tmp_path / "many", ("snip",), seeds=5) / "s.toml"
    assert cli("run", many, "--workers", 1, "--out", "there").code == 0
    adaptive = tmp_path / "adaptive.toml"
    adaptive.write_text(study.read_text().replace("seeds = 1", 'seeds = "auto"\nmax_seeds = 5'))
    garbage = json.loads(cli("cache", "gc", adaptive, "--json").out)["artefacts"]
    steps = make_plan(load_study(many)).steps
    titles = sorted(steps[key].title for key in garbage)
    assert titles == ["pretrain · seed 3", "pretrain · seed 4"]  # no more than three are ever needed for the margin


@pytest.mark.usefixtures("study")
def test_gc_needs_a_study(cli: Cli, tmp_path: Path) -> None:
    before = artefacts(tmp_path)
    assert cli("cache", "gc", "--yes").code == 2
    assert cli("cache", "gc", tmp_path / "missing.toml", "--yes").code == 2
    assert artefacts(tmp_path) == before


def test_cache_export_and_import_of_a_study(cli: Cli, study: Path, tmp_path: Path) -> None:
    tar, there = tmp_path / "x.tar", tmp_path / "elsewhere"
    assert "artefacts" in cli("cache", "export", study, tar).err
    before = tar.read_bytes()
    cli("cache", "export", study, tar)
    assert tar.read_bytes() == before
    said = cli("cache", "import", tar, "--store", there)
    assert (said.code, said.err.endswith(f"read from {tar}\n")) == (0, True)
    assert "0 new" in cli("cache", "import", tar, "--store", there).err
    assert "0 run now" in cli("run", study, "--workers", 1, "--store", there, "--out", "there").out
    tar.write_bytes(before[:-2000])
    said = cli("cache", "import", tar, "--store", tmp_path / "third")
    assert said.code == 74
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["ls", "verify", "gc", "export", "import"])
def test_every_command_has_help(cli: Cli, command: str) -> None:
    said = cli("cache", command, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"Usage: prunecheck cache {command}" in said.out
    assert said.out.split("\n\n")[1].strip().endswith(".")
