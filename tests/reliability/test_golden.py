"""The bytes of a whole small study, as they were committed. An unintended change of numbers shows here first;
one that is meant is named in the changelog, and ``golden.json`` gets its new hash.

Equal bytes are promised for one kind of machine, one torch and one numpy: elsewhere there is nothing to compare with.
"""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.reliability.conftest import Undisturbed

GOLDEN: dict[str, str] = json.loads((Path(__file__).parent / "golden.json").read_text("utf-8"))


def here() -> str:
    return f"{platform.system()} {platform.machine()} {processor()}, torch {torch.__version__}, numpy {np.__version__}"


def processor() -> str:
    """Its full name: libraries choose their kernels by it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{(names or [platform.processor()])[0].replace(',', '')} {torch.backends.cpu.get_cpu_capability()}"


def test_small_study_has_the_committed_bytes(undisturbed: Undisturbed) -> None:
    if here() not in GOLDEN:
        pytest.skip(f"no golden bytes for {here()}, only for {'; '.join(GOLDEN)}")
    listed = "".join(f"{digest}  {path}\n" for path, digest in sorted(undisturbed.artefacts.items()))
    assert hashlib.sha256(listed.encode()).hexdigest() == GOLDEN[here()]


def test_golden_bytes_belong_to_the_locked_versions() -> None:
    lock = (Path(__file__).parent.parent.parent / "uv.lock").read_text(encoding="utf-8")
    for machine in GOLDEN:
        for package, version in (part.split(" ") for part in machine.split(", ")[1:]):
            assert f'name = "{package}"\nversion = "{version.partition("+")[0]}' in lock
