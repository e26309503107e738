"""Which backend trains a ticket. Decided when the study is planned, since it is part of the key. Does not import torch.

Pretraining, scoring and what the sparse backend cannot do, or does not do faster, are dense; see
``prunecheck.training.sparse``.
"""

from __future__ import annotations

from prunecheck import models
from prunecheck.errors import StudyError
from prunecheck.study.numerics import instruction_set
from prunecheck.study.study import Study
from prunecheck.training import sparse

AUTO_SPARSITY = 0.8
"""``auto`` is dense below this sparsity: too little is saved"""
AUTO_MFLOPS = 4.0
"""``auto`` is dense below this cost of a forward pass: loading compiled kernels takes longer than the training"""


def backend_of(study: Study, side: int, sparsity: float) -> str | None:
    """The backend's name and version, part of the key of a ticket's training; None for the dense backend."""
    if study.backend == "dense" or (study.backend == "auto" and not _worth_trying(study, side, sparsity)):
        return None
    without_avx512 = study.precision == "bfloat16" and instruction_set() != "avx512"
    number = sparse.BFLOAT16_VERSION if without_avx512 else sparse.BACKEND_VERSION
    return f"{study.backend}/{sparse.version(number)}"


def _worth_trying(study: Study, side: int, sparsity: float) -> bool:
    return is_large(study, side) and sparsity >= AUTO_SPARSITY and not _hindrance(study)


def is_large(study: Study, side: int) -> bool:
    """Whether the network costs enough for ``auto`` to try the sparse backend; one from outside the package may."""
    entry = models.MODELS.get(models.canonical(study.model))
    return entry is None or entry.mflops_at(side) >= AUTO_MFLOPS


def resolve_backend(study: Study) -> None:
    """Raises StudyError if ``backend = "sparse"`` is requested but unavailable."""
    if study.backend == "sparse" and (why := _hindrance(study)):
        raise StudyError(f'backend = "sparse" is unavailable: {why}. Use "auto" or "dense".')


def _hindrance(study: Study) -> str | None:
    if study.device != "cpu":
        return f"it is for the CPU, and device = {study.device!r}"
    if study.processes_per_training > 1:
        return f"it trains in one process, and processes_per_training = {study.processes_per_training}"
    return sparse.unavailable()
