"""``python -m prunecheck`` is the command line."""

from __future__ import annotations

import subprocess
import sys

import prunecheck


def test_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "prunecheck", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == prunecheck.__version__
