"""Listen to, or break, the operations that reach the disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prunecheck.store import durable


def log_operations(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    log: list[tuple[str, Any]] = []
    real = durable._act

    def act(operation: str, call: Callable[..., Any], *args: Any) -> Any:
        result = real(operation, call, *args)
        log.append((operation, args[0].name if isinstance(args[0], Path) else None))
        return result

    monkeypatch.setattr(durable, "_act", act)
    return log


def break_operation(monkeypatch: pytest.MonkeyPatch, operation: str, code: int, after: bool = False) -> None:
    real = durable._act

    def act(op: str, call: Callable[..., Any], *args: Any) -> Any:
        if op == operation:
            if after:
                real(op, call, *args)
            raise OSError(code, os.strerror(code))
        return real(op, call, *args)

    monkeypatch.setattr(durable, "_act", act)
