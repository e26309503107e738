from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prunecheck.errors import StudyError
from prunecheck.runner import records
from prunecheck.runner.records import MARGIN, STUDY, DenseRuns, fix_margin, foreign_results, mark_reported, take_folder
from prunecheck.statistics import Settings
from prunecheck.study import Study, load_study
from tests.study.studies import BASE, write

from . import tiny

KEYS = ["a" * 64, "b" * 64, "c" * 64]


def runs(*accuracies: float, n_test: int = 1000, keys: list[str] = KEYS) -> DenseRuns:
    return DenseRuns(dict(zip(keys, accuracies, strict=False)), frozenset(keys), n_test)


DENSE = runs(0.9, 0.91, 0.92)
OTHER = runs(0.5, 0.5, 0.5, n_test=50, keys=[key.replace(key[0], "d") for key in KEYS[:1]])


def test_the_rule_is_applied_once_and_recorded(tmp_path: Path) -> None:
    first, note = fix_margin(tmp_path / "out", DENSE, Settings())
    recorded = json.loads((tmp_path / "out" / MARGIN).read_text())
    assert first.margin == recorded["margin"] == pytest.approx(0.91)
    assert recorded["dense_runs"] == dict(DENSE.values)
    assert note == ""
    with_another_seed = runs(0.9, 0.91, 0.92, 0.2, keys=[*KEYS, "d" * 64])
    assert fix_margin(tmp_path / "out", with_another_seed, Settings()) == (first, "")


def test_the_users_own_margin_is_recorded_too(tmp_path: Path) -> None:
    settings, _ = fix_margin(tmp_path, DENSE, Settings(margin=0.25))
    assert json.loads((tmp_path / MARGIN).read_text())["margin"] == settings.margin == 0.25
    assert settings.margin_was is None
    assert fix_margin(tmp_path, DENSE, Settings(margin=0.25)) == (settings, "")


def test_a_margin_in_seed_standard_deviations_is_recorded_with_its_origin(tmp_path: Path) -> None:
    first, _ = fix_margin(tmp_path, DENSE, Settings(), in_terms="2 sd")
    recorded = json.loads((tmp_path / MARGIN).read_text())
    assert first.margin == recorded["margin"] == pytest.approx(2.0)
    assert recorded["in_terms"] == "2 sd"
    assert first.margin_rule == recorded["rule"]
    assert "2 standard deviations between seeds, estimated from 3 dense runs" in first.margin_rule
    assert fix_margin(tmp_path, DENSE, Settings(), in_terms="2 sd") == (first, "")
    assert fix_margin(tmp_path, DENSE, Settings()) == (first, ""), "the recorded margin holds"
    wider, _ = fix_margin(tmp_path, DENSE, Settings(), in_terms="3 sd")
    assert (wider.margin, wider.margin_was) == (pytest.approx(3.0), pytest.approx(2.0))
    assert wider.margin_rule.endswith("Changed after results were seen: it was 2.00.")


@pytest.mark.parametrize(
    ("text", "says"), [("a bit", "write points"), ("30% of lead", "needs clean arms"), ("9 sd", "")]
)
def test_an_edited_margin_in_terms_is_refused(tmp_path: Path, text: str, says: str) -> None:
    fix_margin(tmp_path, DENSE, Settings(), in_terms="2 sd")
    path = tmp_path / MARGIN
    path.write_text(path.read_text().replace("2 sd", text))
    with pytest.raises(StudyError, match=rf"margin\.json is damaged: .*{says}"):
        fix_margin(tmp_path, DENSE, Settings(), in_terms="2 sd")


def test_a_margin_that_the_study_changes_later_is_used_and_both_are_reported(tmp_path: Path) -> None:
    fix_margin(tmp_path, DENSE, Settings())
    before = (tmp_path / MARGIN).read_bytes()
    settings, _ = fix_margin(tmp_path, DENSE, Settings(margin=5.0))
    assert settings.margin == 5.0
    assert settings.margin_was == pytest.approx(0.91)
    assert (tmp_path / MARGIN).read_bytes() == before


def test_a_margin_of_other_dense_runs_is_fixed_anew_and_reported(tmp_path: Path) -> None:
    tried, _ = fix_margin(tmp_path, OTHER, Settings())
    assert tried.margin == 10
    settings, note = fix_margin(tmp_path, DENSE, Settings())
    assert settings.margin == pytest.approx(0.91)
    assert "held a margin of 10.00 points for other dense runs (on 50 test samples)" in note
    assert "for those of this study it is 0.91" in note
    assert fix_margin(tmp_path, DENSE, Settings()) == (settings, "")


def test_status_reports_the_margin_of_this_study_without_recording_it(tmp_path: Path) -> None:
    fix_margin(tmp_path, OTHER, Settings())
    before = (tmp_path / MARGIN).read_bytes()
    settings, _ = fix_margin(tmp_path, DENSE, Settings(), write=False)
    assert settings.margin == pytest.approx(0.91)
    assert (tmp_path / MARGIN).read_bytes() == before


DAMAGED = [
    "",
    "{}",
    "[1]",
    "[" * 100_000,
    "\xff",
    '{"margin": ' + "9" * 5000 + "}",
    '{"margin": "x", "rule": ""}',
]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_margin_is_refused_and_not_overwritten(text: str, tmp_path: Path) -> None:
    (tmp_path / MARGIN).write_bytes(text.encode("latin-1"))
    with pytest.raises(StudyError, match=r"margin\.json is damaged: .*\. Delete it: the margin is then fixed anew"):
        fix_margin(tmp_path, DENSE, Settings())
    assert (tmp_path / MARGIN).read_bytes() == text.encode("latin-1")


