"""Counts of files, imports, circles and comments on a tree small enough to count by hand."""

from __future__ import annotations

from pathlib import Path

from benchmarks.structure import circles, counts, modules

from tests.data.makers import write_files

TREE = {
    "tree/__init__.py": b'"""Doc # no comment."""\n',
    "tree/empty.py": b"\n",
    "tree/a.py": b"import os\nfrom tree import b  # why\n\n\ndef f():\n    from tree.low import c\n\n    return c\n",
    "tree/b.py": b"# a\n# b\nfrom . import a\n",
    "tree/low/__init__.py": b"x = '# no'\n",
    "tree/low/c.py": (
        b"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tree import d\nfrom ..low import x\n"
    ),
    "tree/d.py": b"from .low.c import TYPE_CHECKING as t\n",
}


def test_counts_of_a_small_tree(tmp_path: Path) -> None:
    write_files(tmp_path, TREE)
    found = counts(tmp_path / "tree")
    assert (found["files"], found["lines"], found["packages"]) == ("6", "18", "2")
    assert found["imports inside functions"] == "1"
    assert found["comment lines"] == f"{100 * 3 / 18:.1f} %"
    assert found["lines a function: median, 90 %, most"] == "4, 4, 4"
    assert found["import circles (files in them)"] == "1 (2)"


def test_circles_are_followed_into_functions_and_not_into_type_checking(tmp_path: Path) -> None:
    write_files(tmp_path, TREE)
    assert circles(modules(tmp_path / "tree")) == [["tree.a", "tree.b"]]
    write_files(tmp_path, {"tree/low/c.py": b"def f():\n    from tree import d\n    return d\n"})
    assert circles(modules(tmp_path / "tree")) == [["tree.a", "tree.b"], ["tree.d", "tree.low.c"]]
