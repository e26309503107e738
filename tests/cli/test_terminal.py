"""Sessions at a terminal: what is drawn is cleaned away, Ctrl-C gets one line, and the same command goes on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prunecheck.runner.progress import Progress
from prunecheck.runner.study_run import run_study
from prunecheck.runner.workspace import Workspace
from prunecheck.store import Store
from prunecheck.study import load_study, make_plan
from tests.cli.command import run
from tests.cli.terminal import PROGRAM, Terminal, open_terminal
from tests.runner import tiny
from tests.runner.test_interrupting import as_toml

COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7])[0-9;]*m")
HIDE, SHOW, ERASE = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"
WAITS = """
    import time
    from pathlib import Path

    from prunecheck.pruning import method

    @method
    def slow(weights, rng):
        tried, mark = Path({mark!r} + ".tried"), Path({mark!r})
        if not tried.exists():  # before the study begins
            tried.touch()
        elif not mark.exists():
            mark.touch()
            time.sleep(500)
        return {{n: w.abs() for n, w in weights.items()}}
"""
Open = Callable[..., Terminal]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Open]:
    opened = []

    def open_one(*words: object, folder: Path = tmp_path, **more: Any) -> Terminal:
        opened.append(open_terminal(*words, folder=folder, **more))
        return opened[-1]

    yield open_one
    for one in opened:
        one.end()


def study(folder: Path, **changes: Any) -> Path:
    path = folder / "tiny.toml"
    path.write_text(as_toml(tiny.fields(**changes)))
    return path


def waiting(folder: Path) -> tuple[Path, Path]:
    """A study that waits in the middle of a step until *mark* is there, and *mark*."""
    mark = folder / "mark"
    plug = tiny.plugin(folder, WAITS.format(mark=str(mark)))
    return study(folder, methods=["slow", "snip"], plugins=[plug]), mark


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was run, in a folder of its own with its store and results."""
    folder = tmp_path_factory.mktemp("done")
    path = study(folder)
    run_study(load_study(path), Workspace(Store.open(folder / "store"), folder / "runs" / "tiny"), 1, Progress())
    return path


@pytest.mark.slow
def test_a_bar_is_drawn_and_cleaned_away(terminal: Open, tmp_path: Path) -> None:
    screen = terminal("run", study(tmp_path), "--workers", 1)
    assert screen.wait() == 0
    assert re.search(r"pretrainings [01]/1 · trainings [0-2]/2", screen.text)
    assert screen.shown.count(HIDE) <= screen.shown.count(SHOW)
    bar, _, rest = screen.shown.rpartition(ERASE)
    assert bar
    assert "tiny: convnet on digits" in rest, "the verdict stands below nothing"
    assert "left" not in rest
    assert COLOUR.search(screen.shown)


@pytest.mark.slow
def test_ctrl_c_half_way_gets_one_line_and_the_same_command_goes_on(terminal: Open, tmp_path: Path) -> None:
    path, mark = waiting(tmp_path)
    screen = terminal("run", path, "--workers", 1, columns=40)
    while not mark.exists():
        screen.read(0.1)
    before = len(screen.shown)
    screen.resize(30)
    screen.type("\x03")
    assert screen.wait() == 130
    after = screen.shown[before:]
    assert "Traceback" not in screen.shown
    assert " ".join(screen.text.split()).count("prunecheck: Interrupted. Finished steps are kept") == 1
    assert after.rindex(SHOW) > after.rfind(HIDE), "the cursor is back"
    lines = re.split(r"[\r\n]+", screen.text)
    bars = [line for line in lines if "━" in line or "trainings" in line]
    assert bars
    assert max(map(len, bars)) <= 40
    again = terminal("run", path, "--workers", 1)
    assert again.wait() == 0
    assert "trainings: 5 in all, 4 run now" in again.text, "what was finished before is not repeated"
    keys = {step.key for step in make_plan(load_study(path)).steps.values()}
    assert not Store.open(tmp_path / "store").missing(keys)


@pytest.mark.slow
def test_ctrl_c_again_and_again_brings_no_traceback(terminal: Open, tmp_path: Path) -> None:
    path, mark = waiting(tmp_path)
    screen = terminal("run", path, "--workers", 2)
    while not mark.exists():
        screen.read(0.1)
    screen.type("\x03")
    screen.read(0.05)
    screen.type("\x03")
    code = screen.wait()
    assert code in (130, -2), "the third way is none: a shell shows 130 for both"
    assert "Traceback" not in screen.shown
    assert "KeyboardInterrupt" not in screen.shown


