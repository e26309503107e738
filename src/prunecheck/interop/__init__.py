"""Masks from and for other programs: files, ``torch.nn.utils.prune``, Lightning, Hugging Face, any training loop.

A public module: the names below are documented in the reference and kept from version to version.
"""

from prunecheck.interop.arms import write_arms
from prunecheck.interop.audit import Audit, AuditedLayer, audit, patterns
from prunecheck.interop.keep import MaskedTraining, apply, hugging_face_callback, keep, lightning_callback
from prunecheck.interop.overlap import LayerOverlap, MaskOverlaps, compare_masks
from prunecheck.interop.own_training import Arm, Arms
from prunecheck.interop.read import read_masks
from prunecheck.interop.write import save_masks, to_torch_prune

__all__ = [
    "Arm",
    "Arms",
    "Audit",
    "AuditedLayer",
    "LayerOverlap",
    "MaskOverlaps",
    "MaskedTraining",
    "apply",
    "audit",
    "compare_masks",
    "hugging_face_callback",
    "keep",
    "lightning_callback",
    "patterns",
    "read_masks",
    "save_masks",
    "to_torch_prune",
    "write_arms",
]
