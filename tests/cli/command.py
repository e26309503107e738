"""The command line in this process and in a separate one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prunecheck.cli import main


@dataclass(frozen=True)
class Output:
    """What one command came to."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Cli:
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Output:
        code = main([str(argument) for argument in arguments])
        out, err = self.capsys.readouterr()
        return Output(code, out, err)


def run(*arguments: object, env: dict[str, str] | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
    """``prunecheck`` in a process of its own."""
    return python("import sys; from prunecheck.cli import main; sys.exit(main())", *arguments, env=env, **more)


def python(program: str, *arguments: object, env: dict[str, str] | None = None, **more: Any) -> Any:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})}, **more)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)
