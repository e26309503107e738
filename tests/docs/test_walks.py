"""The pages that are meant to be followed, followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck.cli import main
from tests.docs.blocks import DOCS, ROOT, blocks
from tests.docs.walk import WALKS, compare, walk


class Desk:
    """The desk in this process; a command that fails fails the test (but 1 and 4, which are verdicts)."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, words: list[str]) -> str:
        self.capsys.readouterr()
        code = main(words)
        said = self.capsys.readouterr()
        assert code in ((0, 1, 4) if "--strict" in words else (0,)), f"{words} ended with {code}: {said.err}"
        return said.out


@pytest.fixture
def desk(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNECHECK_HOME", str(tmp_path / "store"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("prunecheck.api.usable_cores", lambda: 1)  # processes take longer to start than all the rest
    return Desk(capsys)


@pytest.mark.parametrize("page", WALKS)
def test_a_page_can_be_followed(page: str, desk: Desk, tmp_path: Path) -> None:
    walk((DOCS / page).read_text(encoding="utf-8"), tmp_path, desk, WALKS[page])


@pytest.mark.long
def test_the_tutorial_says_what_it_shows(desk: Desk, tmp_path: Path) -> None:
    walk((DOCS / "tutorial.md").read_text(encoding="utf-8"), tmp_path, desk)


@pytest.mark.long
def test_the_demo_says_what_the_readme_shows(desk: Desk) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = [block for block in blocks(readme) if block.kind == "text"]
    compare(shown.text, desk(["demo"]))


def test_other_words_are_noticed_other_numbers_are_not() -> None:
    compare("time  about 29 s on 2 cores\n", "time about 1 min 3 s on 8 cores\nmore\n")
    with pytest.raises(AssertionError, match="says 'snip  depends'"):
        compare("snip  does not depend\n", "snip  depends\n")
    with pytest.raises(AssertionError, match="nothing"):
        compare("one\ntwo\n", "one\n")


def test_a_command_that_fails_is_noticed(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ended with 2"):
        walk("```console\nprunecheck plan nowhere.toml\n```\n", tmp_path, desk)
    with pytest.raises(AssertionError, match="the page shows"):
        walk("```console\nprunecheck list recipes\n```\n\n```text\nsome words\n```\n", tmp_path, desk)
