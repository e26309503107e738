"""What would train faster on this processor. Only advice: each of these choices makes another key. Torch-free."""

from __future__ import annotations

from prunecheck.study.backend import AUTO_SPARSITY, backend_of, is_large
from prunecheck.study.numerics import bfloat16_instructions
from prunecheck.study.study import Study
from prunecheck.training import sparse
from prunecheck.training.recipe import RECIPES

GAINS = {"amx_bf16": "1.5 to 3.0", "avx512_bf16": "1.3 to 2.0"}
"""instruction -> how many times as fast dense training in bfloat16 was as in float32 (docs/performance.md)"""
SPARSE_GAINS = {"amx_bf16": "1.2 to 2.1 and 2.8 to 3.4", "avx512_bf16": "1.3 to 2.9 and 2.5 to 7.3"}
"""the same of tickets of 90 and of 98 % on the sparse backend in float32"""


def bfloat16_here() -> str:
    """One sentence on bfloat16 on this processor."""
    found = bfloat16_instructions()
    if not found:
        return "no instructions for it: far slower than float32"
    return f"{', '.join(found)}: dense training {_gain(found)}"


def faster_choices(study: Study, side: int) -> list[str]:
    """What would make *study* faster here, one sentence each. ``side``: pixels per side of its images."""
    if study.device != "cpu":
        return []
    found, advice = bfloat16_instructions(), []
    if study.precision == "bfloat16" and not found:
        advice.append(
            'precision = "float32": this processor has no instructions for bfloat16, which is then far slower'
        )
    if study.precision == "float32" and found:
        advice.append(f'precision = "bfloat16": dense training {_gain(found)}{_loses_sparse(study, side, found)}')
    large = is_large(study, side) and max(study.sparsities) >= AUTO_SPARSITY
    if study.precision == "float32" and study.backend == "auto" and large and (why := sparse.unavailable()):
        advice.append(f'backend = "auto" trains tickets of {AUTO_SPARSITY:.0%} and more sparsely, but {why}')
    if study.recipe == RECIPES["cifar"]:
        advice.append('training.recipe = "fast": a fifth of the epochs; another experiment, with verdicts of its own')
    return advice


def _gain(found: list[str]) -> str:
    gain = next((GAINS[name] for name in GAINS if name in found), None)
    return "is usually faster in it" if gain is None else f"was {gain} times as fast with these instructions"


def _loses_sparse(study: Study, side: int, found: list[str]) -> str:
    """What bfloat16 costs the tickets that the sparse backend would train."""
    if not any(backend_of(study, side, sparsity) for sparsity in study.sparsities):
        return ""
    gains = next((SPARSE_GAINS[name] for name in SPARSE_GAINS if name in found), None)
    lost = "; it rules out the sparse backend"
    return lost if gains is None else f"{lost}, which was {gains} times as fast in float32 at 90 and 98 %"
