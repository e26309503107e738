"""Engines and studies of many steps: the benchmarks run, and a killed run repeats nothing."""

from __future__ import annotations

import pytest
from benchmarks.many_steps import measured, sliced

from benchmarks import __main__ as command


@pytest.mark.slow
def test_engines_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["engines", "--quick"]) == 0
    printed = capsys.readouterr().out
    assert "| in this process |" in printed
    assert "| local processes |" in printed
    assert "% of ideal" in printed


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_simulated_study_is_killed_resumed_and_reported_without_repeating_a_step(workers: int) -> None:
    rows = list(measured(240, workers, lambda _: None))
    assert [row[0] for row in rows if "part" in row[0]] == [
        f"run, {half} half, part {part} of 4" for half in ("first", "second") for part in (1, 2, 3, 4)
    ]
    assert [row[0] for row in rows][-2:] == ["start and plan", "judge and report"]
    assert all(float(row[2]) > 0 for row in rows)


@pytest.mark.slow
def test_a_part_of_a_simulated_study_is_run_and_its_status_read() -> None:
    rows = list(sliced(240, 20, 1, lambda _: None))
    parts = [f"run, slice, part {part} of 4" for part in (1, 2, 3, 4)]
    assert [row[0] for row in rows] == ["start and plan", *parts, "status"]
    assert all(float(row[2]) > 0 for row in rows)
