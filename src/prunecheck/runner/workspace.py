"""The store and the results folder of a study."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from prunecheck.store import Store


@dataclass(frozen=True)
class Workspace:
    """``store`` holds artefacts and is shared between studies, ``folder`` gets the results of one study.

    ``folder`` becomes absolute at once: a plug-in that changes the working directory must not move the results.
    """

    store: Store
    folder: Path
    given: Path = field(init=False, repr=False, compare=False)
    """the folder as it was given, for messages"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", Path(self.folder))
        object.__setattr__(self, "folder", Path.cwd() / self.folder)

    def shown(self, path: Path) -> Path:
        """*path* in ``folder`` as the user would write it."""
        return self.given / path.relative_to(self.folder)


def default_store() -> Path:
    """$PRUNECHECK_HOME, else the user's cache folder for this platform."""
    home = os.environ.get("PRUNECHECK_HOME")
    if home:
        return Path(home).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("prunecheck") / "store"
