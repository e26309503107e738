"""Version, licences and commands agree between the files of the project."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from prunecheck import __version__
from tests.docs.blocks import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_citation_and_changelog_have_the_version_of_the_package() -> None:
    assert __version__ == PROJECT["version"]
    assert f"\nversion: {__version__}\n" in text("CITATION.cff")
    released = re.search(r"^date-released: \"(.*)\"$", text("CITATION.cff"), re.M)
    assert released is not None
    assert f"\n## {__version__} - {released[1]}\n" in text("CHANGELOG.md")


@pytest.mark.parametrize("workflow", ["ci.yml", "release.yml"])
def test_workflows_run_parts_of_the_ci_script(workflow: str) -> None:
    parts = set(re.findall(r"\.ci/run (\w+)", text(f".github/workflows/{workflow}")))
    assert {"lint", "tests"} <= parts
    for part in parts:
        assert re.search(rf"^#   \.ci/run {part}\b", text(".ci/run"), re.M), part


def test_ci_script_refuses_an_unknown_part_and_lists_the_known_ones() -> None:
    done = subprocess.run([ROOT / ".ci" / "run", "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert ".ci/run lowest" in done.stdout


def test_the_matrix_covers_every_python_that_is_promised() -> None:
    promised = {kind.rsplit(" ", 1)[1] for kind in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", kind)}
    (matrix,) = re.findall(r"python: \[(.*)\]", text(".github/workflows/ci.yml"))
    assert promised <= set(re.findall(r"3\.\d+", matrix))
    assert PROJECT["requires-python"] == f">={min(promised)}"
    assert set(re.findall(r"3\.\d+", matrix)) == set(
        re.findall(r"3\.\d+", text(".ci/run").partition("PYTHONS=")[2][:30])
    )
