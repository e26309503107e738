"""The CUDA devices of this machine, by the driver: planning needs their names, and torch takes seconds to load."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache

VARIABLE = "PRUNECHECK_GPU"
"""names the card whose results are wanted, on a machine without one"""


@lru_cache
def gpu_names() -> tuple[str, ...]:
    """The name of every visible CUDA device, such as ``NVIDIA H200``; empty where there is no driver or no device."""
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
        found.append(name.value.decode(errors="replace"))
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
