"""What changes around a run: the working directory, the clock, links, the version of torch, a plug-in's helpers."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import pytest

import prunecheck
from prunecheck.runner.progress import Progress
from prunecheck.runner.study_run import report_study, run_study
from prunecheck.runner.workspace import Workspace
from prunecheck.store import Store, verify
from prunecheck.study import step
from tests.runner import tiny

PLUGIN = """
import os, tempfile
from prunecheck import method

{at_import}

@method
def mine(weights):
    {in_method}
    return {{name: weight.abs() for name, weight in weights.items()}}
"""
ELSEWHERE = "os.chdir(tempfile.gettempdir())"


@pytest.mark.parametrize(("at_import", "in_method"), [(ELSEWHERE, "pass"), ("", ELSEWHERE)], ids=["import", "method"])
def test_a_plugin_that_changes_the_working_directory_moves_no_file(
    at_import: str, in_method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tiny.plugin(tmp_path, PLUGIN.format(at_import=at_import, in_method=in_method))
    fields = tiny.fields(methods=["mine"], plugins=[path])
    with warnings.catch_warnings():  # importing it warns that the directory was put back
        warnings.simplefilter("ignore")
        results = prunecheck.run(fields, store="store", folder="out", workers=1)
    assert results.page == Path("out/index.html")
    assert (tmp_path / "out" / "index.html").is_file()
    assert verify(Store.open(tmp_path / "store")).artefacts == len(results.plan.steps)


def test_a_clock_that_goes_backwards_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.run(tmp_path / "undisturbed")
    now = [2e9]

    def backwards() -> float:
        now[0] -= 1000
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    tiny.run(tmp_path)
    status = prunecheck.status(tiny.study(), store=tmp_path / "store", folder=tmp_path / "out")
    assert status.state == "finished"
    assert tiny.objects(tmp_path) == tiny.objects(tmp_path / "undisturbed")
    for name in ("results.csv", "verdicts.json", "index.html"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "undisturbed" / "out" / name).read_bytes()


def test_a_link_in_the_results_folder_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    for name in ("results.csv", "verdicts.json", "report.md"):
        (tmp_path / "out" / name).symlink_to(tmp_path / "mine.txt")
    tiny.run(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "out" / "results.csv").is_symlink()


def test_a_results_folder_and_a_store_behind_links_work(tmp_path: Path) -> None:
    for name in ("real_store", "real_out"):
        (tmp_path / name).mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "real_store")
    (tmp_path / "out").symlink_to(tmp_path / "real_out")
    tiny.run(tmp_path)
    assert (tmp_path / "real_out" / "index.html").is_file()
    assert verify(Store.open(tmp_path / "real_store")).ok


def test_two_versions_of_torch_share_a_store_and_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tiny.run(tmp_path)
    rows, other = (tmp_path / "out" / "results.csv").read_bytes(), tmp_path / "other"
    numerics = step.numerics() | {"torch": "1.0"}
    with monkeypatch.context() as patch:
        patch.setattr(step, "numerics", lambda _="": numerics)
        there = run_study(tiny.study(), Workspace(Store.open(tmp_path / "store"), other), 1, Progress())
    assert not here.plan.steps.keys() & there.plan.steps.keys()
    assert len(there.ran) == len(here.plan.steps)
    again = report_study(tiny.study(), tiny.place(tmp_path))
    assert again.plan.steps.keys() == here.plan.steps.keys()
    assert (tmp_path / "out" / "results.csv").read_bytes() == rows
    assert verify(Store.open(tmp_path / "store")).artefacts == 2 * len(here.plan.steps)


HELPER = """
import os, time
from prunecheck import method

@method
def mine(weights):
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    if os.environ.get("KILL_ME"):
        os.kill(os.getpid(), 9)
    return {name: weight.abs() for name, weight in weights.items()}
"""


def test_a_helper_that_a_plugin_leaves_behind_does_not_hold_up_the_next_run(tmp_path: Path) -> None:
    """The process of a run is killed while a child of its plug-in lives on; that child must not keep the claim."""
    fields = tiny.fields(methods=["mine"], plugins=[tiny.plugin(tmp_path, HELPER)])
    group = os.fork()
    if group == 0:
        os.setpgid(0, 0)
        # set after the dry run, which calls the plug-in too
        prunecheck.runner.study_run.write_plan = lambda *_: os.environ.update(KILL_ME="1")  # type: ignore[attr-defined]
        try:
            prunecheck.run(fields, store=tmp_path / "store", folder=tmp_path / "out", workers=1)
        finally:
            os._exit(1)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(group, 0)[1]) == -9
        assert (tmp_path / "store").is_dir()
        store = Store.open(tmp_path / "store")
        assert store.holders() == {}
        for claim in (tmp_path / "store" / "claims").iterdir():
            held = store.try_claim(claim.name)
            assert held is not None
            held.release()
    finally:
        os.killpg(group, 9)
