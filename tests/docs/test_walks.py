"""Pages that are executed from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck.cli import main
from tests.docs.blocks import DOCS, ROOT, blocks
from tests.docs.walk import SLOW_WALKS, WALKS, compare, walk


class Cli:
    """The command line in this process; a failing command fails the test (except 1 and 4, which are verdicts)."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, words: list[str]) -> str:
        self.capsys.readouterr()
        code = main(words)
        printed = self.capsys.readouterr()
        assert code in ((0, 1, 4) if "--strict" in words else (0,)), f"{words} ended with {code}: {printed.err}"
        return printed.out


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNECHECK_HOME", str(tmp_path / "store"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("prunecheck.api.usable_cores", lambda: 1)  # processes take longer to start than all the rest
    return Cli(capsys)


@pytest.mark.parametrize("page", WALKS)
def test_page_can_be_executed_from_top_to_bottom(page: str, cli: Cli, tmp_path: Path) -> None:
    walk((DOCS / page).read_text(encoding="utf-8"), tmp_path, cli, WALKS[page])


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW_WALKS)
def test_page_that_trains_its_own_model_can_be_executed(page: str, cli: Cli, tmp_path: Path) -> None:
    walk((DOCS / page).read_text(encoding="utf-8"), tmp_path, cli, SLOW_WALKS[page])


@pytest.mark.long
def test_tutorial_output_equals_the_page(cli: Cli, tmp_path: Path) -> None:
    walk((DOCS / "tutorial.md").read_text(encoding="utf-8"), tmp_path, cli)


@pytest.mark.long
def test_demo_output_equals_the_readme(cli: Cli) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = [block for block in blocks(readme) if block.kind == "text"]
    compare(shown.text, cli(["demo"]))


def test_compare_ignores_numbers_and_detects_other_words() -> None:
    compare("time  about 29 s on 2 cores\n", "time about 1 min 3 s on 8 cores\nmore\n")
    with pytest.raises(AssertionError, match="prints 'snip  depends'"):
        compare("snip  does not depend\n", "snip  depends\n")
    with pytest.raises(AssertionError, match="nothing"):
        compare("one\ntwo\n", "one\n")


def test_failing_command_is_detected(cli: Cli, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ended with 2"):
        walk("```console\nprunecheck plan nowhere.toml\n```\n", tmp_path, cli)
    with pytest.raises(AssertionError, match="the page shows"):
        walk("```console\nprunecheck list recipes\n```\n\n```text\nsome words\n```\n", tmp_path, cli)
