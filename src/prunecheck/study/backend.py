"""Which backend trains a ticket, decided when the study is planned, so that it is part of the key. Torch-free.

Pretraining, scoring and whatever the sparse backend cannot do or does not win are dense; see
``prunecheck.training.sparse``.
"""

from __future__ import annotations

from prunecheck import models
from prunecheck.errors import StudyError
from prunecheck.study.study import Study
from prunecheck.training import sparse

AUTO_SPARSITY = 0.8
"""below it too little is saved to try"""
AUTO_MFLOPS = 4.0
"""of one forward pass: below it a training takes seconds, and compiled kernels take longer to load"""


def backend_of(study: Study, side: int, sparsity: float) -> str | None:
    """The backend's name and version, as it goes into the key of a ticket's training; None for the dense one."""
    if study.backend == "dense" or (study.backend == "auto" and not _worth_trying(study, side, sparsity)):
        return None
    return f"{study.backend}/{sparse.version()}"


def _worth_trying(study: Study, side: int, sparsity: float) -> bool:
    entry = models.MODELS.get(models.canonical(study.model))
    large = entry is None or entry.mflops_at(side) >= AUTO_MFLOPS
    return large and sparsity >= AUTO_SPARSITY and not _hindrance(study)


def resolve_backend(study: Study) -> None:
    """Raises StudyError where ``backend = "sparse"`` is asked for and cannot be had."""
    if study.backend == "sparse" and (why := _hindrance(study)):
        raise StudyError(f'backend = "sparse" cannot be had: {why}. "auto" and "dense" go without.')


def _hindrance(study: Study) -> str | None:
    if study.device != "cpu":
        return f"it is for the CPU, and device = {study.device!r}"
    if study.precision != "float32":
        return f"it computes in float32, and precision = {study.precision!r}"
    return sparse.unavailable()
