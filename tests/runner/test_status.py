"""How far a study is, as told by the store alone."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import prunecheck
from prunecheck.errors import StepError
from prunecheck.runner import records
from prunecheck.runner.interim_analyses import Decisions, unfinished_steps
from prunecheck.runner.progress import Progress
from prunecheck.runner.status import Status, study_status, text
from prunecheck.runner.study_run import report_study, run_study
from prunecheck.statistics import judge
from prunecheck.study import make_plan
from tests.statistics.makers import full

from . import tiny


def status(folder: Path, **changes: Any) -> Status:
    return study_status(tiny.study(**changes), tiny.place(folder), 2)


def test_status_of_a_study_that_was_never_run(tmp_path: Path) -> None:
    found = status(tmp_path)
    assert (found.state, found.done, found.page, found.next) == ("not begun", 0, None, "run")
    assert found.steps == len(make_plan(tiny.study()).steps)
    assert found.seconds_left > 0
    (check,) = found.checks
    assert (check.method, check.check, check.verdict, check.seeds, check.next_look) == (
        "snip",
        "layerwise_rearrange",
        None,
        0,
        1,
    )
    assert list(tmp_path.iterdir()) == [], "asking writes nothing"


def test_status_of_a_finished_study(tmp_path: Path) -> None:
    results = tiny.run(tmp_path)
    found = status(tmp_path)
    assert (found.state, found.done, found.is_over, found.next) == ("finished", found.steps, True, "read")
    assert found.seconds_left == 0
    assert found.page == results.page
    assert [check.verdict for check in found.checks] == [results.verdict.checks[0].verdict]
    assert all(kind.done == kind.all for kind in found.kinds)
    results.page.unlink()
    assert status(tmp_path).next == "report"


def test_status_of_half_a_study_has_no_verdict_and_records_no_margin(tmp_path: Path) -> None:
    results = tiny.run(tmp_path, seeds=3)
    dense = [arm for arm in results.plan.arms if arm.method == "dense"]
    place = tiny.place(tmp_path)
    (tmp_path / "out" / "margin.json").unlink()
    place.store.drop(dense[2].train)
    corrupted = next(arm for arm in results.plan.arms if arm.check != "clean")
    place.store.drop(corrupted.train)
    found = status(tmp_path, seeds=3)
    assert (found.state, found.steps - found.done, found.next) == ("unfinished", 2, "run")
    (check,) = found.checks
    assert (check.verdict, check.seeds, check.next_look) == (None, 2, 3)
    report = report_study(results.study, place)
    assert report.data.unfinished.startswith("Not finished: 2 trainings (2 steps) are missing.")
    assert not (tmp_path / "out" / "margin.json").exists(), "one dense run is still to come"
    again = tiny.run(tmp_path, seeds=3)
    assert again.data.unfinished == ""
    assert (tmp_path / "out" / "margin.json").exists()


def test_status_shows_the_verdicts_of_the_latest_complete_interim_analysis(tmp_path: Path) -> None:
    """The analysis at five seeds is half there: what was decided at three stays, what is open waits for all five."""
    changes = {"methods": ["snip", "magnitude_init"], "seeds": "auto", "max_seeds": 5}
    three = tiny.run(tmp_path, **changes | {"seeds": 3})
    found = status(tmp_path, **changes)
    assert {(c.method, c.check) for c in found.checks} == {(c.method, c.check) for c in three.verdict.checks}
    assert found.is_adaptive
    for check in found.checks:
        assert check.seeds == 3
        assert (check.verdict is None) == (check.next_look is not None)
        assert check.next_look in (None, 5)
    ended = tiny.run(tmp_path, **changes)
    found = status(tmp_path, **changes)
    assert found.state == "finished"
    judged = {(c.method, c.check): c.verdict for c in ended.verdict.checks}
    assert {(c.method, c.check): c.verdict for c in found.checks} == judged


RAISES = """
    from prunecheck.pruning import method

    @method
    def touchy(weights, sparsity):
        if sparsity > 0.85:
            raise ValueError("too sparse \\x1b[2J for me")
        return {n: w.abs() for n, w in weights.items()}
