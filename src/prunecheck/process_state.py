"""Settings of torch and of the process that change what later code computes, put back after foreign code ran.

Without this a plug-in that leaves autocast on, another default dtype or a hook on every module behind would change the
artefacts of other methods, whose keys do not name that plug-in.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from typing import Any, NoReturn

Setting = tuple[str, Callable[[], Any], Callable[[Any], Any]]


@contextmanager
def process_state_kept() -> Iterator[list[str]]:
    """Within the block anything may be set; afterwards it is as before. Afterwards the list that is yielded holds the
    names of what had to be put back. torch's settings are kept where torch was imported before the block.

    What is printed within the block goes to stderr, since results are read from stdout. ``os._exit`` raises.
    """
    with _stdout_to_stderr(), exit_raises():
        settings = [*_python_settings(), *(_torch_settings() if "torch" in sys.modules else ())]
        before = [(name, _read(get), get, put) for name, get, put in settings]
        changed: list[str] = []
        try:
            yield changed
        finally:
            for name, value, get, put in before:
                if _read(get) != value:
                    changed.append(name)
                    with suppress(Exception):  # a setting that cannot be put back must not hide what the block raised
                        put(value)


@contextmanager
def exit_raises() -> Iterator[None]:
    """Within the block ``os._exit`` raises SystemExit in this process. The command would else end without results and
    with the status the plug-in chose, 0 perhaps. Forked children end as they ask."""
    real, own = os._exit, os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != own:
            real(status)
        raise SystemExit(f"os._exit({status}) was called")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = real


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """For Python's prints, and for those of C code and child processes, which know descriptor 1 alone."""
    saved = None
    with suppress(OSError):  # a process may be without stdout or stderr
        saved = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


def _read(get: Callable[[], Any]) -> Any:
    """The value; None where torch refuses to say (old and new switches of TF32 used together)."""
    try:
        return get()
    except Exception:
        return None


def _python_settings() -> Iterator[Setting]:
    yield "working directory", _working_directory, _change_directory
    yield "recursion limit", sys.getrecursionlimit, sys.setrecursionlimit
    yield "standard output", lambda: sys.stdout, lambda stream: setattr(sys, "stdout", stream)
    yield "standard error", lambda: sys.stderr, lambda stream: setattr(sys, "stderr", stream)
    yield "garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()
    if "numpy" in sys.modules:
        numpy = sys.modules["numpy"]
        yield "numpy's error handling", numpy.geterr, lambda value: numpy.seterr(**value)


def _working_directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return None


def _change_directory(path: str | None) -> None:
    if path is not None:
        os.chdir(path)


SWITCHES = (
    "backends.mkldnn.enabled",
    "backends.mkldnn.deterministic",
    "backends.mkldnn.allow_tf32",
    "backends.cudnn.enabled",
    "backends.cudnn.benchmark",
    "backends.cudnn.deterministic",
    "backends.cudnn.allow_tf32",
    "backends.cuda.matmul.allow_tf32",
    "backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "backends.fp32_precision",
    "backends.cuda.matmul.fp32_precision",
    "backends.cudnn.fp32_precision",
    "backends.cudnn.conv.fp32_precision",
    "backends.cudnn.rnn.fp32_precision",
    "backends.mkldnn.fp32_precision",
    "backends.mkldnn.matmul.fp32_precision",
    "backends.mkldnn.conv.fp32_precision",
    "backends.mkldnn.rnn.fp32_precision",
    "backends.opt_einsum.enabled",
    "backends.opt_einsum.strategy",
    "utils.deterministic.fill_uninitialized_memory",
)
"""attributes below ``torch``, general ones before the special ones they set"""


def _torch_settings() -> Iterator[Setting]:
    import torch

    yield "default dtype", torch.get_default_dtype, torch.set_default_dtype
    yield "default device", _device, torch.set_default_device
    yield "inference mode", torch.is_inference_mode_enabled, _set_inference_mode
    yield "grad mode", torch.is_grad_enabled, torch.set_grad_enabled
    yield "anomaly detection", torch.is_anomaly_enabled, lambda on: torch.autograd.set_detect_anomaly(on)
    yield "number of threads", torch.get_num_threads, torch.set_num_threads
    yield "deterministic algorithms", torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode
    yield "matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    yield "denormal numbers", _flushes_denormals, torch.set_flush_denormal
    yield "autocast nesting", _nesting, _set_nesting
    yield "autocast cache", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled
    for device in ("cpu", "cuda"):
        yield f"autocast on {device}", *_autocast(device)
    for path in SWITCHES:
        yield path, *_switch(torch, path)
    for module in filter(None, map(sys.modules.get, ("torch.nn.modules.module", "torch.optim.optimizer"))):
        for name, hooks in vars(module).items():
            if name.startswith("_global_") and isinstance(hooks, dict):
                yield f"hooks for every module ({name})", *_hooks(hooks)


def _device() -> Any:
    """The default device; None for none: setting "cpu" instead would cost time in every call of torch."""
    import torch

    device = torch.get_default_device()
    return None if device.type == "cpu" else device


_guards: list[Any] = []


def _set_inference_mode(on: bool) -> None:
    """torch can only enter the mode, and leaves it with the object that entered: the object must live on."""
    import torch

    guard = torch.inference_mode(on)
    guard.__enter__()
    _guards.append(guard)


def _flushes_denormals() -> bool:
    return 5e-324 * 1.0 == 0.0


def _nesting() -> int:
    import torch

    torch.autocast_increment_nesting()
    return int(torch.autocast_decrement_nesting())


def _set_nesting(depth: int) -> None:
    import torch

    while _nesting() > depth:
        torch.autocast_decrement_nesting()
    while _nesting() < depth:
        torch.autocast_increment_nesting()
    torch.clear_autocast_cache()


def _autocast(device: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    import torch

    def put(value: tuple[bool, Any]) -> None:
        torch.set_autocast_enabled(device, value[0])
        torch.set_autocast_dtype(device, value[1])

    return lambda: (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)), put


def _switch(torch: Any, path: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    *owners, name = path.split(".")

    def owner() -> Any:
        found = torch
        for part in owners:
            found = getattr(found, part)
        return found

    return lambda: getattr(owner(), name), lambda value: setattr(owner(), name, value)


def _hooks(hooks: dict[Any, Any]) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    def put(value: dict[Any, Any]) -> None:
        hooks.clear()
        hooks.update(value)

    return lambda: dict(hooks), put


@contextmanager
def standard_modes() -> Iterator[None]:
    """Within the block gradients are recorded and no precision is chosen behind the code's back, whatever mode the
    caller is in (``torch.no_grad``, ``torch.inference_mode``, ``torch.autocast``). Also a decorator."""
    import torch

    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False) if torch.cuda.is_available() else nullcontext(),
    ):
        yield
