"""What of the processor goes into keys: what torch itself would say, found without torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from prunecheck.study import numerics
from prunecheck.study.numerics import SETTINGS

NAMES = {"AVX512": "avx512", "AVX2": "avx2", "DEFAULT": "baseline"}


@pytest.mark.skipif("ATEN_CPU_CAPABILITY" in os.environ, reason="torch is told what to use")
@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() not in NAMES, reason="not an x86 processor")
def test_instruction_set_is_the_one_that_torch_uses() -> None:
    assert numerics.instruction_set() == NAMES[torch.backends.cpu.get_cpu_capability()]


CASES = {
    "flags\t: fma avx2 avx512vl avx512bw avx512dq\nvendor_id\t: GenuineIntel\n\nflags: x": (
        "avx512",
        "GenuineIntel",
    ),
    "vendor_id : AuthenticAMD\nflags : fma avx2 avx512f": ("avx2", "AuthenticAMD"),
    "vendor_id : x\nflags : avx2": ("baseline", "x"),
    "Features : asimd sve\nCPU implementer : 0x41": ("sve", "0x41"),
}


@pytest.mark.parametrize("text", CASES)
def test_processor_table_is_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = text.partition("\n\n")[0].splitlines()
    table = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first)}
    monkeypatch.setattr(numerics, "_cpuinfo", lambda: table)
    assert (numerics.instruction_set(), numerics.maker()) == CASES[text]


def test_where_there_is_no_processor_table_numpy_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    here = numerics.instruction_set()
    monkeypatch.setattr(numerics, "_cpuinfo", dict)
    if here != "sve":
        assert numerics.instruction_set() == here
    assert numerics.maker() == ""


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_that_makes_libraries_choose_other_loops_changes_keys(name: str) -> None:
    code = "from prunecheck.study import Step; print(Step('compare', {}).key)"
    env = {key: value for key, value in os.environ.items() if key not in SETTINGS}

    def key(env: dict[str, str]) -> str:
        return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout

    assert key(env) != key(env | {name: "AVX2"})


def test_keys_of_bfloat16_trainings_name_the_instructions_for_it() -> None:
    assert "bfloat16" not in numerics.numerics()
    assert "bfloat16" in numerics.numerics("bfloat16")
