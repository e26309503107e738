"""The CUDA devices of this machine, by the driver: planning needs their names, and torch takes seconds to load."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from functools import lru_cache

VARIABLE = "PRUNECHECK_GPU"
"""names the card whose results are wanted, on a machine without one"""


FIRST_WITH_BFLOAT16 = (8, 0)
"""compute capability of the first cards with units for products in bfloat16 and TF32"""
_MEMORY, _MAJOR, _MINOR = "cuDeviceTotalMem_v2", 75, 76


@dataclass(frozen=True)
class Card:
    """A CUDA device: its model, memory in bytes (0: unknown) and compute capability ((0, 0): unknown)."""

    name: str
    memory: int = 0
    capability: tuple[int, int] = (0, 0)

    @property
    def has_bfloat16(self) -> bool:
        return self.capability >= FIRST_WITH_BFLOAT16


def gpu_names() -> tuple[str, ...]:
    """The name of every visible CUDA device, such as ``NVIDIA H200``; empty where there is no driver or no device."""
    return tuple(card.name for card in gpu_cards())


@lru_cache
def gpu_cards() -> tuple[Card, ...]:
    """Every visible CUDA device; empty where there is no driver or no device."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return ()
    count, device, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    found = []
    for i in range(count.value):
        if driver.cuDeviceGet(ctypes.byref(device), i) or driver.cuDeviceGetName(name, len(name), device):
            return ()
        memory, major, minor = ctypes.c_size_t(), ctypes.c_int(), ctypes.c_int()
        # Only for people: a driver that does not tell is no error.
        if getattr(driver, _MEMORY)(ctypes.byref(memory), device):
            memory.value = 0
        for number, kind in ((major, _MAJOR), (minor, _MINOR)):
            if driver.cuDeviceGetAttribute(ctypes.byref(number), kind, device):
                number.value = 0
        found.append(Card(name.value.decode(errors="replace"), memory.value, (major.value, minor.value)))
    return tuple(found)


def gpus_of(device: str) -> tuple[int, ...]:
    """The devices that a study on *device* (``cuda``, ``cuda:1``) uses: for ``cuda`` all that are named as the first,
    since bytes depend on the model. Empty where there is none."""
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return ()
    names = gpu_names()
    if number:
        return (int(number),) if int(number) < len(names) else ()
    return tuple(i for i, name in enumerate(names) if name == names[0])


def gpu_name(device: str) -> str:
    """The model of the GPU *device*, part of the keys of steps on it. On a machine without one: what $PRUNECHECK_GPU
    says, or nothing."""
    gpus = gpus_of(device)
    return gpu_names()[gpus[0]] if gpus else os.environ.get(VARIABLE, "")