@pytest.mark.parametrize(
    "change",
    [
        {"margin": 9.0},
        {"margin": True},
        {"margin": 0},
        {"margin": float("nan")},
        {"n_test": 100},
        {"n_test": 2000},
        {"chance": 0.5},
        {"set_by_hand": 9.0},
        {"dense_runs": {KEYS[0]: 0.2}},
        {"dense_runs": {"k": 0.9}},
        {"rule": 1},
        {"more": 1},
    ],
    ids=str,
)
def test_a_margin_that_does_not_follow_from_its_dense_runs_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    fix_margin(tmp_path, DENSE, Settings())
    path = tmp_path / MARGIN
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StudyError, match=r"margin\.json is damaged: "):
        fix_margin(tmp_path, DENSE, Settings())


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (records.FAILED, records.read_failed),
        (records.PLAN, records.read_plan),
        (records.VERIFICATION, lambda folder: records.read_verification(folder, ())),
        (records.STUDY, lambda folder: foreign_results(folder, tiny.study())),
    ],
)
def test_damaged_records_are_refused_in_one_sentence(name: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    assert not read(tmp_path)
    for text in [*DAMAGED, '{"numerics": {}, "parts": [], "steps": [1]}', '{"x": 1}', "null", "1e999"]:
        (tmp_path / name).write_bytes(text.encode("latin-1"))
        if name == records.FAILED and text == "{}":
            continue
        with pytest.raises(StudyError, match=rf"{name} is damaged: ") as caught:
            read(tmp_path)
        assert len(str(caught.value).splitlines()) == 1


def test_a_pipe_or_a_link_in_place_of_a_record_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / records.FAILED)
    with pytest.raises(StudyError, match="no plain file"):
        records.read_failed(tmp_path)
    (tmp_path / records.PLAN).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StudyError, match="no plain file"):
        records.read_plan(tmp_path)


def test_a_plan_whose_steps_name_parts_that_are_not_there_is_refused(tmp_path: Path) -> None:
    step = {"title": "t", "key": "a" * 64, "params": {"x": 3}, "inputs": {}}
    (tmp_path / records.PLAN).write_text(json.dumps({"numerics": {}, "parts": [1], "steps": [step]}))
    with pytest.raises(StudyError, match=r"plan\.json is damaged: a step names a part that is not there"):
        records.read_plan(tmp_path)


def from_file(folder: Path, name: str = "study.toml", lines: str = "") -> Study:
    folder.mkdir(exist_ok=True)
    toml = 'model = "convnet"\ndata = "digits"\nmethods = ["snip"]\nchecks = ["random_labels"]\nsparsities = [0.9]\n'
    return load_study(write(folder, toml + lines, name))


def test_a_folder_with_the_results_of_another_study_file_is_refused(tmp_path: Path) -> None:
    a, b = from_file(tmp_path / "a"), from_file(tmp_path / "b", lines="seeds = 5\n")
    out = tmp_path / "out"
    assert take_folder(out, a) == ""
    mark_reported(out, a)
    with pytest.raises(
        StudyError, match=r"out holds the results of another study \(.*a/study\.toml\)\. Choose another"
    ):
        take_folder(out, b)
    assert foreign_results(out, a) == ""
    assert "it holds another study (" in foreign_results(out, b)


def test_a_study_file_that_was_moved_keeps_its_results(tmp_path: Path) -> None:
    a, b = from_file(tmp_path / "a"), from_file(tmp_path / "b")
    take_folder(tmp_path / "out", a)
    mark_reported(tmp_path / "out", a)
    assert take_folder(tmp_path / "out", b) == ""
    assert foreign_results(tmp_path / "out", a) == ""


def test_results_of_an_earlier_version_of_a_study_are_replaced_with_a_note(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, later = load_study({**BASE, "seeds": 1}), load_study({**BASE, "seeds": 3, "max_seeds": 5})
    take_folder(out, first)
    mark_reported(out, first)
    assert "written before it changed (seeds was 1 and is 3" in foreign_results(out, later)
    note = take_folder(out, later)
    assert "out holds results of this study before it changed (" in note
    assert "seeds was 1 and is 3" in note
    assert "max_seeds was 10 and is 5" in note
    assert foreign_results(out, later) == "they are not written yet"
    mark_reported(out, later)
    assert foreign_results(out, later) == ""
    assert take_folder(out, later) == ""
    assert json.loads((out / STUDY).read_text())["reported"] is True


def test_a_page_that_is_not_ours_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>my site")
    with pytest.raises(StudyError, match=r"holds an index\.html that is not a report of prunecheck"):
        take_folder(tmp_path, tiny.study())


def test_abandoned_temporary_files_are_removed_and_recent_ones_are_not(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in (f".{'a' * 32}.tmp", f".{'b' * 32}.tmp", ".mine.tmp"))
    for path in (old, new, other):
        path.write_text("")
    for path in (old, other):
        os.utime(path, (0, 0))
    take_folder(tmp_path, tiny.study())
    assert not old.exists()
    assert new.exists()
    assert other.exists()
