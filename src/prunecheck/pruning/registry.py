"""Plug-ins by name, and how a user's file becomes one."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType
from typing import Any, Generic, TypeVar, cast

from prunecheck.errors import STOPS, PluginError
from prunecheck.paths import file_problem
from prunecheck.process_state import process_state_kept
from prunecheck.pruning.plugins import Allocation, Check, Method
from prunecheck.pruning.post_training_plugins import PostTrainingCheck, PostTrainingMethod
from prunecheck.source import Source, forget, module_name, read_source, run_source
from prunecheck.text import listing, printable, printable_error, printable_path, unknown

P = TypeVar("P", Method, Allocation, Check, PostTrainingMethod, PostTrainingCheck)
F = TypeVar("F", bound=Callable[..., Any])

BUILT_IN = "built-in"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Registry(Generic[P]):
    """Plug-ins of one kind, by name or alias; built-ins and installed ones are imported on first use."""

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind, self._package, self._group = kind, package, group
        self._plugins: dict[str, P] = {}
        self._broken: list[str] = []
        self._loaded = False

    def add(self, plugin: P) -> P:
        """Raises PluginError for an impossible name or one that another origin has taken."""
        if not _NAME.fullmatch(plugin.name):
            raise PluginError(f"{printable(plugin.name)!r} cannot name a {self.kind}: letters, digits, . _ - only.")
        # Load the built-in ones first, so that their names count as taken.
        if plugin.origin != BUILT_IN:
            self._load()
        taken = self._plugins.get(plugin.name)
        # From the same origin it is the same plug-in defined anew, as when a notebook cell is run again.
        if taken is not None and taken.origin != plugin.origin:
            raise PluginError(
                f"{plugin.origin}: there is already a {self.kind} named {plugin.name!r} ({taken.origin}). Rename yours."
            )
        self._plugins[plugin.name] = plugin
        return plugin

    def remove(self, name: str) -> None:
        """Forget the plug-in of that name, which must not be a built-in one. Raises PluginError."""
        if name not in self._plugins or self._plugins[name].origin == BUILT_IN:
            raise PluginError(unknown(f"{self.kind} that can be removed", name, self._of_users()))
        del self._plugins[name]

    def get(self, name: str) -> P:
        """The plug-in of that name, else of that alias. Raises PluginError with the nearest name."""
        self._load()
        if name in self._plugins:
            return self._plugins[name]
        # Names before aliases: a user's plug-in may have a name that is an alias of a built-in one.
        for plugin in self._plugins.values():
            if name in plugin.aliases:
                return plugin
        every = [*self._plugins, *(alias for p in self._plugins.values() for alias in p.aliases)]
        if hint := _why_not_found(name, self.kind):
            raise PluginError(hint)
        raise PluginError("\n".join([unknown(self.kind, name, every), *self._broken]))

    def __iter__(self) -> Iterator[P]:
        self._load()
        return iter([self._plugins[name] for name in sorted(self._plugins)])

    def names(self) -> list[str]:
        return [plugin.name for plugin in self]

    def _of_users(self) -> list[str]:
        return [name for name, plugin in self._plugins.items() if plugin.origin != BUILT_IN]

    def _load(self) -> None:
        if self._loaded:
            return
        # Set first: the imports below register plug-ins, which leads back here.
        self._loaded = True
        importlib.import_module(self._package)
        for point in entry_points(group=self._group):
            try:
                with _registering(point.module), _settings_put_back(f"installed plug-in {point.name}"):
                    point.load()
            except STOPS:
                raise
            except BaseException as error:  # one broken package must not stop the studies that do not use it
                self._broken.append(
                    f"Installed plug-in {point.name} ({point.value}) cannot be imported: {printable_error(error)}"
                )
                warnings.warn(self._broken[-1], stacklevel=2)


METHODS: Registry[Method] = Registry("method", "prunecheck.pruning.methods", "prunecheck.methods")
ALLOCATIONS: Registry[Allocation] = Registry("allocation", "prunecheck.pruning.allocations", "prunecheck.allocations")
CHECKS: Registry[Check] = Registry("check", "prunecheck.pruning.checks", "prunecheck.checks")
POST_TRAINING_METHODS: Registry[PostTrainingMethod] = Registry(
    "post-training method", "prunecheck.pruning.post_training.methods", "prunecheck.post_training_methods"
)
POST_TRAINING_CHECKS: Registry[PostTrainingCheck] = Registry(
    "post-training check", "prunecheck.pruning.post_training.checks", "prunecheck.post_training_checks"
)
_ELSEWHERE = 'It is one of pruning without training, for studies with task = "language_model".'
_TRAINED = 'It is one of networks that are trained, for studies with task = "classification".'
_COUNTERPARTS: dict[str, tuple[Registry[Any], str]] = {
    METHODS.kind: (POST_TRAINING_METHODS, _ELSEWHERE),
    CHECKS.kind: (POST_TRAINING_CHECKS, _ELSEWHERE),
    POST_TRAINING_METHODS.kind: (METHODS, _TRAINED),
    POST_TRAINING_CHECKS.kind: (CHECKS, _TRAINED),
}
"""kind -> the registry in which a name may be sought by mistake, and what its plug-ins are for"""
_REGISTRIES: tuple[Registry[Any], ...] = (METHODS, ALLOCATIONS, CHECKS, POST_TRAINING_METHODS, POST_TRAINING_CHECKS)


def _why_not_found(name: str, kind: str) -> str:
    """What to say where *name* is a plug-in of the other task, one of another kind, or a plain function in a plug-in
    file or a notebook; else empty."""
    counterpart = _COUNTERPARTS.get(kind)
    if counterpart is not None and name in counterpart[0].names():
        return f"{printable(name)!r} is not a {kind}. {counterpart[1]}"
    for registry in _REGISTRIES:
        if name in registry._plugins:
            return f"{name!r} is registered as {registry.kind}, not as {kind} ({registry._plugins[name].origin})."
    decorator = re.sub("[ -]", "_", kind)
    arguments = '(at="...")' if decorator.endswith("check") else ""
    places = [(loaded.origin, loaded.module) for loaded in _files.values()] + [("this program", "__main__")]
    for where, module in places:
        if inspect.isfunction(getattr(sys.modules.get(module), name, None)):
            return (
                f"{name!r} is a plain function in {where}. Write @{decorator}{arguments} above it "
                f"(from prunecheck import {decorator})."
            )
    return ""


@dataclass(frozen=True)
class _Loaded:
    """A user's file as it was loaded. ``origin``: what messages call it."""

    source: Source
    module: str
    origin: str


