from __future__ import annotations

import json
from pathlib import Path

import pytest

from prunecheck.errors import StudyError
from prunecheck.runner.records import MARGIN, fixed_margin
from prunecheck.statistics import Settings

DENSE = [0.9, 0.91, 0.92]


def test_the_rule_is_applied_once_and_written_down(tmp_path: Path) -> None:
    first = fixed_margin(tmp_path / "out", DENSE, 1000, Settings())
    written = json.loads((tmp_path / "out" / MARGIN).read_text())
    assert first.margin == written["margin"] == pytest.approx(0.91)
    assert written["dense_accuracies"] == DENSE
    later = fixed_margin(tmp_path / "out", [0.5], 1000, Settings())
    assert later.margin == first.margin
    assert later == first


def test_the_users_own_margin_is_written_down_too(tmp_path: Path) -> None:
    settings = fixed_margin(tmp_path, DENSE, 1000, Settings(margin=0.25))
    assert json.loads((tmp_path / MARGIN).read_text())["margin"] == settings.margin == 0.25
    assert settings.margin_was is None


def test_another_margin_afterwards_is_used_and_both_are_shown(tmp_path: Path) -> None:
    fixed_margin(tmp_path, DENSE, 1000, Settings())
    before = (tmp_path / MARGIN).read_bytes()
    settings = fixed_margin(tmp_path, DENSE, 1000, Settings(margin=5.0))
    assert settings.margin == 5.0
    assert settings.margin_was == pytest.approx(0.91)
    assert (tmp_path / MARGIN).read_bytes() == before


@pytest.mark.parametrize("text", ["", "{}", '{"margin": "x", "rule": ""}', "[1]", '{"margin": null, "rule": ""}'])
def test_a_damaged_file_is_not_written_over(text: str, tmp_path: Path) -> None:
    (tmp_path / MARGIN).write_text(text)
    with pytest.raises(StudyError, match=r"margin\.json is damaged .* the margin fixed before results were seen"):
        fixed_margin(tmp_path, DENSE, 1000, Settings())
    assert (tmp_path / MARGIN).read_text() == text
