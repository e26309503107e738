"""Where things are kept when nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path


def default_store() -> Path:
    """$PRUNECHECK_HOME, else the user's cache folder for this platform."""
    home = os.environ.get("PRUNECHECK_HOME")
    if home:
        return Path(home).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("prunecheck") / "store"
