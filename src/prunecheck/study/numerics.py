"""What bytes depend on beside the parameters of a step: versions and the processor. Part of every key. Torch-free.

Libraries choose their loops by instruction set and by the maker of the processor, and some environment variables choose
for them; sums are then taken in another order. Only what was seen to change bytes is here: see docs/decisions.
"""

from __future__ import annotations

import importlib
import os
import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

SETTINGS = (
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "NUMBA_CPU_FEATURES",
    "NUMBA_CPU_NAME",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
"""environment variables by which libraries choose other loops or another precision"""


def numerics(precision: str = "float32") -> dict[str, Any]:
    """Versions, processor and settings that bytes may depend on. A worker always uses one torch thread.

    ``precision``: products in bfloat16 also depend on whether the processor has instructions for them.
    """
    found = _numerics()
    return found if precision != "bfloat16" else found | {precision: bfloat16_instructions()}


@lru_cache
def _numerics() -> dict[str, Any]:
    settings = {name: os.environ[name] for name in SETTINGS if os.environ.get(name)}
    return {
        "torch": version("torch"),
        "numpy": version("numpy"),
        "machine": platform.machine(),
        "cpu": instruction_set(),
        "maker": maker(),
        "threads": 1,
    } | ({"settings": settings} if settings else {})


def instruction_set() -> str:
    """The widest instructions that torch's loops may use here: ``avx512``, ``avx2``, ``sve`` or ``baseline``."""
    if _has(("avx512vl", "avx512bw", "avx512dq", "fma")) == ["avx512bw", "avx512dq", "avx512vl", "fma"]:
        return "avx512"
    if _has(("avx2", "fma")) == ["avx2", "fma"]:
        return "avx2"
    return "sve" if _has(("sve",)) else "baseline"


def bfloat16_instructions() -> list[str]:
    """The processor's instructions for products in bfloat16, by the names of Linux; without any, bfloat16 is slow."""
    return _has(("avx512_bf16", "amx_bf16", "bf16"))


def processor_name() -> str:
    """``AMD EPYC 7543`` …, for people; not part of keys, because renamed virtual processors would share nothing."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def maker() -> str:
    """``GenuineIntel``, ``AuthenticAMD`` …; empty where the system does not tell."""
    return _cpuinfo().get("vendor_id", _cpuinfo().get("CPU implementer", ""))


def _has(names: tuple[str, ...]) -> list[str]:
    """Those of *names* among the processor's features, sorted."""
    found = _cpuinfo()
    features = found.get("flags", found.get("Features", "")).split()
    return sorted(set(names) & set(features or _features_by_numpy()))


@lru_cache
def _cpuinfo() -> dict[str, str]:
    """The first processor of Linux's table; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text().partition("\n\n")[0]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}


@lru_cache
def _features_by_numpy() -> list[str]:
    """numpy looks at the processor on every system, under names of its own; private, but in every version so far."""
    # only where there is no /proc: planning needs numpy for nothing else
    features = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__

    names = {"FMA3": "fma", "AVX2": "avx2", "AVX512_SKX": "avx512bw avx512dq avx512vl", "SVE": "sve"}
    return " ".join(ours for theirs, ours in names.items() if features.get(theirs)).split()
