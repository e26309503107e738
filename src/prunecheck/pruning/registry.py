"""Where plug-ins are found by name, and how a user's own file becomes one."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType
from typing import Any, Generic, TypeVar

from prunecheck.errors import PluginError
from prunecheck.pruning.plugins import Allocation, Check, Method
from prunecheck.source import fingerprint_source
from prunecheck.text import printable, printable_path, unknown

P = TypeVar("P", Method, Allocation, Check)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_code: dict[str, str] = {}


class Registry(Generic[P]):
    """Plug-ins of one kind, by name or alias; built-ins and installed ones are imported on first use."""

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind, self._package, self._group = kind, package, group
        self._plugins: dict[str, P] = {}
        self._loaded = False

    def add(self, plugin: P) -> P:
        """Raises PluginError for an impossible name or one that another origin has taken."""
        if not _NAME.fullmatch(plugin.name):
            raise PluginError(f"{printable(plugin.name)!r} cannot name a {self.kind}: letters, digits, . _ - only.")
        if plugin.origin != "built-in":
            self._load()
        taken = self._plugins.get(plugin.name)
        if taken is not None and taken.origin != plugin.origin:
            raise PluginError(
                f"{plugin.origin}: there is already a {self.kind} named {plugin.name!r} ({taken.origin}). Rename yours."
            )
        self._plugins[plugin.name] = plugin
        return plugin

    def get(self, name: str) -> P:
        """The plug-in of that name, else of that alias. Raises PluginError with the nearest name."""
        self._load()
        if name in self._plugins:
            return self._plugins[name]
        for plugin in self._plugins.values():
            if name in plugin.aliases:
                return plugin
        every = [*self._plugins, *(alias for p in self._plugins.values() for alias in p.aliases)]
        raise PluginError(unknown(self.kind, name, every))

    def __iter__(self) -> Iterator[P]:
        self._load()
        return iter([self._plugins[name] for name in sorted(self._plugins)])

    def names(self) -> list[str]:
        return [plugin.name for plugin in self]

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        importlib.import_module(self._package)
        for point in entry_points(group=self._group):
            try:
                point.load()
            except Exception as error:
                self._loaded = False
                raise PluginError(
                    f"installed plug-in {point.name} ({point.value}): "
                    f"{type(error).__name__}: {printable(str(error), 200)}"
                ) from error


METHODS: Registry[Method] = Registry("method", "prunecheck.pruning.methods", "prunecheck.methods")
ALLOCATIONS: Registry[Allocation] = Registry("allocation", "prunecheck.pruning.allocations", "prunecheck.allocations")
CHECKS: Registry[Check] = Registry("check", "prunecheck.pruning.checks", "prunecheck.checks")


_origins: dict[str, str] = {}


def applying_module() -> str:
    """The name of the module in which a decorator is being applied. Not the function's own module: a user may make a
    method of a function of ours."""
    frame = sys._getframe(1)
    own = ("prunecheck.pruning.decorators", "prunecheck.pruning.registry")
    while frame.f_back is not None and frame.f_globals.get("__name__", "") in own:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "__main__"))


def origin_of(module: str) -> str:
    return "built-in" if module.split(".")[0] == "prunecheck" else _origins.get(module, module)


def code_of(function: Callable[..., Any], module: str) -> str:
    """Fingerprint of the file a user's plug-in stands in, blind to comments, docstrings and layout; of the function
    alone where there is no file (a notebook); empty for built-ins, which carry a version instead."""
    if origin_of(module) == "built-in":
        return ""
    path = getattr(sys.modules.get(module), "__file__", None)
    if path is None:
        parts = "\n".join(_parts_of(function.__code__, function.__doc__))
        return hashlib.sha256(parts.encode()).hexdigest()
    if path not in _code:
        _code[path] = fingerprint_source(Path(path).read_bytes())
    return _code[path]


def _parts_of(code: CodeType, doc: str | None = None) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts_of(constant)  # its repr holds an address
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, constant)))
        elif constant != doc:
            yield repr(constant)


def load_file(path: Path) -> None:
    """Import a user's plug-in file once; its decorators register what it defines.

    Raises PluginError where the file is missing, is not Python or fails to import, naming the line.
    """
    path = path.resolve()
    name = "prunecheck_plugin_" + hashlib.sha256(str(path).encode()).hexdigest()[:16]
    if name in sys.modules:
        return
    if not path.is_file():
        raise PluginError(f"plug-in file {printable_path(path)} does not exist.")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"plug-in file {printable_path(path)} is not a Python file (.py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if name not in _origins:  # two files of one name are told apart by their folders
        _origins[name] = str(path) if path.name in _origins.values() else path.name
    _code.pop(str(path), None)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name)
        if isinstance(error, PluginError) or not isinstance(error, Exception):
            raise
        here = isinstance(error, SyntaxError) and error.filename == str(path)
        line = error.lineno if isinstance(error, SyntaxError) and here else _line_in(error, path)
        where = f", line {line}" if line else ""
        raise PluginError(
            f"plug-in {path.name}{where}: {type(error).__name__}: {printable(str(error), 200)}"
        ) from error


def _line_in(error: BaseException, path: Path) -> int | None:
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return lines[-1] if lines else None
