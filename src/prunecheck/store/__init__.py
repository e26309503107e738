"""Content-addressed artefacts, safe against kills, power cuts and full disks, verified at every read."""

from __future__ import annotations

from prunecheck.store.store import Claim, Damaged, Missing, Store
from prunecheck.store.timings import Timings

__all__ = ["Claim", "Damaged", "Missing", "Store", "Timings"]
