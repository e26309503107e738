"""Study files on pages, whole or partial, load; shell blocks are valid syntax."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from prunecheck.errors import StudyError
from prunecheck.study import load_study
from tests.docs.blocks import PAGES, Block, blocks, name_of

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


def load(text: str, folder: Path, page: str) -> None:
    """Load *text*, completed where it is a part, beside the plug-in files that *page* shows."""
    for block in blocks(page):
        if block.kind == "python" and block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
    load_study({**BASE, **tomllib.loads(text)})


@pytest.mark.parametrize(("page", "block"), shown("toml"))
def test_study_blocks_of_pages_load(page: Path, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("prunecheck.data.check", lambda _spec: None)  # the data are elsewhere
    load(block.text, tmp_path, page.read_text("utf-8"))


def test_wrong_study_block_is_detected(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="sparsity"):
        load("sparsity = 0.9\n", tmp_path, "")
    with pytest.raises(StudyError, match=r"snap"):
        load('methods = ["snap"]\n', tmp_path, "")


@pytest.mark.parametrize(("page", "block"), shown("sh"))
def test_shell_blocks_are_valid_syntax(page: Path, block: Block) -> None:
    done = subprocess.run(["sh", "-n"], input=block.text, text=True, capture_output=True, check=False)
    assert not done.returncode, f"{name_of(page)}: {done.stderr}"
