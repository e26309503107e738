"""Networks from outside the package: torchvision, timm, an importable factory, a factory in a file.

A network of the package never changes under its name; any other may, so its code is part of every key. torch is
imported when a network is built: plans and lists do not need it.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from prunecheck.errors import STOPS, ModelError
from prunecheck.paths import file_problem, neighbour
from prunecheck.process_state import process_state_kept
from prunecheck.source import INSTALLED, Source, read_source, run_source
from prunecheck.text import nearest, printable, printable_error, printable_path, unknown

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = ("torchvision", "timm")
OFFICIAL_SIDE = 224
MFLOPS = {
    "resnet18": 3_630.0,
    "resnet34": 7_330.0,
    "resnet50": 8_180.0,
    "resnet101": 15_600.0,
    "resnet152": 23_020.0,
    "vgg16_bn": 30_940.0,
    "mobilenet_v2": 600.0,
    "vit_b_16": 35_120.0,
}
"""millions of operations (2 per multiply-add) of one forward pass at OFFICIAL_SIDE, by torchvision's tables: plans
estimate times before anything is built"""
_imported: dict[str, tuple[object, str]] = {}
"""reference -> what was found there when it was first imported, and the code it then had"""


def mflops_at(name: str, side: int) -> float | None:
    """Millions of operations of one forward pass of an image of *side* pixels; None where they are not known."""
    library, _, reference = name.partition(":")
    known = MFLOPS.get(reference) if library in LIBRARIES else None
    return None if known is None else known * (side / OFFICIAL_SIDE) ** 2


def is_external(name: str) -> bool:
    """True for ``torchvision:NAME``, ``timm:NAME``, ``package.module:attr`` and ``file.py:attr``."""
    return ":" in name


def file_of(name: str, folder: Path | None = None) -> Path:
    """The file behind ``file.py:attr``, in *folder* (the study's), else in the current one. Raises ModelError."""
    written = Path(name.rpartition(":")[0]).expanduser()
    roots = [Path() if folder is None else folder, Path()]
    for root in roots:
        if (root / written).is_file():
            return (root / written).resolve()
    places = " and ".join(sorted({printable_path(root.resolve()) for root in roots}))
    if (roots[0] / written).is_dir():
        raise ModelError(f"model file {file_problem(written)}")
    hint = neighbour(written)
    raise ModelError(f"model file {printable_path(written)} does not exist (looked in {places}).{hint}")


def code_of(name: str, folder: Path | None = None) -> str | None:
    """The identity of the network *name* beyond its name; None for one of the package.

    For a file or module: a fingerprint of it and of the modules it imports from beside it, blind to comments and
    layout. For an installed module: of its file, with the version of its package; for a library: its version. Raises
    ModelError for a file that is missing or no Python.
    """
    where = name.rpartition(":")[0]
    if not where:
        return None
    if where in LIBRARIES:
        return _version(where)
    if where.endswith(".py"):
        return _source(file_of(name, folder)).fingerprint
    origin = _origin(where)
    if origin is None:
        return _version(where.partition(".")[0])
    if set(INSTALLED) & set(origin.parts):  # reading all that a large library imports would take seconds
        return f"{_version(where.partition('.')[0])} {_source(origin).fingerprint}"
    return _source(origin, where).fingerprint


def build_external(
    name: str, shape: Mapping[str, int], folder: Path | None = None, code: str | None = None
) -> nn.Module:
    """The network behind ``torchvision:NAME``, ``timm:NAME``, ``package.module:attr`` or ``file.py:attr``.

    ``shape`` holds num_classes, in_channels and image_size. ``code``: what ``code_of`` must still be. Raises ModelError
    if the code has changed, or if anything fails.
    """
    where, _, attribute = name.rpartition(":")
    if where in LIBRARIES:
        _compare(name, code, _version(where))
        return (_from_torchvision if where == "torchvision" else _from_timm)(attribute, shape)
    if where.endswith(".py"):
        source = _source(file_of(name, folder))
        _compare(name, code, source.fingerprint)
        return call_factory(_attribute(name, _run(source)), shape, {})
    now = code_of(name)
    factory = find_attribute(name)
    if now != code_of(name):
        raise ModelError(f"model {printable(name)!r}: its code changed while it was imported. Start Python again.")
    seen, then = _imported.setdefault(name, (factory, str(now)))
    if seen is not factory:  # the caller reloaded the module
        _imported[name] = factory, str(now)
    elif then != now:
        raise ModelError(f"model {printable(name)!r}: its code changed after Python imported it. Start Python again.")
    _compare(name, code, now)
    return call_factory(factory, shape, {})


def _compare(name: str, expected: str | None, found: str | None) -> None:
    if expected is not None and expected != found:
        raise ModelError(
            f"model {printable(name)!r}: its code changed since the study was planned. Run the study again."
        )


def call_factory(factory: Callable[..., Any], shape: Mapping[str, int], options: Mapping[str, Any]) -> nn.Module:
    """Call *factory* with ``options`` and the part of ``shape`` its signature accepts; the result is a module, without
    wrappers for several devices or compilation.

    Settings of torch that it changes are put back. Raises ModelError.
    """
    from torch import nn

    label = printable(getattr(factory, "__name__", repr(factory)))
    try:
        with process_state_kept():
            model = factory(**_accepted(factory, shape), **options)
    except (ModelError, *STOPS):
        raise
    except BaseException as error:
        raise ModelError(f"the model factory {label!r} failed: {_words(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"the model factory {label!r} returned {type(model).__name__}, not a torch.nn.Module.")
    return unwrapped(model)[0]


def find_attribute(reference: str) -> Callable[..., Any]:
    """The callable behind ``package.module:attr``. Raises ModelError where there is none."""
    where = reference.rpartition(":")[0]
    try:
        module = importlib.import_module(where)
    except STOPS:
        raise
    except BaseException as error:
        raise ModelError(
            f"model module {printable(where)!r} cannot be imported: {_words(error)}. "
            "Write package.module:attr, file.py:attr, torchvision:NAME or timm:NAME."
        ) from error
    return _attribute(reference, module)


def _attribute(reference: str, module: ModuleType) -> Callable[..., Any]:
    where, _, attribute = reference.rpartition(":")
    found = getattr(module, attribute, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    callables = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    guess = nearest(attribute, callables)
    hint = f" Did you mean {guess!r}?" if guess else ""
    raise ModelError(
        f"model {printable(reference)!r}: there is no callable {printable(attribute)!r} in {printable(where)}.{hint}"
    )


def logits_hint(outputs: object) -> str:
    """What to do where a network gives an object that holds logits, as those of transformers do; else empty."""
    from torch import Tensor

    if isinstance(outputs, Tensor) or not isinstance(getattr(outputs, "logits", None), Tensor):
        return ""
    return " Wrap it in a module whose forward returns the .logits of that."


def unwrapped(model: nn.Module) -> tuple[nn.Module, str]:
    """The network inside data parallelism and ``torch.compile``, however nested, and what they put before its names.

    Both refuse to run with other weights than their own, as scoring does.
    """
    from torch import nn

    prefix = ""
    while True:
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model, prefix = model.module, f"{prefix}module."
        elif "_orig_mod" in model._modules and isinstance(model._modules["_orig_mod"], nn.Module):
            model, prefix = model._modules["_orig_mod"], f"{prefix}_orig_mod."
        else:
            return model, prefix


def _accepted(factory: Callable[..., Any], offered: Mapping[str, int]) -> dict[str, int]:
    parameters = inspect.signature(factory).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {name: value for name, value in offered.items() if takes_all or name in parameters}


def _source(path: Path, module: str = "") -> Source:
    try:
        return read_source(path, module)
    except (SyntaxError, ValueError) as error:
        at = Path(getattr(error, "filename", None) or path)
        raise ModelError(f"model file {printable_path(at)} is not Python: {printable(error, 160)}") from None
    except OSError as error:
        at = Path(str(error.filename or path))
        raise ModelError(f"model file {printable_path(at)} cannot be read: {error.strerror}.") from None


def _run(source: Source) -> ModuleType:
    try:
        import torch  # noqa: F401  # its settings are kept only where it was imported before

        with process_state_kept():
            return run_source(source, "prunecheck_model")
    except STOPS:
        raise
    except BaseException as error:
        raise ModelError(f"model file {printable_path(source.path)} failed: {_words(error)}") from error


def _words(error: BaseException) -> str:
    return printable_error(error, 400)


def _origin(module: str) -> Path | None:
    """The Python file of an importable module, if it has one. Imports the packages it lies in, not the module."""
    try:
        spec = find_spec(module)
    except STOPS:
        raise
    except BaseException:  # a package on the way may raise anything
        spec = None
    origin = getattr(sys.modules.get(module), "__file__", None) or (spec.origin if spec else None)
    return Path(origin) if origin is not None and origin.endswith(".py") else None


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


def _optional(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        top = package.partition(".")[0]
        raise ModelError(f"{top}: models need the extra prunecheck[vision], which holds {top} ({error}).") from error


def _from_torchvision(name: str, shape: Mapping[str, int]) -> nn.Module:
    library = _optional("torchvision.models")
    known = library.list_models()
    if name not in known:
        raise ModelError(unknown("model of torchvision", name, known))
    if shape["in_channels"] != 3:
        raise ModelError(f"torchvision:{name} takes images of 3 channels; these have {shape['in_channels']}.")
    return call_factory(library.get_model, {}, {"name": name, "weights": None, "num_classes": shape["num_classes"]})


def _from_timm(name: str, shape: Mapping[str, int]) -> nn.Module:
    library = _optional("timm")
    known = library.list_models()
    if name not in known:
        raise ModelError(unknown("model of timm", name, known))
    arguments = {"model_name": name, "num_classes": shape["num_classes"], "in_chans": shape["in_channels"]}
    return call_factory(library.create_model, {}, arguments)
