"""Is there room on the disk for what is about to be computed? Better asked before hours of training than after."""

from __future__ import annotations

from collections.abc import Iterable

from prunecheck.errors import StoreError
from prunecheck.store import Store
from prunecheck.study.step import Step
from prunecheck.text import printable_path

RESERVE = 100_000_000
"""bytes for checkpoints, results and everybody else on the disk"""
NETWORKS = {"pretrain": 2.0, "train": 1.0, "score": 1.0, "corrupt": 1.0, "mask": 0.25, "compare": 0.0}
"""how many times the bytes of the network a step stores: a pretraining its rewind weights too, a mask one byte for
four"""


def enough_space(steps: Iterable[Step], model_bytes: int, store: Store) -> None:
    """Raises StoreError where *steps* would not fit onto the disk of *store*."""
    networks = sum(NETWORKS[step.kind] for step in steps)
    if not networks:
        return
    wanted, free = int(networks * model_bytes) + RESERVE, store.free_bytes()
    if free < wanted:
        raise StoreError(
            f"the disk of {printable_path(store.root)} has {spoken_bytes(free)} free; this study needs about "
            f"{spoken_bytes(wanted)}. Free some space or choose another store with --store."
        )


def spoken_bytes(size: float) -> str:
    """``1234567 -> '1.2 MB'``, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} B" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
