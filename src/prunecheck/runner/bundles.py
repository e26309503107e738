"""Which trainings one worker may do in lockstep: those of tiny networks that differ in seed, mask and start alone.

Torch-free, and only a question of time: a training has the same bytes in a bundle and alone.
"""

from __future__ import annotations

from prunecheck.runner.estimate import mflops_of
from prunecheck.study.step import Step, canonical

BUNDLE = 4
"""trainings at a time: with more, convolutions leave the caches"""
MOST_MFLOPS = 0.4
"""of a forward pass of one image: convnet gains up to a quarter at 8 x 8 (0.3), next to nothing at 14 x 14 (1.0), and
loses at 20 x 20 (2.0), where several networks no longer fit the caches that one does"""
OWN = ("seed", "file")
"""what may differ; the inputs may too"""


def bundle_name(step: Step) -> str | None:
    """Trainings of one name may be done together. None: only alone."""
    params = step.params
    if step.kind not in ("pretrain", "train") or params.get("device") != "cpu":
        return None
    if any(params.get(what) is not None for what in ("backend", "precision", "corruption")) or not _is_tiny(step):
        return None
    return canonical([step.kind, {name: value for name, value in params.items() if name not in OWN}])


def _is_tiny(step: Step) -> bool:
    mflops = mflops_of(step)
    return mflops is not None and mflops <= MOST_MFLOPS
