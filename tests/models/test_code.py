"""Somebody else's network is known by its code, ours by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck import models
from prunecheck.errors import ModelError
from prunecheck.models.code import file_of

NET = "import torch\n\ndef make(num_classes):\n    return torch.nn.Linear(64, num_classes)\n"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models.look_in(Path())


@pytest.mark.parametrize("name", ["convnet", "resnet20", "resnet20_w32"])
def test_ours_need_no_code(name: str) -> None:
    assert models.code_of(name) is None


def test_a_file_is_what_it_does_not_how_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET)
    first = models.code_of("net.py:make")
    path.write_text("# a remark\n" + NET.replace("64, num", "64,  num"))
    assert models.code_of("net.py:make") == first
    path.write_text(NET.replace("64", "32"))
    assert models.code_of("net.py:make") != first


def test_the_studys_folder_comes_first_then_the_current_one(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "net.py").write_text(NET)
    models.look_in(tmp_path / "study")
    assert file_of("net.py:make") == tmp_path / "net.py"
    (tmp_path / "study" / "net.py").write_text(NET)
    assert file_of("net.py:make") == tmp_path / "study" / "net.py"
    assert file_of(f"{tmp_path / 'net.py'}:make") == tmp_path / "net.py"


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    models.look_in(tmp_path / "study")
    with pytest.raises(ModelError, match="does not exist") as error:
        models.code_of("net.py:make")
    assert str(tmp_path / "study") in str(error.value)


def test_what_is_not_python_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def make(:")
    with pytest.raises(ModelError, match=r"net\.py is not Python"):
        models.code_of("net.py:make")


def test_modules_and_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    code = models.code_of("my_nets:make")
    assert code is not None
    (tmp_path / "my_nets.py").write_text(NET.replace("64", "32"))
    assert models.code_of("my_nets:make") != code
    assert models.code_of("numpy.no_such_thing:make") is not None
    assert str(models.code_of("torchvision:resnet18")).startswith("torchvision")
