"""Bring your own mask, and take the ticket home: masks from and for other people's programs."""

from prunecheck.interop.adapters import hugging_face_callback, lightning_callback
from prunecheck.interop.arms import write_arms
from prunecheck.interop.audit import Audit, AuditedLayer, audit
from prunecheck.interop.keep import Hold, apply, keep
from prunecheck.interop.read import read_masks
from prunecheck.interop.write import save_masks, to_torch_prune

__all__ = [
    "Audit",
    "AuditedLayer",
    "Hold",
    "apply",
    "audit",
    "hugging_face_callback",
    "keep",
    "lightning_callback",
    "read_masks",
    "save_masks",
    "to_torch_prune",
    "write_arms",
]
