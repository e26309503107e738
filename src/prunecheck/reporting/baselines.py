"""Dense networks trained for other lengths than the study's: what a pruned one has to beat at equal compute."""

from __future__ import annotations

from prunecheck.reporting.data import Evidence
from prunecheck.reporting.summary import is_number, mean
from prunecheck.reporting.text import count, listing, name, share


def dense_sentence(evidence: Evidence) -> str:
    """Mean accuracy of every dense network, where there are others than the study's own; else nothing."""
    found: dict[str, list[float]] = {}
    for row in evidence.rows:
        if row["sparsity"] is None and is_number(row["accuracy"]):
            found.setdefault(str(row["method"]), []).append(float(row["accuracy"]))
    if len(found) < 2:
        return ""
    said = [f"{name(m)} {share(mean(of), 2)} ({count(len(of), 'seed')})" for m, of in found.items()]
    return f"Dense networks: {listing(said)}."
