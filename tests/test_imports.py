"""The command line lists methods, checks, models and data without loading torch, which takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from prunecheck.study.toml import to_toml

from .runner import tiny

PACKAGES = [
    "pruning",
    "pruning.methods",
    "pruning.checks",
    "pruning.allocations",
    "data",
    "models",
    "study",
    "statistics",
    "cli",
]


@pytest.mark.parametrize("package", PACKAGES)
def test_package_import_does_not_import_torch(package: str) -> None:
    program = f"import sys, prunecheck.{package}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_listing_every_plugin_does_not_import_torch() -> None:
    program = (
        "import sys; from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS;"
        "print(len(METHODS.names() + CHECKS.names() + ALLOCATIONS.names()) > 15, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("package", [*PACKAGES[:6], "reporting", "statistics"])
def test_package_import_does_not_import_numpy(package: str) -> None:
    program = f"import sys, prunecheck.{package}; print({{'numpy', 'scipy', 'rich', 'jinja2'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_import_does_not_look_up_versions() -> None:
    program = "import sys, prunecheck; print('importlib.metadata' in sys.modules); print(prunecheck.__version__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, version = done.stdout.split()
    assert before == "False"
    assert version[0].isdigit()


def test_a_study_does_not_import_the_compiler_of_torch(tmp_path: Path) -> None:
    """It takes longer than torch itself, in every process and in every slot of a cluster."""
    (tmp_path / "s.toml").write_text(to_toml(tiny.study()))
    program = (
        "import sys, prunecheck.cli as cli\n"
        "code = cli.main(['run', 's.toml', '--workers', '1', '--store', 'store', '--out', 'out', '--quiet'])\n"
        "print(code, 'torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-3:] == ["0", "True", "False"], done.stderr