"""


def test_status_lists_failed_steps_until_the_next_run(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "methods": ["touchy", "snip"],
        "sparsities": [0.8, 0.9],
        "plugins": [tiny.plugin(tmp_path, RAISES)],
    }
    with pytest.raises(StepError):
        tiny.run(tmp_path, **changes)
    found = status(tmp_path, **changes)
    assert (found.state, found.is_over, found.next) == ("failed", True, "run")
    (reason,) = found.failed
    assert reason.startswith("score · touchy · clean · 90% · seed 0: ValueError: too sparse")
    scores = next(kind for kind in found.kinds if kind.kind == "score")
    assert (scores.failed, scores.waiting) == (1, 0)
    assert "\x1b" not in str(found)
    evidence = report_study(tiny.study(**changes), tiny.place(tmp_path)).data
    assert evidence.unfinished.startswith("Not complete: 1 step failed, and for that 2 trainings (")
    assert [c.verdict is None for c in found.checks] == [False, False], "nothing more will come: it was judged"
    fewer = changes | {"sparsities": [0.8]}
    assert status(tmp_path, **fewer).state == "finished"
    tiny.run(tmp_path, **fewer)
    assert not (tmp_path / "out" / records.FAILED).exists()


HOLD = """
import sys
from pathlib import Path
from prunecheck.store import Store
with Store.open(Path(sys.argv[1])).claim(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_status_names_the_process_and_host_of_running_steps(tmp_path: Path) -> None:
    step = next(iter(make_plan(tiny.study()).steps.values()))
    command = [sys.executable, "-c", HOLD, str(tmp_path / "store"), step.key]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        found = status(tmp_path)
        assert (found.state, found.next) == ("running", "wait")
        (running,) = found.running
        assert (running.key, running.title, running.process) == (step.key, step.title, worker.pid)
        assert f"process {worker.pid} on " in text(found)
        assert next(kind for kind in found.kinds if kind.kind == step.kind).running == 1
        worker.communicate()
    assert status(tmp_path).state == "not begun"


def test_status_reads_again_after_a_damaged_artefact(tmp_path: Path) -> None:
    results = tiny.run(tmp_path)
    victim = next(arm for arm in results.plan.arms if arm.check != "clean")
    (tiny.place(tmp_path).store.folder(victim.train) / "result.json").write_text("{}")
    found = status(tmp_path)
    assert (found.state, found.steps - found.done) == ("unfinished", 1)


def test_status_is_plain_json_and_equals_the_api(tmp_path: Path) -> None:
    tiny.run(tmp_path)
    found = prunecheck.status(tiny.fields(), store=tmp_path / "store", folder=tmp_path / "out")
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert document["state"] == "finished"
    assert sum(kind["done"] for kind in document["kinds"]) == document["done"] == document["steps"]
    assert document["page"] == str(tmp_path / "out" / "index.html")
    assert repr(found) == str(found) == text(found)
    assert "snip" in str(found)


def test_status_does_not_import_torch(tmp_path: Path) -> None:
    tiny.run(tmp_path)
    program = (
        "import sys, json, prunecheck; fields, store, out = map(json.loads, sys.argv[1:]);"
        "print(prunecheck.status(fields, store=store, folder=out).state, 'torch' in sys.modules)"
    )
    words = [json.dumps(word) for word in (tiny.fields(), str(tmp_path / "store"), str(tmp_path / "out"))]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.split() == ["finished", "False"]


def test_unfinished_steps_include_those_blocked_by_a_failure(tmp_path: Path) -> None:
    plan, place = make_plan(tiny.study()), tiny.place(tmp_path)
    score = next(step for step in plan.steps.values() if step.kind == "score")
    place.folder.mkdir()
    (place.folder / records.FAILED).write_text(json.dumps({score.key: "no", "f" * 64: "another study's"}))
    unfinished = unfinished_steps(plan, place)
    assert unfinished.failed == {score.key: "no"}
    assert {plan.steps[key].kind for key in unfinished.blocked} == {"score", "mask", "corrupt", "train", "compare"}
    assert not unfinished.is_final, "the dense network can still be trained"


def test_decided_cells_are_reported_once_and_again_only_if_they_change() -> None:
    verdict = judge(full(snip=5.0))
    decisions = Decisions()
    lines = decisions.news(verdict)
    assert lines
    assert all(line.startswith("decided: ") for line in lines)
    assert any(line.startswith("decided: snip x ") and ": depends, +" in line for line in lines)
    assert decisions.news(verdict) == []
    check = next(check for check in verdict.checks if check.method == "snip" and check.control is None)
    opened = replace(verdict, checks=(replace(check, open=True),))
    assert Decisions().news(opened) == [], "nothing provisional is said"
    uninformative = replace(check, cells=tuple(replace(cell, verdict="UNINFORMATIVE") for cell in check.cells))
    guard = replace(check, method="lr_rewinding", open=True)
    assert Decisions().news(replace(verdict, checks=(uninformative, guard))) == [], "a control may still show it"
    assert Decisions().news(replace(verdict, checks=(uninformative, replace(guard, open=False))))
    cells = tuple(replace(cell, verdict="UNINFORMATIVE") for cell in check.cells)
    (line, *_) = decisions.news(replace(verdict, checks=(replace(check, cells=cells),)))
    assert line.startswith("changed: snip x ")


def test_an_adaptive_run_prints_the_cells_each_interim_analysis_decides(tmp_path: Path) -> None:
    def said(folder: str, seeds: object) -> str:
        heard = io.StringIO()
        study = tiny.study(seeds=seeds, max_seeds=3)
        run_study(study, tiny.place(tmp_path / folder), 1, Progress(Console(file=heard, width=200)))
        return heard.getvalue()

    assert "decided: snip x layerwise_rearrange at 80%: " in said("auto", "auto")
    assert "decided" not in said("fixed", 3)


def test_status_does_not_show_the_page_of_another_version_of_the_study(tmp_path: Path) -> None:
    tiny.run(tmp_path)
    assert status(tmp_path).page == tmp_path / "out" / "index.html"
    other = status(tmp_path, seeds=2)
    assert other.page is None
    assert other.note == "they were written before it changed (seeds was 1 and is 2)"
    assert f"none of this study in {tmp_path / 'out'}: they were written before it changed" in str(other)
    assert other.to_dict()["note"] == other.note
