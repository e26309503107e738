"""Looking again and again: at the desk, with a clock that a test winds."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from prunecheck.cli import polling
from prunecheck.runner.progress import Progress
from prunecheck.runner.status import CheckStatus, Status, study_status
from prunecheck.runner.study_run import run_study
from prunecheck.runner.workspace import Workspace
from prunecheck.store import Store
from prunecheck.study import load_study, make_plan
from tests.cli.desk import Desk
from tests.reliability.trial import new_trial


@pytest.fixture
def begun(tmp_path: Path) -> Status:
    study = load_study(new_trial(tmp_path / "trial") / "s.toml")
    return study_status(study, Workspace(Store.open(tmp_path / "store"), tmp_path / "out"), 1)


@pytest.fixture
def instantly(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(polling.time, "sleep", slept.append)
    return slept


def telling(*found: Status) -> Callable[[], Status]:
    """One after the other."""
    each: Iterator[Status] = iter(found)
    return lambda: next(each)


def test_it_goes_on_until_nothing_more_will_come(begun: Status, instantly: list[float]) -> None:
    states = [begun, replace(begun, state="running"), replace(begun, state="finished")]
    assert [status.state for status in polling.until_over(telling(*states))] == ["not begun", "running", "finished"]
    assert instantly == [polling.EVERY_SECONDS] * 2
    failed = replace(begun, state="failed")
    assert list(polling.until_over(telling(failed))) == [failed]


def test_without_a_terminal_a_line_a_change(begun: Status, instantly: list[float]) -> None:
    heard = io.StringIO()
    kind = replace(begun.kinds[0], done=1, waiting=begun.kinds[0].waiting - 1)
    more = replace(begun, state="running", kinds=(kind, *begun.kinds[1:]))
    settled = replace(more, checks=(CheckStatus("snip\x1b[2J", "random_labels", "DEPENDS", 3, None),))
    end = replace(settled, state="failed", failed=("train · snip: no memory",))
    console = Console(file=heard, width=20)
    polling.watch_status(telling(begun, begun, more, more, settled, end), console, lambda _: "")
    count = f"of {begun.steps} steps"
    assert heard.getvalue().splitlines() == [
        f"s: not begun, 0 {count}",
        f"s: running, 1 {count}",
        "snip\N{REPLACEMENT CHARACTER}[2J x random_labels: depends, 3 seeds",
        "failed: train · snip: no memory",
        f"s: failed, 1 {count}",
    ]
    assert len(instantly) == 5


def test_a_study_that_is_watched_while_it_runs(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is written before the study is finished, and again at the end; the last one is the page of the run."""
    path = new_trial(tmp_path / "trial", ("snip",)) / "s.toml"
    study, workspace = load_study(path), Workspace(Store.open(tmp_path / "store"), tmp_path / "out")
    first = run_study(study, workspace, 1, Progress())
    want = first.page.read_bytes()
    steps = list(make_plan(study).steps.values())
    victim = next(step for step in steps if step.kind == "train" and "layerwise_rearrange" in step.title)
    workspace.store.drop(victim.key)
    unfinished: list[bytes] = []

    def go_on(_: float) -> None:
        unfinished.append((tmp_path / "out" / "index.html").read_bytes())
        run_study(study, workspace, 1, Progress())

    monkeypatch.setattr(polling.time, "sleep", go_on)
    said = desk("report", path, "--watch", "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert said.code == 0
    lines = said.err.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(f"written: unfinished, {len(steps) - 1} of {len(steps)} steps")
    assert lines[1].endswith(f"written: finished, {len(steps)} of {len(steps)} steps")
    (page,) = unfinished
    assert page != want
    assert "s: margin" in said.out
    plain = desk("report", path, "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert plain.out == said.out


def test_a_report_that_is_watched_from_the_very_beginning(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = new_trial(tmp_path / "trial", ("snip",)) / "s.toml"
    workspace = Workspace(Store.open(tmp_path / "store"), tmp_path / "runs" / "s")
    monkeypatch.setattr(polling.time, "sleep", lambda _: run_study(load_study(path), workspace, 1, Progress()))
    said = desk("report", path, "--watch")
    assert said.code == 0
    assert said.err.splitlines()[0].startswith("nothing to show yet: not begun, 0 of ")


def test_the_status_at_the_desk(desk: Desk, tmp_path: Path) -> None:
    path = new_trial(tmp_path / "trial", ("snip",)) / "s.toml"
    words = ["--store", tmp_path / "there", "--set", "seeds=2", "--out", "my results"]
    said = desk("status", path, *words)
    assert (said.code, said.err) == (0, "")
    next_ = f"prunecheck run {path} --set seeds=2 --store {tmp_path / 'there'} --out 'my results'"
    assert said.out.partition("\n\n")[0].splitlines()[-1] == f"next          {next_}"
    assert desk("status", path, *words, "--strict").code == 75
    assert desk("run", path, *words, "--quiet", "--workers", 1).code == 0
    assert desk("status", path, *words, "--strict").code == 0
    document = json.loads(desk("status", path, *words, "--json", "--watch").out)
    assert (document["schema_version"], document["state"], document["next"]) == (1, "finished", "read")
    assert document["next_command"] == f"open {Path('my results') / 'index.html'}"
    (tmp_path / "my results" / "index.html").unlink()
    assert "next          prunecheck report" in desk("status", path, *words).out
    said = desk("status", "nowhere.toml")
    assert (said.code, said.out) == (2, "")


def test_the_status_of_a_study_with_a_failed_step_is_3_where_strict(desk: Desk, tmp_path: Path) -> None:
    path = new_trial(tmp_path / "trial", ("snip",)) / "s.toml"
    steps = make_plan(load_study(path)).steps
    folder = tmp_path / "runs" / "s"
    folder.mkdir(parents=True)
    (folder / "failed.json").write_text(json.dumps({key: f"{step.title}: no" for key, step in steps.items()}))
    said = desk("status", path, "--strict")
    assert said.code == 3
    assert "and " in said.out
    assert "more" in said.out
