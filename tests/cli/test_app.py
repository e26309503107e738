from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from cyclopts import App

from prunecheck import errors
from prunecheck.cli.app import build, exit_codes, flowed
from tests.cli.command import Cli


def commands(app: App, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    for word in app:
        if not word.startswith("-"):
            inner = app[word]
            if inner.default_command is not None:
                yield (*before, word), inner
            yield from commands(inner, (*before, word))


ALL = dict(commands(build()))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_ends_its_help_with_an_example_that_can_be_typed(words: tuple[str, ...]) -> None:
    (example,) = re.findall(r"^Example: (.*)$", ALL[words].help, re.MULTILINE)
    typed = shlex.split(example)
    assert tuple(typed[: len(words) + 1]) == ("prunecheck", *words)
    command, _, ignored = build().parse_args(typed[1:], exit_on_error=False, print_error=False)
    assert command is ALL[words].default_command
    assert ignored == {}


def test_every_command_is_in_the_application() -> None:
    assert {"run", "status", "paper", "completion"} <= {words[0] for words in ALL}
    assert ("cache", "gc") in ALL


def test_paragraphs_flow_whatever_the_width_of_the_source(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert flowed("One\n    two.\n\n    Three\n    four.\n\n    Parameters\n    ----------\n    x\n        y") == (
        "One two.\n\nThree four."
    )
    monkeypatch.setenv("COLUMNS", "60")
    prose = cli("verdict", "--help").out.split("╭")[0]
    lines = prose.split("\n\n")[2].splitlines()
    assert len(lines) > 2
    assert all(len(line) > 40 for line in lines[:-1]), "no line is short but the last"


def test_help_fits_a_narrow_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for words in ((), ("run",), ("cache", "gc")):
        said = cli(*words, "--help")
        assert max(map(len, said.out.splitlines())) <= 40


def test_the_exit_codes_are_told_and_are_those_of_the_errors(cli: Cli) -> None:
    said = " ".join(cli("--help").out.split())
    assert exit_codes() in said
    told = {int(code) for code in re.findall(r"(\d+) [a-zA-Z]", exit_codes())}
    raised = {kind.exit_code for kind in vars(errors).values() if hasattr(kind, "exit_code")}
    assert raised <= told
    assert {0, 1, 4, 130} <= told
