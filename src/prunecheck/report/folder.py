"""The report on disk: four files, each replaced whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from prunecheck.core.errors import StoreError
from prunecheck.report.evidence import Evidence
from prunecheck.report.page import page
from prunecheck.report.tables import markdown, results_csv


def write(evidence: Evidence, folder: Path) -> Path:
    """Write index.html, report.md, results.csv and verdicts.json into *folder* (made if missing); the page's path.

    Raises StoreError where the disk refuses; a file that was there before is then still whole.
    """
    verdicts = json.dumps(evidence.verdict.to_dict(), sort_keys=True, indent=2, allow_nan=False) + "\n"
    contents = {
        "results.csv": results_csv(evidence.rows),
        "verdicts.json": verdicts,
        "report.md": markdown(evidence),
        "index.html": page(evidence),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in contents.items():
            replace(folder / file, text.encode("utf-8"))
    except OSError as error:
        raise StoreError(f"The report cannot be written to {folder}: {error.strerror or error}.") from error
    return folder / "index.html"


def replace(path: Path, data: bytes) -> None:
    """Put *data* at *path* in one step: a reader sees the old file or the new one, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's mask: temporary files are made private, reports are not."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
