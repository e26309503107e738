"""The commands of the pages exist, the README's study loads, and links lead to files."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from docs._reference import filled

from prunecheck.cli.main import main
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
def test_every_command_on_a_page_exists(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
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
    lines = [line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    assert "uv run pytest" in lines


def test_readme_study_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (study,) = written("toml")
    (plugin,) = [block for block in written("python") if block.startswith("# my_method.py")]
    (tmp_path / "my_method.py").write_text(plugin)
    (tmp_path / "study.toml").write_text(study)
    monkeypatch.setattr("prunecheck.data.check", lambda _spec: None)
    loaded = load_study(tmp_path / "study.toml")
    assert [method.name for method in loaded.methods] == tomllib.loads(study)["methods"]


def broken_links(page: Path) -> list[str]:
    """The relative links of a page whose file is missing; the site's build checks the headings they name."""
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", page.read_text(encoding="utf-8"))
    return [target for target in targets if not (page.parent / target).exists()]


def test_package_table_lists_the_folders_of_the_source() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"## Packages\n(.*?)\n## ", text, re.S)
    named = {name for row in re.findall(r"^\| (`.*?`) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert named == {folder.parent.name for folder in (ROOT / "src" / "prunecheck").glob("*/__init__.py")}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "RELIABILITY.md", ROOT / "CHANGELOG.md"], ids=name_of)
def test_no_broken_relative_links(page: Path) -> None:
    assert broken_links(page) == []


def test_broken_link_is_detected(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](page.md#x) [b](nowhere.md) [c](#here) [d](https://e.org/f)")
    assert broken_links(page) == ["nowhere.md"]
