"""Why a file that a user named cannot be read, in one sentence that every command uses."""

from __future__ import annotations

import stat
from pathlib import Path

from prunecheck.text import nearest, printable, printable_path


def file_problem(path: Path) -> str:
    """``x.pt does not exist. Did you mean 'y.pt'?``, ``x is a folder, not a file.``, ``x.pt is empty.``; empty text for
    a file with content."""
    shown = printable_path(path)
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return f"{shown} does not exist.{neighbour(path)}"
    except OSError as error:
        return f"{shown} cannot be read: {error.strerror or error}."
    except ValueError:
        return f"{printable(path)!r} cannot be the name of a file."
    if stat.S_ISDIR(found.st_mode):
        return f"{shown} is a folder, not a file."
    return f"{shown} is empty." if stat.S_ISREG(found.st_mode) and not found.st_size else ""


def neighbour(path: Path) -> str:
    """`` Did you mean 'study.toml'?``, a name of the same kind in the same folder; empty where none is close."""
    try:
        stems = [one.stem for one in path.parent.iterdir() if one.suffix == path.suffix and one.name != path.name]
    except (OSError, ValueError):
        return ""
    guess = nearest(path.stem, stems)
    return f" Did you mean {printable(guess + path.suffix)!r}?" if guess else ""
