"""The command line starts fast: nothing slow is imported before it is needed."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import python
from tests.cli.test_results import table
from tests.statistics.makers import full
from tests.study.studies import BASE_TOML, write

PROGRAM = """
import contextlib, io, sys
from prunecheck.cli import main
def tell(*words):
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(list(words)) == 0, words
def absent(*modules):
    loaded = [module for module in modules if module in sys.modules]
    assert not loaded, loaded
"""
HEAVY = "'torch', 'numpy', 'pydantic', 'scipy', 'matplotlib', 'jinja2', 'PIL', 'sklearn'"


def test_help_and_version_import_nothing_heavy() -> None:
    program = f"{PROGRAM}absent('rich', {HEAVY})\ntell('--version')\ntell('--help')\ntell('run', '--help')\n"
    done = python(program + f"absent('rich.markdown', 'markdown_it', {HEAVY})")
    assert (done.returncode, done.stderr) == (0, "")


def test_list_does_not_import_numpy() -> None:
    program = PROGRAM
    for kind in ("methods", "checks", "models", "datasets", "allocations", "presets", "recipes", "studies"):
        program += f"tell('list', '{kind}')\n"
    done = python(program + f"absent('rich', {HEAVY})")
    assert (done.returncode, done.stderr) == (0, "")


def test_plan_does_not_import_statistics_or_drawing(tmp_path: Path) -> None:
    program = PROGRAM + "tell('plan', sys.argv[1])\nabsent('torch', 'scipy', 'rich', 'jinja2', 'matplotlib')"
    done = python(program, write(tmp_path, BASE_TOML), env={"PRUNECHECK_HOME": str(tmp_path / "store")})
    assert (done.returncode, done.stderr) == (0, "")


def test_reading_the_state_of_a_run_imports_no_statistics_or_drawing() -> None:
    program = PROGRAM + "import prunecheck.runner.status\nabsent('torch', 'scipy', 'jinja2', 'matplotlib')"
    done = python(program)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_without_networks_do_not_import_torch(tmp_path: Path) -> None:
    study, results = write(tmp_path, BASE_TOML), table(tmp_path, full(snip=0.0))
    program = PROGRAM + "study, results, out = sys.argv[1:]\n"
    for kind in ("methods", "checks", "models", "datasets", "allocations", "presets", "recipes"):
        program += f"tell('list', '{kind}')\n"
    program += "tell('schema')\ntell('status', study)\ntell('completion', 'bash')\n"
    program += "tell('plan', study, '--json')\ntell('plan', study, '--set', 'seeds=auto')\n"
    program += "tell('verdict', results, '--json')\nabsent('torch', 'matplotlib')\n"
    program += "tell('verdict', results, '--out', out)\nabsent('torch')\n"
    done = python(program, study, results, tmp_path / "out", env={"PRUNECHECK_HOME": str(tmp_path / "store")})
    assert done.returncode == 0, done.stderr
