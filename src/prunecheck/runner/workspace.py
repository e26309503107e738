"""Where the results of a study and its artefacts are kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from prunecheck.store import Store


@dataclass(frozen=True)
class Workspace:
    """Where a study lives: ``store`` holds artefacts and is shared between studies, ``folder`` gets the results."""

    store: Store
    folder: Path


def default_store() -> Path:
    """$PRUNECHECK_HOME, else the user's cache folder for this platform."""
    home = os.environ.get("PRUNECHECK_HOME")
    if home:
        return Path(home).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("prunecheck") / "store"
