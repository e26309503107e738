"""What many steps of a kind are called, for people."""

from __future__ import annotations

KINDS = {
    "pretrain": "pretrainings",
    "train": "trainings",
    "score": "scores",
    "mask": "masks",
    "corrupt": "corruptions",
    "compare": "comparisons",
}
"""kind of step -> its plural; what takes long comes first"""
