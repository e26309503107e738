"""Memory of this process. Linux can forget an earlier peak (``clear_refs``); elsewhere the answers are nan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def extra_mib(work: Callable[[], object]) -> float:
    """Highest resident memory during *work* minus what was resident before it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmRSS")
        result = work()
        peak = _resident("VmHWM")
    except OSError:
        return float("nan")
    del result
    return (peak - before) / 1024


def resident_mib() -> float:
    """What is resident now."""
    try:
        return _resident("VmRSS") / 1024
    except OSError:
        return float("nan")


def _resident(field: str) -> int:
    """KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise OSError(f"this system does not report {field}")
