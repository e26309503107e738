from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import prunecheck
from prunecheck.cli import main, plan
from prunecheck.errors import StepError, StoreError
from tests.cli.command import Cli, run
from tests.study.studies import BASE_TOML, write

COMMANDS = ["demo", "init", "plan", "run", "report", "verdict", "list", "counts", "schema", "ticket", "audit", "arms"]
COMMANDS += ["cache", "doctor", "explain", "verify", "presets", "status", "paper", "completion"]


def test_help_names_every_command_and_where_to_start(cli: Cli) -> None:
    said = cli("--help")
    assert (said.code, said.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^\W*{command} ", said.out, re.MULTILINE), command
    assert "prunecheck demo" in said.out
    assert cli().out == said.out
    assert cli("-h").out == said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_help(cli: Cli, command: str) -> None:
    said = cli(command, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"Usage: prunecheck {command}" in said.out
    first_sentence = said.out.split("\n\n")[1]
    assert first_sentence.strip().endswith(".")
    for option in re.findall(r"^│[ *]+(?:[A-Z]+ )?(--[a-z-]+)(.*)$", said.out, re.MULTILINE):
        assert len(option[1].strip(" │")) > 10, f"{option[0]} says nothing about itself"


def test_version_is_that_of_the_package(cli: Cli) -> None:
    assert cli("--version").out.strip() == prunecheck.__version__


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rnu"], '"run"'),
        (["lst"], '"list"'),
        (["list", "method"], '"methods"'),
        (["run", "s.toml", "--worker", "2"], "--workers"),
        (["run", "s.toml", "--workers", "two"], "two"),
        (["run", "s.toml", "--workers", "0"], ">= 1"),
        (["run", "s.toml", "--workers", "-1"], ">= 1"),
        (["run"], "run needs STUDY. For example: prunecheck run study.toml"),
        (["run", "a.toml", "b.toml"], "b.toml"),
        (["plan", "s.toml", "--set"], "--set"),
        (["plan", "s.tml"], "s.tml"),
        (["list"], "list needs KIND. For example: prunecheck list methods"),
        (["counts", "convnet"], "counts needs --sparsity. For example: "),
        (["cache", "export", "s.toml"], "cache export needs FILE. For example: "),
        (["run", "s.toml", "--quite"], "--quiet"),
        (["status", "s.toml", "--wach"], "--watch"),
        (["cache", "lst"], '"ls"'),
        (["stauts"], '"status"'),
        (["run", "s.toml", "--set", "metods=['snip']"], "'methods'"),
        (["plan", "s.toml", "--set", "methods=['snap']"], "'snip'"),
        (["plan", "s.toml", "--out", "x"], "--out"),
        (["counts", "convnt", "--sparsity", "0.9"], "'convnet'"),
        (["counts", "convnet", "--sparsity", "98"], "0.98"),
        (["counts", "convnet", "--sparsity", "0.9", "--allocate", "unifrom"], "'uniform'"),
        (["counts", "convnet", "--sparsity", "0.9", "--allocate", "global"], "needs scores"),
        (["counts", "convnet", "--sparsity", "0.9", "--preset", "offical"], "'official'"),
        (["counts", "convnet", "--sparsity", "0.9", "--classes", "1"], "classes"),
        (["verdict", "nowhere.csv"], "nowhere.csv"),
        (["verdict", "."], "is a folder, not a file"),
    ],
    ids=" ".join,
)
def test_wrong_argument_is_refused_with_a_suggestion(cli: Cli, arguments: list[str], says: str, tmp_path: Path) -> None:
    write(tmp_path, BASE_TOML, "s.toml")
    said = cli(*arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("prunecheck: ")
    assert says in said.err
    assert len(said.err.splitlines()) <= 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.toml"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StepError("2 of the steps failed."), 3),
        (StoreError("The disk is full."), 74),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("ours"), 70),
        (BrokenPipeError(), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_has_its_exit_code(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(plan, "read_study", fail)
    monkeypatch.setattr(sys.modules["prunecheck.cli.main"], "discard_output", lambda _stream: None)
    said = cli("plan", write(tmp_path, BASE_TOML))
    assert (said.code, said.out) == (code, "")
    assert ("Traceback" in said.err) == (code == 70)
    assert ("bug of prunecheck" in said.err) == (code == 70)
    assert str(error) in said.err


def test_invalid_study_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, "sparsites = [0.9]\n")
    for command in (["plan"], ["run"], ["run", "--masks-only"], ["report"]):
        said = cli(*command, path)
        assert (said.code, said.out) == (2, "")
        assert "study.toml: sparsites" in said.err
    assert list(tmp_path.iterdir()) == [path]


def test_control_characters_in_a_message_are_harmless(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, "model = 3", "a\x1b[31m.toml")
    for arguments in (["plan", "a\x1b[31m.toml"], ["plan", "b\x1b[31m.toml"], ["li\x1b[31mst"], ["counts", "\x1b[31m"]):
        said = cli(*arguments, *(["--sparsity", "0.9"] if arguments[0] == "counts" else []))
        assert said.code == 2
        assert "\x1b" not in said.err


def test_broken_pipe_exits_with_0_and_prints_nothing() -> None:
    program = "import sys; from prunecheck.cli import main; sys.exit(main())"
    for arguments in (["schema"], ["list", "models"], ["--help"]):
        read, wrote = os.pipe()
        os.close(read)  # the reader closes the pipe, as `| head` does
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], stdout=wrote, stderr=subprocess.PIPE, text=True
        )
        os.close(wrote)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_no_color_means_no_colour_even_where_colour_is_forced(arguments: list[str]) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7])[0-9;]*m")
    plain = run(*arguments, env={"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color"})
    assert plain.returncode == 0
    assert not colour.search(plain.stdout)


def test_sigterm_is_an_interruption_that_can_be_resumed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plan, "read_study", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    said = cli("plan", write(tmp_path, BASE_TOML))
    assert said.code == 75
    assert "same command" in said.err


def test_the_console_script_exits_with_the_code() -> None:
    done = run("rnu")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("prunecheck: ")
    assert main is prunecheck.cli.main  # the entry point of pyproject.toml