WAITS_FOR_TORCH = f"""
import sys, time

class Waits:
    def find_spec(self, name, *_):
        if name == "torch":
            print("torch is imported", flush=True)
            time.sleep(500)

sys.meta_path.insert(0, Waits())
{PROGRAM}
"""


def test_ctrl_c_while_torch_is_imported_gets_one_line(terminal: Open, tmp_path: Path) -> None:
    screen = terminal("run", study(tmp_path), "--workers", 1, program=WAITS_FOR_TORCH)
    screen.wait_for("torch is imported")
    screen.type("\x03")
    assert screen.wait() == 130
    assert "Traceback" not in screen.text
    assert " ".join(screen.text.split()).count("prunecheck: Interrupted") == 1


@pytest.mark.slow
def test_no_colour_and_no_progress_bar_on_dumb_terminals(terminal: Open, tmp_path: Path) -> None:
    path = study(tmp_path)
    plain = terminal("run", path, "--workers", 1, NO_COLOR="1")
    assert plain.wait() == 0
    assert not COLOUR.search(plain.shown)
    assert ERASE in plain.shown
    dumb = terminal("run", path, "--workers", 1, "--set", "seeds=2", TERM="dumb")
    assert dumb.wait() == 0
    assert "\x1b" not in dumb.shown
    assert re.search(r"^(\d+)/\1 steps, done$", dumb.text, re.MULTILINE)


def test_status_is_drawn_until_the_study_is_over(terminal: Open, done: Path, tmp_path: Path) -> None:
    screen = terminal("status", done, "--watch", columns=40, folder=done.parent)
    assert screen.wait() == 0
    assert "finished" in screen.text
    assert max(map(len, screen.text.splitlines())) <= 40
    assert screen.shown.count(HIDE) <= screen.shown.count(SHOW)
    screen = terminal("status", done, "--watch", folder=tmp_path)  # another store, with nothing in it
    screen.wait_for("not begun")
    screen.type("\x03")
    assert screen.wait() == 130
    assert "Traceback" not in screen.shown


@pytest.mark.parametrize("command", [pytest.param("run", marks=pytest.mark.slow), "report"])
def test_quiet_prints_no_progress(done: Path, command: str) -> None:
    env = {"PRUNECHECK_HOME": str(done.parent / "store")}
    said = run(command, done, "--quiet", cwd=done.parent, env=env)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("tiny: convnet on digits (60 training images, 8 x 8 pixels), 1 epoch; margin ")


def through_a_shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """``$p`` is prunecheck."""
    env = {**os.environ, "PRUNECHECK_HOME": str(folder / "store")}
    program = f'p() {{ {sys.executable} -c "{PROGRAM}" "$@"; }}; {script}'
    return subprocess.run(["bash", "-c", program], cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("script", "code", "err"),
    [
        ("p report tiny.toml | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}", 0, ""),
        ("p list methods >&-", 0, ""),
        pytest.param("p run tiny.toml -q >&-", 0, "", marks=pytest.mark.slow),
        ("p lst methods 2>&-", 2, ""),
        ("p status tiny.toml <&- >/dev/null", 0, ""),
        ("p status tiny.toml >/dev/full", 74, "prunecheck: The output cannot be written: No space left on device.\n"),
        ("p lst 2>/dev/full", 2, ""),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("p ") else "",
)
def test_streams_that_are_closed_broken_or_full(done: Path, script: str, code: int, err: str) -> None:
    said = through_a_shell(script, done.parent)
    assert (said.returncode, said.stderr) == (code, err)


@pytest.mark.slow
def test_output_with_closed_streams_never_reaches_a_store_file(tmp_path: Path) -> None:
    """Without stdout the next file to be opened would get its number."""
    text = "from prunecheck.pruning import method\n\n@method\ndef loud(weights):\n    print('!' * 9999, flush=True)\n"
    plug = tiny.plugin(tmp_path, text + "    return {n: w.abs() for n, w in weights.items()}\n")
    study(tmp_path, methods=["loud"], plugins=[plug])
    said = through_a_shell("p run tiny.toml -q --workers 1 >&-", tmp_path)
    # what plug-ins print goes to stderr: whole lines of theirs, and no other word
    assert (said.returncode, set(said.stderr.splitlines())) == (0, {"!" * 9999})
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file() and b"!!!!" in path.read_bytes()]