_files: dict[Path, _Loaded] = {}
_registers: ContextVar[str | _Loaded | None] = ContextVar("registers", default=None)
"""what registers plug-ins just now: a file, an installed module, the package itself"""


@contextmanager
def _registering(place: str | _Loaded) -> Iterator[None]:
    token = _registers.set(place)
    try:
        yield
    finally:
        _registers.reset(token)


def built_in(decorator: F) -> F:
    """The decorator as the package's own plug-ins use it: they carry a version instead of a fingerprint."""

    @wraps(decorator)
    def register(*args: Any, **kwargs: Any) -> Any:
        with _registering(BUILT_IN):
            made = decorator(*args, **kwargs)
        if isinstance(made, (Method, Allocation, Check, PostTrainingMethod, PostTrainingCheck)):
            return made

        def lift(function: Callable[..., Any]) -> Any:
            with _registering(BUILT_IN):
                return made(function)

        return lift

    return cast(F, register)


def origin_and_code(function: Callable[..., Any]) -> tuple[str, str]:
    """Where a plug-in made of *function* comes from, and a fingerprint of its code.

    In a file that is being loaded: the file, with its helper modules. Elsewhere the module of the function, if that has
    a file; else, as in a notebook, the function alone. A function of this package that a user registers anew belongs to
    the user. Built-ins carry a version and no fingerprint.
    """
    place, own = _registers.get(), str(function.__module__)
    if place == BUILT_IN:
        return BUILT_IN, ""
    if isinstance(place, _Loaded):
        inside = own == place.module or own.startswith((f"{place.module}.", "prunecheck."))
        other = "" if inside else _code_of_module(own, function)
        return place.origin, _joined(place.source.fingerprint, other)
    if own.startswith("prunecheck."):
        return place or "__main__", _joined(_code_of_module(place, function) if place else "", _code_alone(function))
    return own, _code_of_module(own, function)


def _joined(*codes: str) -> str:
    """One fingerprint of several; of a single one, that itself."""
    given = [code for code in codes if code]
    return given[0] if len(given) == 1 else hashlib.sha256("\n".join(given).encode()).hexdigest()


def _code_of_module(module: str, function: Callable[..., Any]) -> str:
    path = getattr(sys.modules.get(module), "__file__", None)
    if path is None or not path.endswith(".py"):
        return _code_alone(function)
    return read_source(Path(path), module).fingerprint


def _code_alone(function: Callable[..., Any]) -> str:
    parts = "\n".join(_parts_of(function.__code__, function.__doc__))
    return hashlib.sha256(parts.encode()).hexdigest()


