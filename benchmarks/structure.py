"""How a tree of Python packages is divided: ``python -m benchmarks.structure FOLDER [FOLDER …]``, a Markdown table.

A folder is a package's source, such as ``src/prunecheck``. Empty files are not counted. Comments are lines with a ``#``
comment as a share of all lines; imports of a tree's own modules are followed for circles, those under
``TYPE_CHECKING`` are not.
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import markdown


@dataclass(frozen=True)
class Module:
    """``imports``: absolute dotted names of modules or their attributes; ``inner``: imports inside functions."""

    name: str
    lines: int
    comments: int
    functions: tuple[int, ...]
    inner: int
    imports: frozenset[str]


def modules(folder: Path) -> list[Module]:
    """Every Python file below *folder* that is not empty. Raises SyntaxError for one that is not Python."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if text.strip():
            parts = (folder.name, *path.relative_to(folder).with_suffix("").parts)
            is_package = parts[-1] == "__init__"
            found.append(_module(".".join(parts[:-1] if is_package else parts), is_package, text))
    return found


def _module(name: str, is_package: bool, text: str) -> Module:
    tree = ast.parse(text)
    skipped = {id(inner) for node in ast.walk(tree) if _is_type_checking(node) for inner in ast.walk(node)}
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = {id(n) for f in functions for n in ast.walk(f) if isinstance(n, (ast.Import, ast.ImportFrom))}
    comments = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    imports = frozenset(
        target
        for node in ast.walk(tree)
        if id(node) not in skipped
        for target in _targets(node, name if is_package else name.rpartition(".")[0])
    )
    return Module(
        name=name,
        lines=len(text.splitlines()),
        comments=len(comments),
        functions=tuple((f.end_lineno or f.lineno) - f.lineno + 1 for f in functions),
        inner=len(inside),
        imports=imports,
    )


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _targets(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *([node.module] if node.module else [])])
        yield from (f"{base}.{alias.name}" for alias in node.names)


def circles(found: list[Module]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others; largest first."""
    known = {module.name for module in found}
    graph: dict[str, set[str]] = {}
    for module in found:
        targets = {target if target in known else target.rpartition(".")[0] for target in module.imports}
        graph[module.name] = (targets & known) - {module.name}
    reached = {name: _reachable(graph, name) for name in graph}
    groups = {frozenset({name} | {o for o in reached[name] if name in reached[o]}) for name in graph}
    return sorted((sorted(group) for group in groups if len(group) > 1), key=lambda group: (-len(group), group))


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - seen
        seen |= new
        waiting.extend(new)
    return seen


def counts(folder: Path) -> dict[str, str]:
    """The measures of one tree, as they are printed."""
    found = modules(folder)
    lengths = sorted(module.lines for module in found)
    functions = sorted(length for module in found for length in module.functions)
    lines = sum(lengths)
    return {
        "files": str(len(found)),
        "lines": f"{lines:,}",
        "packages": str(sum((path / "__init__.py").is_file() for path in [folder, *folder.rglob("*")])),
        "lines a file: median, 90 %, most": f"{statistics.median(lengths):.0f}, {_share(lengths)}, {lengths[-1]}",
        "files under 30 lines": str(sum(length < 30 for length in lengths)),
        "lines a function: median, 90 %, most": (
            f"{statistics.median(functions):.0f}, {_share(functions)}, {functions[-1]}"
        ),
        "imports inside functions": str(sum(module.inner for module in found)),
        "import circles (files in them)": f"{len(circles(found))} ({sum(len(circle) for circle in circles(found))})",
        "comment lines": f"{100 * sum(module.comments for module in found) / lines:.1f} %",
    }


def _share(lengths: list[int]) -> int:
    return lengths[min(len(lengths) - 1, int(0.9 * len(lengths)))]


def main(folders: list[str]) -> None:
    trees = {folder: counts(Path(folder)) for folder in folders}
    measures = next(iter(trees.values()))
    print(markdown(["", *folders], [[measure, *(tree[measure] for tree in trees.values())] for measure in measures]))


if __name__ == "__main__":
    main(sys.argv[1:])
