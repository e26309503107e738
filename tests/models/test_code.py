"""The code of external networks, which is part of every key."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

import prunecheck
from prunecheck import models
from prunecheck.errors import ModelError
from prunecheck.models.external import file_of

NET = "import torch\n\ndef make(num_classes):\n    return torch.nn.Linear(64, num_classes)\n"

STUDY = """
model = "net.py:make"
methods = ["snip"]
checks = ["random_labels"]
sparsities = [0.5]
[data]
name = "digits"
"""


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["convnet", "resnet20", "resnet20_w32"])
def test_networks_of_the_package_have_no_code(name: str) -> None:
    assert models.code_of(name) is None


def test_code_of_a_file_ignores_comments_and_layout(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NET)
    first = models.code_of("net.py:make")
    path.write_text("# a remark\n" + NET.replace("64, num", "64,  num"))
    assert models.code_of("net.py:make") == first
    path.write_text(NET.replace("64", "32"))
    assert models.code_of("net.py:make") != first


def test_model_file_is_looked_for_in_the_study_folder_then_in_the_current_one(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "net.py").write_text(NET)
    study = tmp_path / "study"
    assert file_of("net.py:make", study) == tmp_path / "net.py"
    (study / "net.py").write_text(NET)
    assert file_of("net.py:make", study) == study / "net.py"
    assert file_of("net.py:make") == tmp_path / "net.py"
    assert file_of(f"{tmp_path / 'net.py'}:make", study) == tmp_path / "net.py"


def test_missing_model_file_names_the_folders_searched(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist") as error:
        models.code_of("net.py:make", tmp_path / "study")
    assert str(tmp_path / "study") in str(error.value)


def test_model_file_that_is_not_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def make(:")
    with pytest.raises(ModelError, match=r"net\.py is not Python"):
        models.code_of("net.py:make")


def test_code_of_modules_and_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    code = models.code_of("my_nets:make")
    assert code is not None
    (tmp_path / "my_nets.py").write_text(NET.replace("64", "32"))
    assert models.code_of("my_nets:make") != code
    assert models.code_of("numpy.no_such_thing:make") is not None
    assert str(models.code_of("torchvision:resnet18")).startswith("torchvision")


def width(name: str, folder: Path | None = None, code: str | None = None) -> int:
    layer = models.build(name, 10, folder=folder, code=code)
    assert isinstance(layer, torch.nn.Linear)
    return layer.in_features


def test_two_folders_do_not_share_a_model_file_of_one_name(tmp_path: Path) -> None:
    for folder, size in (("a", 32), ("b", 16)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(NET.replace("64", str(size)))
    (tmp_path / "net.py").write_text(NET)
    assert [width("net.py:make", tmp_path / "a"), width("net.py:make", tmp_path / "b"), width("net.py:make")] == [
        32,
        16,
        64,
    ]


def test_plan_of_a_study_in_another_folder_does_not_change_what_a_model_file_means(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "net.py").write_text(NET.replace("64", "32"))
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "a" / "s.toml").write_text(STUDY)
    prunecheck.plan(tmp_path / "a" / "s.toml")
    assert prunecheck.counts("net.py:make", 0.5, allocate="uniform")[0][1] == 640


def test_model_file_edited_since_its_code_was_taken_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    code = models.code_of("net.py:make")
    assert width("net.py:make", code=code) == 64
    (tmp_path / "net.py").write_text(NET.replace("64", "32"))
    assert width("net.py:make") == 32
    with pytest.raises(ModelError, match="its code changed since the study was planned"):
        width("net.py:make", code=code)


@pytest.mark.parametrize("start", ["from blocks", "from .blocks", "from lib.blocks"])
def test_helper_module_of_a_model_file_is_importable_and_part_of_its_code(tmp_path: Path, start: str) -> None:
    (tmp_path / "lib").mkdir()

    def write(side: int) -> None:
        for path in (tmp_path / "blocks.py", tmp_path / "lib" / "blocks.py"):
            path.write_text(f"SIDE = {side}\n")

    write(64)
    (tmp_path / "net.py").write_text(f"{start} import SIDE\n{NET.replace('64', 'SIDE')}")
    code = models.code_of("net.py:make")
    assert width("net.py:make", code=code) == 64
    write(32)
    assert models.code_of("net.py:make") != code
    assert width("net.py:make") == 32
    with pytest.raises(ModelError, match="its code changed"):
        width("net.py:make", code=code)


def test_importable_module_edited_after_its_import_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "my_nets_of_the_test.py"
    path.write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    assert width("my_nets_of_the_test:make") == 64
    path.write_text(NET.replace("64", "320"))
    with pytest.raises(ModelError, match="its code changed after Python imported it"):
        width("my_nets_of_the_test:make")
    importlib.invalidate_caches()
    importlib.reload(sys.modules["my_nets_of_the_test"])
    assert width("my_nets_of_the_test:make") == 320


def test_code_of_an_installed_module_holds_its_version() -> None:
    assert str(models.code_of("rich.console:Console")).startswith("rich ")
