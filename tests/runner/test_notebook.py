"""Progress and the report in IPython and Jupyter, with a stand-in for IPython."""

from __future__ import annotations

import re
import sys
import webbrowser
from contextlib import suppress
from html import unescape
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import prunecheck
from prunecheck.errors import StoreError
from prunecheck.runner import notebook
from prunecheck.runner.notebook import NotebookProgress, progress_for
from prunecheck.runner.progress import Progress
from prunecheck.study import Step
from tests.runner import tiny


class FrontEnd(list[dict[str, str]]):
    """Every state that was displayed, in order; ``update`` replaces the one before, and is recorded too."""

    def display(self, mime: dict[str, str], raw: bool = False, display_id: bool = False) -> FrontEnd | None:
        assert raw, "the front end would show the dictionary itself"
        self.append(mime)
        return self if display_id else None

    def update(self, mime: dict[str, str], raw: bool = False) -> None:
        self.display(mime, raw)

    @property
    def texts(self) -> list[str]:
        return [mime["text/plain"] for mime in self]


def ipython(monkeypatch: pytest.MonkeyPatch, shell: object) -> FrontEnd:
    front = FrontEnd()
    module, displays = ModuleType("IPython"), ModuleType("IPython.display")
    module.__dict__["get_ipython"] = lambda: shell
    displays.__dict__["display"] = front.display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return front


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch) -> FrontEnd:
    return ipython(monkeypatch, SimpleNamespace(kernel=object()))


def test_progress_is_silent_in_a_script_and_where_ipython_is_only_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert progress_for(None) == Progress(None)
    ipython(monkeypatch, None)
    assert progress_for(None) == Progress(None)
    assert not progress_for(None).shown


def test_progress_in_a_terminal_of_ipython_goes_to_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython(monkeypatch, SimpleNamespace())
    console = progress_for(None).console
    assert console is not None
    assert console.stderr


@pytest.mark.usefixtures("jupyter")
def test_a_console_that_was_given_is_used_in_a_notebook_too() -> None:
    console = Console(quiet=True)
    assert progress_for(console).console is console


def test_a_run_in_a_notebook_shows_a_bar_to_its_end(jupyter: FrontEnd, tmp_path: Path) -> None:
    folders: dict[str, Any] = {"store": tmp_path / "store", "folder": tmp_path / "out"}
    results = prunecheck.run(tiny.fields(), workers=1, **folders)
    total = len(results.ran)
    assert jupyter.texts[0].startswith(f"0/{total} steps · pretrainings 0/1 · trainings 0/2 · ")
    assert jupyter.texts[-1].startswith(f"{total}/{total} steps")
    assert jupyter.texts[-1].endswith("done")
    assert f'<progress value="{total}" max="{total}"' in jupyter[-1]["text/html"]
    jupyter.clear()
    prunecheck.run(tiny.fields(), workers=1, **folders)
    assert not jupyter, "nothing was left to do"


def test_bar_is_drawn_anew_at_most_every_half_second(jupyter: FrontEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(notebook, "time", SimpleNamespace(monotonic=lambda: now[0]))
    steps = [Step("train", {"n": n}) for n in range(10)]
    with NotebookProgress().phase(steps, lambda _: 1.0, 1) as tick:
        for step in steps:
            now[0] += 0.2
            tick(step, 0.2)
    assert [text.split(" ")[0] for text in jupyter.texts] == ["0/10", "3/10", "6/10", "9/10", "10/10"]


def test_interrupted_bar_says_stopped(jupyter: FrontEnd) -> None:
    steps = [Step("train", {"n": n}) for n in range(2)]
    with suppress(KeyboardInterrupt), NotebookProgress().phase(steps, lambda _: 9.0, 1) as tick:
        tick(steps[0], 9.0)
        raise KeyboardInterrupt
    assert jupyter.texts[-1] == "1/2 steps · trainings 1/2 · stopped"


def test_note_is_text_and_no_html(jupyter: FrontEnd) -> None:
    NotebookProgress().note("<script>alert(1)</script>")
    assert "<script" not in jupyter[0]["text/html"]


def test_show_puts_the_whole_page_below_the_cell(jupyter: FrontEnd, tmp_path: Path) -> None:
    results = tiny.run(tmp_path)
    results.show()
    (shown,) = jupyter
    frame = re.fullmatch(r'<iframe [^>]*sandbox="([^"]*)" srcdoc="([^"]*)"[^>]*></iframe>', shown["text/html"])
    assert frame is not None
    assert "allow-same-origin" not in frame[1]
    page = unescape(frame[2])
    base = '<base href="about:srcdoc">'
    assert page.index(base) < page.index("Content-Security-Policy")
    assert page.replace(base, "") == results.page.read_text(encoding="utf-8")
    assert shown["text/plain"] == f"Page: {results.page}"


def test_show_opens_the_browser_outside_a_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    results, opened = tiny.run(tmp_path), list[str]()

    def browser(there: bool) -> Any:
        return lambda url: [opened.append(url), there][1]

    monkeypatch.setattr(webbrowser, "open", browser(there=True))
    results.show()
    assert opened == [results.page.resolve().as_uri()]
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(webbrowser, "open", browser(there=False))
    results.show()
    assert capsys.readouterr().out == f"Page: {results.page}\n"
    results.page.unlink()
    with pytest.raises(StoreError):
        results.show()
