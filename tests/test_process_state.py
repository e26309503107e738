"""What foreign code sets for the whole process is put back."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from prunecheck.process_state import SWITCHES, process_state_kept, standard_modes


def _probe() -> list[object]:
    """Everything the changes below touch, read without the code under test."""
    layer = nn.Linear(1, 1)
    return [
        torch.zeros(1).dtype,
        torch.zeros(1).device.type,
        (layer(torch.ones(1)) * 1).requires_grad,
        torch.is_inference_mode_enabled(),
        torch.is_anomaly_enabled(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        torch.backends.mkldnn.enabled,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.opt_einsum.enabled,
        (torch.ones(2, 2) @ torch.ones(2, 2)).dtype,
        5e-324 * 1.0 > 0,
        len(torch.nn.modules.module._global_forward_hooks),
        os.getcwd(),  # noqa: PTH109
        sys.getrecursionlimit(),
        sys.stdout,
        gc.isenabled(),
        np.geterr()["divide"],
    ]


CHANGES: dict[str, Callable[[], object]] = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "grad mode": lambda: torch.set_grad_enabled(False),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    "number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic algorithms": lambda: torch.set_deterministic_debug_mode("error"),
    "matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
    "autocast": lambda: torch.autocast("cpu").__enter__(),
    "mkldnn": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "cudnn benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "cudnn deterministic": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
    "einsum": lambda: setattr(torch.backends.opt_einsum, "enabled", not torch.backends.opt_einsum.enabled),
    "denormal numbers": lambda: torch.set_flush_denormal(True),
    "hooks": lambda: torch.nn.modules.module.register_module_forward_hook(lambda *_: None),
    "working directory": lambda: os.chdir("/"),
    "recursion limit": lambda: sys.setrecursionlimit(5000),
    "standard output": lambda: setattr(sys, "stdout", sys.__stderr__),
    "garbage collection": gc.disable,
    "numpy's errors": lambda: np.seterr(divide="raise"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_setting_is_put_back_and_named(change: str) -> None:
    before = _probe()
    with process_state_kept() as changed:
        CHANGES[change]()
        during = _probe()
    assert during != before
    assert _probe() == before
    assert changed


def test_settings_are_put_back_after_an_exception_which_is_not_hidden() -> None:
    before = _probe()

    def change_all_and_fail() -> None:
        for change in CHANGES.values():
            change()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), process_state_kept():
        change_all_and_fail()
    assert _probe() == before


def test_nothing_is_reported_where_nothing_changed() -> None:
    with process_state_kept() as changed:
        torch.zeros(3).sum()
    assert changed == []


def test_working_directory_that_is_gone_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with process_state_kept():
        os.chdir(tmp_path)


def test_switches_exist_in_this_version_of_torch() -> None:
    """A name that torch no longer has would be skipped in silence."""
    for path in SWITCHES:
        found: object = torch
        *owners, name = path.split(".")
        for part in owners:
            found = getattr(found, part)
        with contextlib.suppress(RuntimeError):  # old and new switches of TF32 used together: torch refuses to say
            getattr(found, name)


def test_standard_modes_record_gradients_under_every_mode_of_the_caller() -> None:
    with torch.inference_mode(), torch.autocast("cpu"), standard_modes():
        weight = torch.ones(2, 2, requires_grad=True)
        product = weight @ weight
        assert (product.requires_grad, product.dtype) == (True, torch.float32)
    with torch.no_grad(), standard_modes():
        assert torch.is_grad_enabled()


def test_os_exit_raises_within_the_block_and_ends_forked_children_as_they_ask() -> None:
    real = os._exit
    with process_state_kept():
        with pytest.raises(SystemExit, match=r"os\._exit\(0\) was called"):
            os._exit(0)
        child = os.fork()
        if child == 0:
            os._exit(7)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert os._exit is real
