"""The README's commands exist, its study loads, its words are the code's words."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from docs._reference import filled

from prunecheck.cli.main import main
from prunecheck.pruning import METHODS
from prunecheck.study import load_study
from tests.docs.blocks import PAGES, ROOT, blocks, commands, name_of

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    (name_of(page), line)
    for page in PAGES
    for block in blocks(filled(page.read_text(encoding="utf-8")))
    if block.kind == "console"
    for line in commands(block.text)
]


def written(language: str) -> list[str]:
    return [block.text for block in blocks(TEXT) if block.kind == language]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_of_every_page_is_one(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word)]
    codes = [main([*command[:n], "--help"]) for n in range(len(command), 0, -1)]
    options = {word for word in words if word.startswith("--")}
    shown = capsys.readouterr().out
    assert 0 in codes, f"{page}: {line}"
    assert all(option.partition("=")[0] in shown for option in options), f"{page}: {line}"


def test_readme_names_the_demo_and_the_test_command_of_ci() -> None:
    assert "uv run prunecheck demo" in TEXT
    assert "`uv run pytest`" in TEXT
    assert "\nuv run pytest\n" in (ROOT / ".ci" / "run").read_text()


def test_the_study_of_the_readme_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (study,) = written("toml")
    (plugin,) = [block for block in written("python") if block.startswith("# my_method.py")]
    (tmp_path / "my_method.py").write_text(plugin)
    (tmp_path / "study.toml").write_text(study)
    monkeypatch.setattr("prunecheck.data.check", lambda _spec: None)
    loaded = load_study(tmp_path / "study.toml")
    assert [method.name for method in loaded.methods] == tomllib.loads(study)["methods"]


def test_the_table_of_tickets_says_what_the_methods_are() -> None:
    rows = [line.split("|")[1:-1] for line in TEXT.splitlines() if line.startswith("| `")]
    assert rows
    said = {"init": "init", "epoch k": "epoch", "trained": "nothing"}
    for names, _, _, when, start, trains in rows:
        for name in re.findall(r"`(\w+)`", names):
            method = METHODS.get(name)
            assert method.when == when.strip(), name
            assert method.rewind == said[start.strip()], name
            assert method.retrain == ("full" if trains.strip() == "in full" else "rest"), name


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere; the site's build looks at the headings they name."""
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", page.read_text(encoding="utf-8"))
    return [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "RELIABILITY.md", ROOT / "CHANGELOG.md"], ids=name_of)
def test_no_link_leads_nowhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](page.md#x) [b](nowhere.md) [c](#here) [d](https://e.org/f)")
    assert broken_links(page) == ["nowhere.md"]
