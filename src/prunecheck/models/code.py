"""Whose code a network from outside is: where its file lies, and what goes into keys. Torch-free.

A network of ours is known by its name and the package's promise to keep it; anybody else's may change under its name.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from prunecheck.errors import ModelError
from prunecheck.source import fingerprint_source
from prunecheck.text import printable, printable_path

LIBRARIES = ("torchvision", "timm")
_folder = Path()


def look_in(folder: Path) -> None:
    """From now on ``file.py:attr`` is looked for in *folder*, the study's, before the current one."""
    global _folder
    _folder = folder


def file_of(name: str) -> Path:
    """The file behind ``file.py:attr``. Raises ModelError where there is none."""
    written = Path(name.rpartition(":")[0]).expanduser()
    for place in (_folder / written, written):
        if place.is_file():
            return place.resolve()
    places = sorted({str(_folder.resolve()), str(Path.cwd())})
    raise ModelError(f"model file {printable_path(written)} does not exist (looked in {' and '.join(places)}).")


def code_of(name: str) -> str | None:
    """What the network *name* means beyond its name: a fingerprint of its file, blind to comments and layout, or the
    version of the library it comes from; None for our own. What that file imports is not looked at.

    Raises ModelError for a file that is missing or no Python.
    """
    where = name.rpartition(":")[0]
    if not where:
        return None
    if where in LIBRARIES:
        return _version(where)
    if where.endswith(".py"):
        return _fingerprint(file_of(name))
    try:
        spec = find_spec(where)
    except (ImportError, ValueError, AttributeError):
        spec = None
    origin = getattr(sys.modules.get(where), "__file__", None) or (spec.origin if spec else None)
    if origin is None or not origin.endswith(".py"):
        return _version(where.partition(".")[0])
    return _fingerprint(Path(origin))


def _fingerprint(path: Path) -> str:
    try:
        return fingerprint_source(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise ModelError(f"model file {printable_path(path)} is not Python: {printable(str(error), 160)}") from None
    except OSError as error:
        raise ModelError(f"model file {printable_path(path)} cannot be read: {error.strerror}.") from None


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package
