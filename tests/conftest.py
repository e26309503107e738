"""What every test may rely on: one torch thread, Ctrl-C that arrives, and the plug-ins of one test gone in the next."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from prunecheck.pruning import temporary_plugins

for _threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # before torch is imported anywhere
    os.environ.setdefault(_threads, "1")

# in the background of a shell (`pytest &`, nohup) Ctrl-C is ignored, and our children would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A busy machine is no failure, and one commit has one outcome; --hypothesis-profile=explore tries other examples.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same examples", settings.get_profile("explore"), derandomize=True)
settings.load_profile("same examples")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A new process has another seed each time, and its tests come in no fixed order."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _plugins_of_one_test_only() -> Iterator[None]:
    with temporary_plugins():
        yield


_HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}


@pytest.fixture(autouse=True)
def _usual_signal_handlers() -> None:
    """The command line sets its own and leaves them, since its process ends with it."""
    for number, handler in _HANDLERS.items():
        signal.signal(number, handler)
