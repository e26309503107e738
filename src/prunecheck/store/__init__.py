"""Content-addressed artefacts, safe against kills, power cuts and full disks, verified at every read."""

from __future__ import annotations

from prunecheck.store.archive import export, import_
from prunecheck.store.claims import Holder
from prunecheck.store.maintenance import Garbage, Report, Sizes, gc, sizes, verify
from prunecheck.store.manifest import Entry
from prunecheck.store.store import Claim, Damaged, Missing, Store
from prunecheck.store.timings import Timings

__all__ = [
    "Claim",
    "Damaged",
    "Entry",
    "Garbage",
    "Holder",
    "Missing",
    "Report",
    "Sizes",
    "Store",
    "Timings",
    "export",
    "gc",
    "import_",
    "sizes",
    "verify",
]