def _parts_of(code: CodeType, doc: str | None = None) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars}"
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts_of(constant)  # its repr holds an address
        # The order of a set of strings differs between processes.
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, constant)))
        # The docstring has no effect on what is computed.
        elif constant != doc:
            yield repr(constant)


def load_file(path: Path) -> str:
    """Run a user's plug-in file, unless it was run before and neither it nor a helper module beside it has changed;
    its decorators register what it defines, in place of what it defined before.

    Returns the fingerprint of what is loaded, which is also the ``code`` of the plug-ins it defines. Raises PluginError
    where the file is missing, is not Python or fails, naming the line.
    """
    path = path.resolve()
    if not path.is_file():
        raise PluginError(f"plug-in file {file_problem(path)}")
    if path.suffix != ".py":
        raise PluginError(f"plug-in file {printable_path(path)} is not a Python file (.py).")
    try:
        source = read_source(path)
    except (SyntaxError, ValueError) as error:
        _forget(path)
        raise PluginError(_complaint(path, error)) from error
    except OSError as error:
        raise PluginError(f"plug-in file {printable_path(error.filename)} cannot be read: {error.strerror}.") from error
    known = _files.get(path)
    if known is not None and known.source.fingerprint == source.fingerprint:
        return source.fingerprint
    _forget(path)
    taken = {other.origin for other in _files.values()}
    origin = str(path) if path.name in taken else path.name  # two files of one name are told apart by their folders
    loaded = _Loaded(source, module_name(path, "prunecheck_plugin"), origin if known is None else known.origin)
    # Before it runs: _forget() must find what a file that fails has registered so far.
    _files[path] = loaded
    try:
        with _registering(loaded), _settings_put_back(origin, source):
            run_source(source, "prunecheck_plugin")
    # BaseException: Ctrl-C must not leave half of the file registered either.
    except BaseException as error:
        _forget(path)
        if isinstance(error, (PluginError, *STOPS)):
            raise
        raise PluginError(_complaint(path, error)) from error
    return source.fingerprint


@contextmanager
def _settings_put_back(who: str, source: Source | None = None) -> Iterator[None]:
    """Undo what importing a plug-in sets for the whole process, and say so: its author may have counted on it."""
    texts = [] if source is None else [source.text, *(helper.text for helper in source.helpers.values())]
    if any(b"torch" in text for text in texts):
        import torch  # noqa: F401  # only then are its settings known; other plug-ins need not wait seconds for it
    with process_state_kept() as changed:
        yield
    if changed:
        warnings.warn(f"{who} changed {listing(changed)} while it was imported; this was put back.", stacklevel=3)


def _forget(path: Path) -> None:
    """Take back what a file has registered."""
    known = _files.pop(path, None)
    if known is None:
        return
    forget(known.module)
    for registry in _REGISTRIES:
        for plugin in [plugin for plugin in registry._plugins.values() if plugin.origin == known.origin]:
            if str(plugin.function.__module__).startswith((known.module, "prunecheck.")):
                registry.remove(plugin.name)  # what an installed package registered while the file imported it stays


@contextmanager
def temporary_plugins() -> Iterator[None]:
    """Within the block plug-ins may be registered and files loaded; afterwards the registries are as they were."""
    for registry in _REGISTRIES:
        registry._load()  # so that what is put back is complete
    plugins, files = [dict(registry._plugins) for registry in _REGISTRIES], dict(_files)
    try:
        yield
    finally:
        for registry, before in zip(_REGISTRIES, plugins, strict=True):
            registry._plugins = before
        for loaded in set(_files) - set(files):
            forget(_files[loaded].module)
        _files.clear()
        _files.update(files)


def _complaint(path: Path, error: BaseException) -> str:
    """What went wrong in a plug-in file, with the line of it, or with the helper module that holds a syntax error."""
    line, where = _line_in(error, path), path.name
    if isinstance(error, SyntaxError) and error.filename is not None:
        other = Path(error.filename)
        if other == path or (line is None and other.parent.is_relative_to(path.parent)):
            line, where = error.lineno, path.name if other == path else f"{path.name}: {other.name}"
    at = f", line {line}" if line else ""
    what = (
        f"{type(error).__name__}: {printable(error.msg, 200)}"
        if isinstance(error, SyntaxError)
        else printable_error(error)
    )
    return f"plug-in {where}{at}: {what}"


def _line_in(error: BaseException, path: Path) -> int | None:
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    # The deepest line of this file: the error itself may have arisen in a library that it calls.
    return lines[-1] if lines else None
