"""Completion, tried in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from prunecheck.pruning import CHECKS, METHODS
from tests.cli.command import Cli

BASH = """
source "$1"
complete -p prunecheck >/dev/null || exit 9
shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_prunecheck
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command on the path, as it is where prunecheck is installed."""
    script = tmp_path / "bin" / "prunecheck"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom prunecheck.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")


def completed(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of *words*."""
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", str(script), "prunecheck", *words], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return {line for line in done.stdout.splitlines() if line}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.usefixtures("bin_")
def test_completion_in_bash(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(cli("completion", "bash").out)
    (tmp_path / "mine.toml").touch()
    assert {"run", "report"} == completed(script, "r")
    assert {"status"} == completed(script, "st")
    assert {"gc"} == completed(script, "cache", "g")
    assert {"methods", "models"} == completed(script, "list", "m")
    assert "mine.toml" in completed(script, "run", "mi")
    assert {"--workers"} == completed(script, "run", "mine.toml", "--w")
    assert "--watch" in completed(script, "status", "mine.toml", "--")
    assert {"official", "open_lth"} == completed(script, "presets", "show", "o")
    assert {"demo"} == completed(script, "init", "x.toml", "--template", "dem")
    assert set(METHODS.names()) == completed(script, "ticket", "resnet8", "--method", "")
    checks = completed(script, "arms", "m.pt", "--checks", "reinit,layerwise_r")
    assert {check.replace("\\", "") for check in checks} == {"reinit,layerwise_rearrange"}
    assert "layerwise_rearrange" in CHECKS.names()
    assert completed(script, "presets", "show", "$(touch gone)") == set()
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_in_other_shells(cli: Cli, tmp_path: Path, shell: str) -> None:
    said = cli("completion", shell)
    assert (said.code, said.err) == (0, "")
    assert "prunecheck" in said.out
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: its script was written, not tried")
    script = tmp_path / "script"
    script.write_text(said.out)
    assert subprocess.run([shell, "-n", script]).returncode == 0


def test_completion_uses_the_users_shell_by_default(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert cli("completion").out == cli("completion", "bash").out
    for shell, says in (("/bin/tcsh", "'tcsh' is not a shell"), ("", "Name one: prunecheck completion bash")):
        monkeypatch.setenv("SHELL", shell)
        said = cli("completion")
        assert (said.code, says in said.err) == (2, True)
    said = cli("completion", "fsh")
    assert (said.code, "fish" in said.err) == (2, True)


def test_completion_is_installed_where_shells_look(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    said = cli("completion", "bash", "--install")
    assert said.code == 0
    path = Path(said.err.split(" written.")[0])
    assert home in path.parents
    assert path.read_text() == cli("completion", "bash").out
    shutil.rmtree(home)
    home.touch()
    said = cli("completion", "bash", "--install")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
