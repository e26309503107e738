"""A user's Python file, with the modules it imports from beside it: a fingerprint, and running exactly those bytes.

Fingerprint and code are made from the same bytes, read once, so that a file edited in the meantime is never run under
the fingerprint of its older text. Fingerprints are part of the keys of whatever is computed with a file.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

INSTALLED = ("site-packages", "dist-packages")


def fingerprint_source(text: str | bytes) -> str:
    """sha256 over the syntax tree of a Python file, docstrings left out. Raises SyntaxError, ValueError."""
    return _fingerprint(ast.parse(text))


def _fingerprint(tree: ast.Module) -> str:
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


@dataclass(frozen=True)
class _File:
    path: Path
    text: bytes
    is_package: bool = False


@dataclass(frozen=True)
class Source:
    """A file as it was read. ``helpers``: by dotted name as seen from its folder, the modules beside it that it
    imports, directly or through each other. ``fingerprint``: of all of them; without helpers that of the file."""

    path: Path
    text: bytes
    helpers: Mapping[str, _File]
    fingerprint: str


def read_source(path: Path, module: str = "") -> Source:
    """Read a Python file and its helper modules.

    ``module``: the dotted name under which Python itself imported the file; helpers are then the modules of the same
    top-level package, or, for a single module outside of installed packages, the modules beside it. Only import
    statements count; modules found in other ways are neither seen here nor importable for a file that ``run_source``
    runs. Names of the standard library never mean a file beside. Raises OSError, SyntaxError, ValueError.
    """
    text = path.read_bytes()
    tree = ast.parse(text, str(path))
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    root = path.parents[len(package)] if module else path.parent
    reach = _Reach(root, path, package[0] if package else "")
    if package or not (module and set(INSTALLED) & set(path.parts)):
        reach.follow(tree, package if module else [])
    own = _fingerprint(tree)
    if not reach.found:
        return Source(path, text, {}, own)
    parts = [own, *(f"{name} {_fingerprint(ast.parse(file.text))}" for name, file in sorted(reach.found.items()))]
    return Source(path, text, reach.found, hashlib.sha256("\n".join(parts).encode()).hexdigest())


class _Reach:
    """The modules under *root* that import statements reach. ``only``: the one top-level package to look into."""

    def __init__(self, root: Path, main: Path, only: str) -> None:
        self.root, self.main, self.only = root, main, only
        self.found: dict[str, _File] = {}

    def follow(self, tree: ast.Module, package: Sequence[str]) -> None:
        for name in _imported(tree, package):
            for dotted, file in self._files(name):
                if dotted not in self.found and file.path != self.main:
                    self.found[dotted] = file
                    parent = dotted.split(".") if file.is_package else dotted.split(".")[:-1]
                    self.follow(ast.parse(file.text, str(file.path)), parent)

    def _files(self, name: str) -> Iterator[tuple[str, _File]]:
        """The file of a dotted name and those of the packages it lies in, as far as they exist."""
        parts = name.split(".")
        top = parts[0]
        if top in sys.stdlib_module_names or top == "prunecheck" or (self.only and top != self.only):
            return
        for depth in range(1, len(parts) + 1):
            base = self.root.joinpath(*parts[:depth])
            if (path := base / "__init__.py").is_file():
                yield ".".join(parts[:depth]), _File(path, path.read_bytes(), is_package=True)
            elif (path := base.with_name(f"{base.name}.py")).is_file():
                yield ".".join(parts[:depth]), _File(path, path.read_bytes())
                return
            elif not base.is_dir():
                return


def _imported(tree: ast.Module, package: Sequence[str]) -> Iterator[str]:
    """Every dotted name an import statement of the module may mean, seen from the root."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level <= len(package) + 1:
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            start = [*base, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*start, alias.name]) for alias in node.names if start or node.level)


def run_source(source: Source, prefix: str) -> ModuleType:
    """Run a file as a fresh module, under a name of its own that begins with *prefix*; what it raises is raised.

    The module stays in ``sys.modules``, since classes and annotations look themselves up there, until the same file is
    run again. Its helper modules belong to it alone: two files may each have their own ``utils.py``.
    """
    name = module_name(source.path, prefix)
    forget(name)
    module = ModuleType(name)
    module.__file__ = str(source.path)
    module.__spec__ = ModuleSpec(name, None, origin=str(source.path), is_package=True)
    module.__package__, module.__path__ = name, []  # found by _Helpers alone: no other file beside is importable
    sys.modules[name] = module
    if source.helpers:
        _helpers.files[name] = {**source.helpers}
        sys.modules[f"{name}.{source.path.stem}"] = module  # a helper may import the file back
        module.__dict__["__builtins__"] = _builtins_for(name, {*source.helpers, source.path.stem})
        if _helpers not in sys.meta_path:
            sys.meta_path.insert(0, _helpers)
    try:
        exec(compile(source.text, str(source.path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        forget(name)
        raise
    return module


def module_name(path: Path, prefix: str) -> str:
    """The name under which ``run_source`` runs a file."""
    return f"{prefix}_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"


def forget(name: str) -> None:
    """Drop a module of ``run_source`` and its helpers; functions of it that are still held go on working."""
    _helpers.files.pop(name, None)
    for known in [known for known in sys.modules if known == name or known.startswith(f"{name}.")]:
        del sys.modules[known]


def _builtins_for(name: str, local: set[str]) -> dict[str, Any]:
    """The built-in functions with an ``__import__`` that finds the helpers of module *name* first.

    ``sys.path`` cannot do this: it would be shared by all files, and ``import utils`` in the second of two files would
    be answered with the ``utils`` of the first.
    """
    tops = {dotted.partition(".")[0] for dotted in local}

    def find(
        wanted: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        top = wanted.partition(".")[0]
        if level or top not in tops:
            return builtins.__import__(wanted, globals, locals, fromlist, level)
        if fromlist:
            return builtins.__import__(f"{name}.{wanted}", globals, locals, fromlist, 0)
        importlib.import_module(f"{name}.{wanted}")
        return sys.modules[f"{name}.{top}"]

    return vars(builtins) | {"__import__": find}


class _Helpers(MetaPathFinder, Loader):
    """Finds and runs the helper modules of files that are loaded, from the bytes that were fingerprinted."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, _File]] = {}

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        owner, _, dotted = fullname.partition(".")
        files = self.files.get(owner, {})
        if dotted in files:
            file = files[dotted]
            spec = ModuleSpec(fullname, self, origin=str(file.path), is_package=file.is_package)
            spec.has_location = True
            return spec
        if any(known.startswith(f"{dotted}.") for known in files):  # a folder without __init__.py
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def exec_module(self, module: ModuleType) -> None:
        owner, _, dotted = module.__name__.partition(".")
        file = self.files[owner].get(dotted)
        module.__dict__["__builtins__"] = sys.modules[owner].__dict__["__builtins__"]
        if file is not None:
            exec(compile(file.text, str(file.path), "exec", dont_inherit=True), module.__dict__)


_helpers = _Helpers()
