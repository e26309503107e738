"""What this machine offers, in one table: for a first look, and for reports of bugs."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from prunecheck.cli.console import print_columns, print_json

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def doctor(*, torch: Flag = False, store: Path | None = None, json: Flag = False) -> None:
    """Show versions, cores, the store and its disk, and which optional parts are there.

    Example: prunecheck doctor --torch

    Parameters
    ----------
    torch
        Also load torch, which takes seconds, and ask it for devices.
    store
        The store to look at (default: $PRUNECHECK_HOME or the user's cache).
    json
        Print one JSON document instead.
    """
    facts = {**_software(), **_machine(store)}
    if torch:
        facts |= _devices()
    if json:
        print_json({"schema_version": 1, **facts})
    else:
        print_columns(list(facts.items()))


def _software() -> dict[str, str]:
    optional = {
        "numba": "no sparse backend",
        "pyarrow": "no parquet data sets",
        "torchvision": "no torchvision: models",
        "timm": "no timm: models",
    }
    browser = next((name for name in BROWSERS if shutil.which(name)), None)
    return {
        "prunecheck": _version("prunecheck") or "run from its source",
        "python": platform.python_version(),
        "torch": _version("torch") or "missing",
        "numpy": _version("numpy") or "missing",
        **{name: _version(name) or f"not installed ({without})" for name, without in optional.items()},
        "browser": browser or "none found (only the tests of the report's page use one)",
    }


def _machine(store: Path | None) -> dict[str, str]:
    from prunecheck.api import usable_cores
    from prunecheck.cli.cache import opened
    from prunecheck.store import sizes
    from prunecheck.text import byte_size

    found = opened(store)
    held = sizes(found)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(usable_cores()),
        "store": str(found.root),
        "store holds": f"{held.artefacts} artefacts, {byte_size(held.artefact_bytes)}",
        "free on its disk": byte_size(found.free_bytes()),
    }


def _devices() -> dict[str, str]:
    import torch

    if not torch.cuda.is_available():
        return {"devices": "cpu"}
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"devices": ", ".join(["cpu", *(f"cuda:{i} ({name})" for i, name in enumerate(names))])}


def _version(package: str) -> str | None:
    """Its installed version, without importing it."""
    if find_spec(package) is None:
        return None
    try:
        return version(package)
    except PackageNotFoundError:
        return None
