"""What a Python file means, as a fingerprint: part of the keys of whatever is computed with it."""

from __future__ import annotations

import ast
import hashlib


def fingerprint_source(text: str | bytes) -> str:
    """sha256 over the syntax tree of a Python file, docstrings left out. Raises SyntaxError, ValueError."""
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
