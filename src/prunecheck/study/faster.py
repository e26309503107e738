"""What would train faster on this processor. Only advice: each of these choices makes another key. Torch-free."""

from __future__ import annotations

from prunecheck.study.arms import resolved_methods
from prunecheck.study.backend import AUTO_SPARSITY, backend_of, is_large
from prunecheck.study.gpus import gpu_cards, gpu_name
from prunecheck.study.numerics import bfloat16_instructions
from prunecheck.study.study import Study
from prunecheck.training import sparse
from prunecheck.training.recipe import RECIPES

GAINS = {"amx_bf16": "1.5 to 3.0", "avx512_bf16": "1.3 to 2.0"}
"""instruction -> how many times as fast dense training in bfloat16 was as in float32 (docs/performance.md)"""
SPARSE_GAIN = "1.1 to 1.6"
"""the same of tickets on the sparse backend, measured with avx512_bf16 and with AVX2 alone"""
UNREPEATABLE_ON_CUDA = {"grasp"}
"""methods that differentiate a gradient: two calls gave different masks on the one GPU measured"""


def bfloat16_here() -> str:
    """One sentence on bfloat16 on this processor."""
    found = bfloat16_instructions()
    if not found:
        slower = "no instructions for it: dense training far slower"
        return f"{slower}, tickets on the sparse backend {SPARSE_GAIN} times as fast"
    return f"{', '.join(found)}: dense training {_gain(found)}"


def faster_choices(study: Study, side: int) -> list[str]:
    """What would make *study* faster here, one sentence each. ``side``: pixels per side of its images."""
    if study.device != "cpu":
        return _faster_on_gpu(study)
    found, advice = bfloat16_instructions(), []
    if study.precision == "bfloat16" and not found:
        advice.append(
            'precision = "float32": this processor has no instructions for bfloat16, so that dense training is far '
            f"slower in it{_sparse_gain(study, side)}"
        )
    if study.precision == "float32" and found:
        advice.append(f'precision = "bfloat16": dense training {_gain(found)}{_sparse_gain(study, side)}')
    large = is_large(study, side) and max(study.sparsities) >= AUTO_SPARSITY
    if study.precision == "float32" and study.backend == "auto" and large and (why := sparse.unavailable()):
        advice.append(f'backend = "auto" trains tickets of {AUTO_SPARSITY:.0%} and more sparsely, but {why}')
    if study.recipe == RECIPES["cifar"]:
        advice.append('training.recipe = "fast": a fifth of the epochs; another experiment, with verdicts of its own')
    return advice


def _faster_on_gpu(study: Study) -> list[str]:
    cards = [card for card in gpu_cards() if card.name == gpu_name(study.device)][:1]
    if study.precision == "bfloat16" and any(card.capability > (0, 0) and not card.has_bfloat16 for card in cards):
        return ['precision = "float32": this GPU has no units for bfloat16, which is then slower']
    if study.precision != "bfloat16" and any(card.has_bfloat16 for card in cards):
        return ['precision = "bfloat16": recorded steps were 1.3 to 1.9 times as fast as in TF32 on one NVIDIA H200']
    return []


def unrepeatable(study: Study) -> list[str]:
    """Methods of *study* whose scores differ between two calls on its device."""
    if not study.device.startswith("cuda"):
        return []
    return sorted({method.plugin.name for method in resolved_methods(study)} & UNREPEATABLE_ON_CUDA)


def unrepeatable_in_words(study: Study) -> str:
    """The same in one line, for people; empty where every method is repeatable."""
    found = unrepeatable(study)
    return f"{', '.join(found)} on a GPU: two calls may give different masks" if found else ""


def _gain(found: list[str]) -> str:
    gain = next((GAINS[name] for name in GAINS if name in found), None)
    return "is usually faster in it" if gain is None else f"was {gain} times as fast with these instructions"


def _sparse_gain(study: Study, side: int) -> str:
    """What bfloat16 gives the tickets that the sparse backend trains."""
    if not any(backend_of(study, side, sparsity) for sparsity in study.sparsities):
        return ""
    return f"; tickets on the sparse backend were {SPARSE_GAIN} times as fast"
