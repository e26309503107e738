"""The bridge to other people's networks: torchvision, timm, an importable factory, a factory in a file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from prunecheck.errors import ModelError
from prunecheck.models.code import file_of
from prunecheck.text import nearest, printable, unknown


def build_external(name: str, shape: Mapping[str, int]) -> nn.Module:
    """The network behind ``torchvision:NAME``, ``timm:NAME``, ``package.module:attr`` or ``file.py:attr``.

    ``shape`` holds num_classes, in_channels and image_size. Raises ModelError where anything on the way fails.
    """
    where, _, attribute = name.rpartition(":")
    if where == "torchvision":
        return _from_torchvision(attribute, shape)
    if where == "timm":
        return _from_timm(attribute, shape)
    return call_factory(find_attribute(name), shape, {})


def call_factory(factory: Callable[..., Any], shape: Mapping[str, int], options: Mapping[str, Any]) -> nn.Module:
    """Call *factory* with ``options`` and the part of ``shape`` its signature accepts; the result is a module."""
    label = getattr(factory, "__name__", repr(factory))
    try:
        model = factory(**_accepted(factory, shape), **options)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"the model factory {label!r} failed: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"the model factory {label!r} returned {type(model).__name__}, not a torch.nn.Module.")
    return model


def find_attribute(reference: str) -> Callable[..., Any]:
    """The callable behind ``package.module:attr`` or ``file.py:attr``. Raises ModelError where there is none."""
    where, _, attribute = reference.rpartition(":")
    module = _module_of_file(file_of(reference)) if where.endswith(".py") else _module(where)
    found = getattr(module, attribute, None)
    if callable(found):
        return found  # type: ignore[no-any-return]
    callables = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    guess = nearest(attribute, callables)
    hint = f" Did you mean {guess!r}?" if guess else ""
    raise ModelError(f"model {printable(reference)!r}: there is no callable {attribute!r} in {where}.{hint}")


def _accepted(factory: Callable[..., Any], offered: Mapping[str, int]) -> dict[str, int]:
    parameters = inspect.signature(factory).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {name: value for name, value in offered.items() if takes_all or name in parameters}


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ModelError(
            f"model module {printable(name)!r} cannot be imported: {type(error).__name__}: {error}. "
            "Write package.module:attr, file.py:attr, torchvision:NAME or timm:NAME."
        ) from error


def _module_of_file(path: Path) -> ModuleType:
    name = f"prunecheck_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"model file {path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    # dataclasses and annotations of the file look their own module up by name while it runs
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ModelError(f"model file {path} failed: {type(error).__name__}: {error}") from error
    return module


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
