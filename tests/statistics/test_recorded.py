"""Verdicts that are written down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prunecheck.errors import StudyError
from prunecheck.statistics.recorded import Change, changes, read_verdicts, verdicts_of

RECORD = {
    "methods": [{"method": "snip", "verdict": "FAILS"}],
    "checks": [{"method": "snip", "check": "random_labels", "verdict": "DOES NOT DEPEND"}],
    "comparisons": [{"first": "snip", "second": "random_ticket", "verdict": "NOT BETTER"}],
    "banner": None,
}


def test_verdicts_by_what_was_judged() -> None:
    assert verdicts_of(RECORD) == {
        "snip": "FAILS",
        "snip x random_labels": "DOES NOT DEPEND",
        "snip against random_ticket": "NOT BETTER",
        "the study's controls": "NOT FAILED",
    }
    assert verdicts_of(RECORD | {"banner": "A control failed."})["the study's controls"] == "FAILED"


def test_changed_missing_and_new_verdicts() -> None:
    found = changes({"a": "PASSES", "b": "FAILS", "c": "FAILS"}, {"a": "PASSES", "b": "PASSES", "d": "FAILS"})
    assert found == (Change("b", "FAILS", "PASSES"), Change("c", "FAILS", None), Change("d", None, "FAILS"))
    assert found[1].sentence == "c: FAILS -> not there"


def test_verdicts_are_read_from_a_file_or_its_folder(tmp_path: Path) -> None:
    (tmp_path / "verdicts.json").write_text(json.dumps(RECORD))
    assert read_verdicts(tmp_path) == read_verdicts(tmp_path / "verdicts.json") == RECORD


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[]", "is no verdicts.json"), ('{"methods": []}', "is no verdicts.json")],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(StudyError, match=message):
        read_verdicts(tmp_path / "x.json")
    with pytest.raises(StudyError, match="written by another version"):
        verdicts_of({"methods": [{}], "checks": []})
