"""The README's commands exist, its study loads, its words are the code's words."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from prunecheck.cli.main import main
from prunecheck.plugins import METHODS
from prunecheck.study import load_study

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Every ``prunecheck …`` line of every console block of every page."""
    found = []
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "console"):
            lines = [line.removeprefix("$ ").strip() for line in block.replace("\\\n", " ").splitlines()]
            found += [
                (page.name, line.removeprefix("uv run ")) for line in lines if re.match(r"(uv run )?prunecheck ", line)
            ]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_of_every_page_is_one(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line, comments=True)[1:]
    command = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word)]
    codes = [main([*command[:n], "--help"]) for n in range(len(command), 0, -1)]
    options = {word for word in words if word.startswith("--")}
    shown = capsys.readouterr().out
    assert 0 in codes, f"{page}: {line}"
    assert all(option.partition("=")[0] in shown for option in options), f"{page}: {line}"


def test_the_two_commands_are_the_ones_ci_runs() -> None:
    assert "uv run prunecheck demo" in TEXT
    assert "uv run pytest " in TEXT
    assert "\nuv run pytest\n" in (ROOT / ".ci" / "run").read_text()


def test_the_study_of_the_readme_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (study,) = blocks(TEXT, "toml")
    (plugin,) = [block for block in blocks(TEXT, "python") if block.startswith("# my_method.py")]
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
