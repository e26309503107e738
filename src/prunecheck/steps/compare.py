"""Step `compare` (the mask tier): overlap of the corrupted mask with the clean one, beside the overlap by chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from prunecheck import tensors
from prunecheck.pruning.masks import counts_of, intersection
from prunecheck.steps.context import Context, as_json
from prunecheck.study.step import Step


def run(step: Step, context: Context) -> dict[str, bytes]:
    """Artefact: ``result.json`` with the overlap and its chance level."""
    clean, corrupted = (context.tree(step.inputs[role], "masks") for role in ("clean", "corrupted"))
    return {"result.json": as_json(overlap(clean, corrupted))}


def overlap(clean: tensors.Tree, corrupted: tensors.Tree) -> dict[str, Any]:
    """``iou``: kept in both / kept in either. ``chance_iou``: the same for two masks with these layer counts and
    independent, uniform positions (expected intersection k1 * k2 / n per layer). ``counts_correlation``: of the layers'
    kept shares (None if one of them does not vary)."""
    a, b = counts_of(clean), counts_of(corrupted)
    both = intersection(clean, corrupted)
    by_chance = sum(a[name] * b[name] / mask.numel() for name, mask in clean.items())
    kept = sum(a.values()) + sum(b.values())
    shares = [[counts[name] / mask.numel() for name, mask in clean.items()] for counts in (a, b)]
    steady = any(float(np.ptp(share)) < 1e-12 for share in shares)
    return {
        "iou": both / (kept - both) if kept > both else 1.0,
        "chance_iou": by_chance / (kept - by_chance) if kept > by_chance else 1.0,
        "counts_correlation": None if steady else round(float(np.asarray(np.corrcoef(np.array(shares)))[0, 1]), 12),
        "kept_clean": sum(a.values()),
        "kept_corrupted": sum(b.values()),
        "moved": sum(a.values()) - both,
    }
