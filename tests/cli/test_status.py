"""Looking again and again: at the cli, with a clock that a test winds."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from prunecheck.cli import status
from prunecheck.runner.status import Status, study_status
from prunecheck.runner.workspace import Workspace
from prunecheck.store import Store
from prunecheck.study import load_study, make_plan
from tests.cli.command import Cli
from tests.reliability.study_folder import new_study_folder


@pytest.fixture
def begun(tmp_path: Path) -> Status:
    study = load_study(new_study_folder(tmp_path / "trial") / "s.toml")
    return study_status(study, Workspace(Store.open(tmp_path / "store"), tmp_path / "out"), 1)


@pytest.fixture
def instantly(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(status.time, "sleep", slept.append)
    return slept


def telling(*found: Status) -> Callable[[], Status]:
    """One after the other."""
    each: Iterator[Status] = iter(found)
    return lambda: next(each)


def test_watching_ends_when_the_study_is_over(begun: Status, instantly: list[float]) -> None:
    states = [begun, replace(begun, state="running"), replace(begun, state="finished")]
    assert [one.state for one in status.until_over(telling(*states))] == ["not begun", "running", "finished"]
    assert instantly == [status.EVERY_SECONDS] * 2
    failed = replace(begun, state="failed")
    assert list(status.until_over(telling(failed))) == [failed]


def test_without_a_terminal_one_line_per_change(begun: Status, instantly: list[float]) -> None:
    heard = io.StringIO()
    kind = replace(begun.kinds[0], done=1, waiting=begun.kinds[0].waiting - 1)
    more = replace(begun, state="running", kinds=(kind, *begun.kinds[1:]))
    end = replace(more, study="s\x1b[2J", state="failed")
    console = Console(file=heard, width=20)
    status.watch_status(telling(begun, begun, more, more, end), console, lambda _: "")
    count = f"of {begun.steps} steps"
    assert heard.getvalue().splitlines() == [
        f"s: not begun, 0 {count}",
        f"s: running, 1 {count}",
        f"s\N{REPLACEMENT CHARACTER}[2J: failed, 1 {count}",
    ]
    assert len(instantly) == 4


def test_status_command_prints_the_next_command(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    words = ["--store", tmp_path / "there", "--set", "seeds=2", "--out", "my results"]
    said = cli("status", path, *words)
    assert (said.code, said.err) == (0, "")
    next_ = f"prunecheck run {path} --set seeds=2 --store {tmp_path / 'there'} --out 'my results'"
    assert said.out.partition("\n\n")[0].splitlines()[-1] == f"next          {next_}"
    assert cli("status", path, *words, "--strict").code == 75
    assert cli("run", path, *words, "--quiet", "--workers", 1).code == 0
    assert cli("status", path, *words, "--strict").code == 0
    document = json.loads(cli("status", path, *words, "--json", "--watch").out)
    assert (document["schema_version"], document["state"], document["next"]) == (1, "finished", "read")
    assert document["next_command"] == f"open {Path('my results') / 'index.html'}"
    (tmp_path / "my results" / "index.html").unlink()
    assert "next          prunecheck report" in cli("status", path, *words).out
    said = cli("status", "nowhere.toml")
    assert (said.code, said.out) == (2, "")


def test_the_status_of_a_study_with_a_failed_step_is_3_where_strict(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    steps = make_plan(load_study(path)).steps
    folder = tmp_path / "runs" / "s"
    folder.mkdir(parents=True)
    (folder / "failed.json").write_text(json.dumps({key: f"{step.title}: no" for key, step in steps.items()}))
    said = cli("status", path, "--strict")
    assert said.code == 3
    assert "and " in said.out
    assert "more" in said.out
