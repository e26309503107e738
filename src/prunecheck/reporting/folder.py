"""The report on disk: four files, each replaced whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

from prunecheck.reporting.data import Evidence
from prunecheck.reporting.export import results_csv
from prunecheck.reporting.markdown import markdown
from prunecheck.reporting.page import page
from prunecheck.store.durable import plainly, write_file


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
    with plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for file, text in contents.items():
        write_file(folder / file, text.encode("utf-8"))
    return folder / "index.html"
