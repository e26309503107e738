"""Study files on pages, whole or partial, load; shell blocks are valid syntax."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from prunecheck.errors import StudyError
from prunecheck.runner.preflight import preflight
from prunecheck.study import AnyStudy, load_study
from tests.docs.blocks import PAGES, ROOT, Block, blocks, name_of

WHICH = "docs/which-method.md"

BASE = {
    "model": "convnet",
    "data": "digits",
    "methods": ["snip"],
    "checks": ["layerwise_rearrange"],
    "sparsities": [0.9],
}


def shown(*kinds: str) -> list[Any]:
    """Every block of these kinds of every page, as a pytest parameter."""
    found = [(page, block) for page in PAGES for block in blocks(page.read_text("utf-8")) if block.kind in kinds]
    return [pytest.param(page, block, id=f"{name_of(page)}:{block.line}") for page, block in found]


def load(text: str, folder: Path, page: str) -> AnyStudy:
    """*text* as a study, completed where it is a part, beside the plug-in files that *page* shows."""
    for block in blocks(page):
        if block.kind == "python" and block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
    fields = tomllib.loads(text)
    if fields.get("task") == "language_model":
        for file, words in (
            ("calibration.jsonl", "one two"),
            ("evaluation.jsonl", "three four"),
        ):  # the page writes them
            lines = [json.dumps({"text": word}) for word in words.split()]
            (folder / file).write_text("\n".join(lines), encoding="utf-8")
        (folder / "tiny_lm.safetensors").write_bytes(b"")
        return load_study(fields)
    return load_study({**BASE, **fields})


@pytest.mark.parametrize(("page", "block"), shown("toml"))
def test_study_blocks_of_pages_load(page: Path, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("prunecheck.data.check", lambda _spec: None)  # the data are elsewhere
    load(block.text, tmp_path, page.read_text("utf-8"))


def plugin_studies() -> list[Any]:
    """The study blocks with plug-ins of the page that shows a plug-in for every kind of method."""
    return [one for one in shown("toml") if name_of(one.values[0]) == WHICH and "plugins" in one.values[1].text]


@pytest.mark.parametrize(("page", "block"), plugin_studies())
def test_plugins_of_the_page_on_kinds_of_methods_work_when_they_are_called(
    page: Path, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert preflight(load(block.text, tmp_path, page.read_text("utf-8"))) > 0


def test_every_plugin_of_the_page_on_kinds_of_methods_is_in_a_study() -> None:
    page = (ROOT / WHICH).read_text("utf-8")
    named = {name for one in plugin_studies() for name in tomllib.loads(one.values[1].text)["plugins"]}
    files = [block for block in blocks(page) if block.kind == "python" and block.file]
    assert named == {block.file for block in files if "@method" in block.text}
    assert "gates.py" in named


def test_wrong_study_block_is_detected(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="sparsity"):
        load("sparsity = 0.9\n", tmp_path, "")
    with pytest.raises(StudyError, match=r"snap"):
        load('methods = ["snap"]\n', tmp_path, "")


@pytest.mark.parametrize(("page", "block"), shown("sh"))
def test_shell_blocks_are_valid_syntax(page: Path, block: Block) -> None:
    done = subprocess.run(["sh", "-n"], input=block.text, text=True, capture_output=True, check=False)
    assert not done.returncode, f"{name_of(page)}: {done.stderr}"
