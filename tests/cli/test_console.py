from __future__ import annotations

import os

import pytest

from prunecheck.cli import console


def test_columns_are_aligned_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_columns([("name", "n"), ("a\x1b[31m", 7), ("long name", 12345)], frozenset({1}))
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["name           n", "a\N{REPLACEMENT CHARACTER}[31m         7", "long name  12345"]


def test_no_rows_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_columns([])
    assert capsys.readouterr().out == ""


def test_an_error_keeps_its_lines_and_a_note_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.print_error("first\nsecond\r\x1b[2J", 74) == 74
    assert capsys.readouterr().err == "prunecheck: first\nsecond\n\N{REPLACEMENT CHARACTER}[2J\n"
    console.note("first\nsecond\x07")
    assert capsys.readouterr().err == "first second\N{REPLACEMENT CHARACTER}\n"


def test_print_json_refuses_nan() -> None:
    with pytest.raises(ValueError):
        console.print_json({"x": float("nan")})


def test_console_on_a_closed_pipe_becomes_quiet() -> None:
    read, wrote = os.pipe()
    os.close(read)
    with os.fdopen(wrote, "w") as stream:
        closed = console._console(stream)
        closed.print("x" * 100_000)
        assert closed.quiet
        closed.print("more")
