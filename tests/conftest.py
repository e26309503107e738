"""What every test may rely on: one torch thread, Ctrl-C that arrives, and the plug-ins of one test gone in the next."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS
from prunecheck.pruning.registry import _origins

for _threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # before torch is imported anywhere
    os.environ.setdefault(_threads, "1")

# in the background of a shell (`pytest &`, nohup) Ctrl-C is ignored, and our children would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _registries_as_they_were() -> Iterator[None]:
    registries = (METHODS, ALLOCATIONS, CHECKS)
    for registry in registries:
        registry.names()  # loads the built-ins, so that what is put back is complete
    before = [dict(registry._plugins) for registry in registries]
    yield
    for registry, plugins in zip(registries, before, strict=True):
        registry._plugins = plugins
    _origins.clear()
    for name in [name for name in sys.modules if name.startswith("prunecheck_plugin_")]:
        del sys.modules[name]
