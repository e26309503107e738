"""Which checks of the data can be applied where images stay on the disk. Without torch, because plans use it."""

from __future__ import annotations

from prunecheck.errors import PluginError
from prunecheck.pruning.plugins import Check

PARTS = {
    "random_labels": ("samples",),
    "half_dataset": ("samples",),
    "random_pixels": ("pixels",),
    "corrupted_data": ("samples", "pixels"),
}
"""check -> what it changes: ``samples`` (which images, with which labels), ``pixels`` (each image on its own)"""


def validate_streamed(check: Check) -> None:
    """Raises PluginError for a check of the data that needs all images in memory."""
    if check.at == "batches" and (check.origin != "built-in" or check.name not in PARTS):
        able = ", ".join(PARTS)
        raise PluginError(
            f"check {check.name!r} gets the whole training set, which streamed data are too large for. Checks of "
            f"streamed data: {able}. Others need data in memory (stream = false)."
        )
