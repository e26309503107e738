"""Where plug-ins are found by name, and how a user's own file becomes one."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from prunecheck.core.errors import PluginError
from prunecheck.core.words import printable, unknown
from prunecheck.plugins.contract import Allocation, Check, Method

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
            point.load()


METHODS: Registry[Method] = Registry("method", "prunecheck.methods", "prunecheck.methods")
ALLOCATIONS: Registry[Allocation] = Registry("allocation", "prunecheck.allocations", "prunecheck.allocations")
CHECKS: Registry[Check] = Registry("check", "prunecheck.checks", "prunecheck.checks")


def origin_of(function: Callable[..., Any]) -> str:
    module = function.__module__
    return "built-in" if module.split(".")[0] == "prunecheck" else _origins.get(module, module)


_origins: dict[str, str] = {}


def code_of(function: Callable[..., Any]) -> str:
    """Fingerprint of the file a user's plug-in stands in, blind to comments, docstrings and layout; empty for
    built-ins, which carry a version instead."""
    if origin_of(function) == "built-in":
        return ""
    source = sys.modules.get(function.__module__)
    path = getattr(source, "__file__", None)
    if path is None:
        return hashlib.sha256(
            repr(function.__code__.co_code).encode() + repr(function.__code__.co_consts).encode()
        ).hexdigest()
    if path not in _code:
        _code[path] = fingerprint_source(Path(path).read_text(encoding="utf-8"))
    return _code[path]


def fingerprint_source(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            node.body = body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def load_file(path: Path) -> None:
    """Import a user's plug-in file once; its decorators register what it defines.

    Raises PluginError where the file is missing, is not Python or fails to import, naming the line.
    """
    path = path.resolve()
    name = "prunecheck_plugin_" + hashlib.sha256(str(path).encode()).hexdigest()[:16]
    if name in sys.modules:
        return
    if not path.is_file():
        raise PluginError(f"plug-in file {printable(str(path))} does not exist.")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"plug-in file {printable(str(path))} is not a Python file (.py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _origins[name] = path.name
    try:
        spec.loader.exec_module(module)
    except PluginError:
        sys.modules.pop(name)
        raise
    except Exception as error:
        sys.modules.pop(name)
        line = error.lineno if isinstance(error, SyntaxError) else _line_in(error, path)
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
