"""External models: factories by reference, in files, and the two optional packages (stood in for)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from prunecheck.errors import ModelError
from prunecheck.models import build
from prunecheck.source import module_name

FACTORIES = """
from dataclasses import dataclass
import torch

@dataclass
class Options:
    width: int = 4

def net(num_classes, image_size):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * image_size**2, num_classes))

def greedy(**shape):
    return torch.nn.Linear(shape["in_channels"], shape["num_classes"])

def fixed():
    return torch.nn.Linear(1, 10)

def not_a_net():
    return 7

def broken():
    raise RuntimeError("no luck today")

number = 7
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_nets.py"
    path.write_text(FACTORIES)
    return path


def test_a_factory_in_a_file_gets_what_its_signature_accepts(file: Path) -> None:
    model = build(f"{file}:net", num_classes=7, image_size=8)
    assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 7)
    assert isinstance(build(f"{file}:fixed", num_classes=7), nn.Linear)
    greedy = build(f"{file}:greedy", num_classes=7, in_channels=2)
    assert greedy(torch.zeros(1, 2)).shape == (1, 7)


def test_a_factory_in_a_module() -> None:
    model = build("prunecheck.models.small:convnet", num_classes=4, in_channels=1, image_size=8)
    assert model(torch.zeros(1, 1, 8, 8)).shape == (1, 4)


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("nte", "Did you mean 'net'"),
        ("number", "no callable 'number'"),
        ("", "no callable ''"),
        ("not_a_net", "returned int, not a torch.nn.Module"),
        ("broken", "'broken' failed: RuntimeError: no luck today"),
    ],
)
def test_bad_factory_is_refused_by_name(file: Path, attribute: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(f"{file}:{attribute}", num_classes=10)


def test_missing_or_broken_model_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.py does not exist"):
        build(f"{tmp_path / 'absent.py'}:net", num_classes=10)
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(ModelError, match=r"bad\.py failed: ZeroDivisionError"):
        build(f"{tmp_path / 'bad.py'}:net", num_classes=10)
    assert not [name for name in sys.modules if name.startswith(module_name(tmp_path / "bad.py", "prunecheck_model"))]


@pytest.mark.parametrize("name", ["no.such.module:net", ":net", "no such:net"])
def test_a_module_that_cannot_be_imported_is_named(name: str) -> None:
    with pytest.raises(ModelError, match="cannot be imported"):
        build(name, num_classes=10)


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_a_missing_optional_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelError, match=r"prunecheck\[vision\]"):
        build(f"{package}:resnet18", num_classes=10)


def stand_in(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Replace both packages by recorders of what they are asked for."""
    calls: list[dict[str, object]] = []

    def make(**arguments: object) -> nn.Module:
        calls.append(arguments)
        return nn.Linear(1, 1)

    library = SimpleNamespace(list_models=lambda: ["resnet18", "vgg11"], get_model=make, create_model=make)
    torchvision = ModuleType("torchvision")
    for name, module in {"torchvision": torchvision, "torchvision.models": library, "timm": library}.items():
        monkeypatch.setitem(sys.modules, name, module)
    return calls


def test_optional_packages_are_asked_for_untrained_models(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = stand_in(monkeypatch)
    build("torchvision:resnet18", num_classes=10)
    build("timm:vgg11", num_classes=5, in_channels=1)
    assert calls == [
        {"name": "resnet18", "weights": None, "num_classes": 10},
        {"model_name": "vgg11", "num_classes": 5, "in_chans": 1},
    ]


@pytest.mark.parametrize("package", ["torchvision", "timm"])
def test_unknown_library_model_suggests_the_nearest_name(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    with pytest.raises(ModelError, match=f"not a model of {package}. Did you mean 'resnet18'"):
        build(f"{package}:resnet81", num_classes=10)


def test_torchvision_models_take_colour_only(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch)
    with pytest.raises(ModelError, match="images of 3 channels; these have 1"):
        build("torchvision:resnet18", num_classes=10, in_channels=1)
