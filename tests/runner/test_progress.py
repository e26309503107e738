from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from prunecheck.runner import progress
from prunecheck.runner.progress import Progress
from prunecheck.study import Step


def steps(count: int) -> list[Step]:
    return [Step("train", {"n": n}, title=f"train · [bold]snip\x1b[2J · {n}") for n in range(count)]


def watched(console: Console | None, count: int) -> None:
    todo = steps(count)
    with Progress(console).phase(todo, lambda _: 10.0, 2) as tick:
        for step in todo:
            tick(step, 9.0)


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    heard = io.StringIO()
    return Console(file=heard, force_terminal=terminal, width=100, color_system=None), heard


def test_silent() -> None:
    watched(None, 3)
    Progress(None).note("nobody hears this")


def test_without_a_terminal_one_line_at_the_end_of_a_short_phase() -> None:
    out, heard = console(terminal=False)
    watched(out, 3)
    assert heard.getvalue() == "3/3 steps, done\n"


def test_without_a_terminal_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", -1.0)
    out, heard = console(terminal=False)
    watched(out, 3)
    lines = heard.getvalue().splitlines()
    assert lines == [
        "1/3 steps, trainings 1/3, about 10 s left",
        "2/3 steps, trainings 2/3, about 5 s left",
        "3/3 steps, done",
    ]


def test_nothing_to_do_says_nothing() -> None:
    for terminal in (True, False):
        out, heard = console(terminal)
        watched(out, 0)
        assert heard.getvalue() == ""


def test_on_a_terminal_a_bar_that_is_gone_afterwards() -> None:
    out, heard = console(terminal=True)
    watched(out, 3)
    shown = heard.getvalue()
    assert "3/3" in shown
    assert "trainings 3/3" in shown
    assert "\x1b[2J" not in shown
    assert shown.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))  # the line is erased, the cursor is back


def test_bar_of_a_healthy_run_is_not_red() -> None:
    heard = io.StringIO()
    out = Console(file=heard, force_terminal=True, color_system="truecolor", width=80)
    todo = steps(4)
    with progress._KindsBar(progress.Tally(todo, lambda _: 1.0, 1), out) as bar:
        bar.add_task("", total=4, completed=2)
        bar.refresh()
    assert "━" in heard.getvalue()
    assert "38;2;249;38;114" not in heard.getvalue()


def test_a_note_is_one_line_whatever_is_in_it() -> None:
    out, heard = console(terminal=False)
    Progress(out).note("[red]mine\x1b[2J\nand more")
    assert heard.getvalue() == "[red]mine\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}and more\n"


def test_a_terminal_that_can_do_nothing_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out, heard = console(terminal=True)
    watched(out, 3)
    assert heard.getvalue() == "3/3 steps, done\n"


@pytest.mark.parametrize("width", [20, 40, 100])
def test_no_line_is_longer_than_the_terminal_is_wide(width: int) -> None:
    heard = io.StringIO()
    kinds = ["pretrain", "score", "mask", "corrupt", "compare", "train"]
    todo = [Step(kind, {"n": n}, title=f"{kind} · 字字字字字字 · {n}") for kind in kinds for n in range(150)]  # type: ignore[arg-type]
    shown = Progress(Console(file=heard, force_terminal=True, width=width, color_system=None))
    with shown.phase(todo, lambda _: 100.0, 1) as tick:
        shown.running(todo[:9])
        tick(todo[0], 1.0)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", heard.getvalue()).replace("\r", "\n").split("\n")
    assert width < 40 or any("1/900" in line for line in lines)
    assert max(map(len, lines)) <= width


def test_kinds_are_shown_as_far_as_they_fit() -> None:
    parts = ["trainings 3/9", "masks 4/6", "scores 1/2"]
    assert progress.fitting(parts, 100) == "trainings 3/9 · masks 4/6 · scores 1/2"
    assert progress.fitting(parts, 30) == "trainings 3/9 · masks 4/6"
    assert progress.fitting(parts, 5) == ""


def test_a_step_that_is_made_again_is_counted_when_it_is_done() -> None:
    todo = steps(2)
    tally = progress.Tally(todo, lambda _: 1.0, 1)
    for step in (*todo, todo[0]):
        tally.add(step)
    assert (tally.finished, tally.total, tally.kinds) == (3, 3, ["trainings 3/3"])


def test_the_time_left_follows_the_pace_once_it_is_known_and_runs_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    todo = steps(5)
    tally = progress.Tally(todo, lambda _: 20.0, 2)
    assert tally.left == "about 50 s left"
    now = 1.0
    assert tally.left == "about 50 s left"  # nothing is done yet: workers may still be starting
    tally.add(todo[0])
    assert tally.left == "about 40 s left"  # too early to know better
    now = 40.0
    tally.add(todo[1])
    assert tally.left == "about 1 min 0 s left"  # 40 of 100 in 40 s: slower than expected
    now = 50.0
    assert tally.left == "about 50 s left"
    now = 500.0
    assert tally.left == "longer than estimated"
    for step in todo[2:]:
        tally.add(step)
    now = 600.0
    assert tally.left == "about 0 s left"


def test_bar_names_the_running_steps() -> None:
    heard = io.StringIO()
    shown = Progress(Console(file=heard, force_terminal=True, width=60, color_system=None))
    first, second = Step("train", {"n": 1}, title="train · snip · 90%"), Step("mask", {}, title="mask · \x1b[2J · 98%")
    shown.running([first])  # before anything is to be done
    with shown.phase([first, second], lambda _: 10.0, 2) as tick:
        shown.running([first, second])
        tick(first, 1.0)
    assert "now: train · snip · 90%, mask" in heard.getvalue()
    assert "\x1b[2J" not in heard.getvalue()


def test_bar_has_no_line_of_running_steps_where_none_is_running() -> None:
    tally = progress.Tally(steps(2), lambda _: 1.0, 1)
    bar = progress._KindsBar(tally, Console(file=io.StringIO(), width=60))
    assert len(list(bar.get_renderables())) == 2
    tally.running = ["train · snip"]
    assert len(list(bar.get_renderables())) == 3


def test_running_steps_that_do_not_fit_are_counted() -> None:
    titles = ["train · a", "train · b", "train · c"]
    assert progress.named(titles, 60) == "now: train · a, train · b, train · c"
    assert progress.named(titles, 36) == "now: train · a, train · b, train · c"
    assert progress.named(titles, 35) == "now: train · a and 2 more"
    assert progress.named(titles, 5) == "now: train · a and 2 more"
