"""The mask tier on its own: seconds, no training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prunecheck.cli.console import err, print_columns, print_json

if TYPE_CHECKING:
    from prunecheck.study import Study


def masks_only_table(study: Study, store: Path | None, workers: int | None, json: bool, quiet: bool) -> None:
    """Overlap of every corrupted mask with the clean one, beside what chance alone would give."""
    from prunecheck.api import usable_cores
    from prunecheck.runner.progress import Progress
    from prunecheck.runner.study_run import mask_tier
    from prunecheck.runner.workspace import default_store
    from prunecheck.store import Store
    from prunecheck.text import percent

    progress = Progress(None if quiet else err())
    found, left_out = mask_tier(study, Store.open(store or default_store()), workers or usable_cores(), progress)
    if json:
        cells = [
            {
                "method": o.method,
                "check": o.check,
                "sparsity": o.sparsity,
                "iou": o.iou,
                "chance_iou": o.chance_iou,
                "counts_correlation": o.counts_correlation,
                "note": o.note,
            }
            for o in found
        ]
        print_json({"schema_version": 1, "study": study.name, "cells": cells, "left_out": left_out})
        return
    head = ("method", "check", "sparsity", "overlap", "by chance", "layer counts", "")
    rows = [
        (
            o.method,
            o.check,
            percent(o.sparsity),
            f"{o.iou:.3f}",
            f"{o.chance_iou:.3f}",
            "-" if o.counts_correlation is None else f"{o.counts_correlation:.3f}",
            o.note,
        )
        for o in found
    ]
    print_columns([head, *rows], frozenset({2, 3, 4, 5}))
    if left_out:
        print(f"left out, they need training: {', '.join(left_out)}")
