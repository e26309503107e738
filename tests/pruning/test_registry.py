"""A user's own file becomes a plug-in, or the message says which file, which line and what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch

from prunecheck.errors import PluginError
from prunecheck.pruning import CHECKS, METHODS, load_file, method, registry
from prunecheck.source import fingerprint_source
from tests.offers import ask

Write = Callable[..., Path]

SHORTEST = """
    from prunecheck.pruning.masks import permuted
    from prunecheck.pruning import check, method

    @method
    def mine(weights):
        return {n: w.abs() for n, w in weights.items()}

    @check(at="masks", preserves="counts")
    def rearrange_mine(masks, rng):
        return {n: permuted(m, rng) for n, m in masks.items()}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str, name: str = "plug.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return _write


def refusal(path: Path) -> str:
    with pytest.raises(PluginError) as caught:
        load_file(path)
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    return message


def test_the_two_shortest_plugins(write: Write) -> None:
    load_file(write(SHORTEST))
    scores = ask(METHODS.get("mine"), weights={"w": torch.tensor([-2.0, 1.0])})
    assert scores["w"].tolist() == [2, 1]
    masks = {"w": torch.tensor([True] * 5 + [False] * 15)}
    assert int(ask(CHECKS.get("rearrange_mine"), masks=masks, rng=np.random.default_rng(0))["w"].sum()) == 5
    mine, rearrange = METHODS.get("mine"), CHECKS.get("rearrange_mine")
    assert (mine.asks, mine.origin, mine.allocate, mine.when) == (("weights",), "plug.py", "global", "init")
    assert (rearrange.at, rearrange.preserves, rearrange.changes) == ("masks", "counts", True)


def test_a_file_is_imported_once(write: Write) -> None:
    path = write(SHORTEST)
    load_file(path)
    first = METHODS.get("mine").function
    load_file(path.parent / "." / path.name)
    assert METHODS.get("mine").function is first


def test_the_registries_of_one_test_are_not_those_of_the_next() -> None:
    assert "mine" not in METHODS.names()
    assert "rearrange_mine" not in CHECKS.names()


def test_a_missing_file(tmp_path: Path) -> None:
    assert "nowhere.py does not exist" in refusal(tmp_path / "nowhere.py")


def test_a_folder_and_a_file_of_another_kind(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path)
    (tmp_path / "notes.txt").write_text("x = 1")
    assert "is not a Python file" in refusal(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n\ndef broken(:\n    pass\n", "plug.py, line 3: SyntaxError"),
        ("x = 1\nimport no_such_package_here\n", "plug.py, line 2: ModuleNotFoundError: No module named 'no_such"),
        ("def f():\n    return 1 / 0\n\nf()\n", "plug.py, line 2: ZeroDivisionError"),
        ("\n\nfrom torch import no_such_name\n", "plug.py, line 3: ImportError"),
    ],
)
def test_a_broken_file_is_named_with_its_line(write: Write, text: str, expected: str) -> None:
    assert expected in refusal(write(text))


def test_a_syntax_error_in_a_module_the_file_imports_is_not_blamed_on_the_same_line_here(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write("x = 1\ny = 2\nz = 3\nw = (\n", "other_module_of_the_test.py")
    monkeypatch.syspath_prepend(str(other.parent))
    assert "plug.py, line 2: SyntaxError" in refusal(write("\nimport other_module_of_the_test\n"))


def test_a_repaired_file_loads_and_its_new_code_counts(write: Write) -> None:
    refusal(write(SHORTEST + "\n    1 / 0\n"))
    broken = METHODS.get("mine").code
    load_file(write(SHORTEST.replace("w.abs()", "-w.abs()")))
    assert METHODS.get("mine").code != broken
    assert ask(METHODS.get("mine"), weights={"w": torch.tensor([2.0])})["w"].tolist() == [-2]


def test_a_file_that_leaves_python_is_not_taken_for_loaded(write: Write) -> None:
    path = write("raise SystemExit(3)")
    for _ in range(2):
        with pytest.raises(SystemExit):
            load_file(path)


def test_a_name_that_is_built_in_is_refused_and_the_built_in_stays(write: Write) -> None:
    text = "from prunecheck.pruning import method\n\n@method\ndef snip(weights):\n    return weights\n"
    assert refusal(write(text)) == "plug.py: there is already a method named 'snip' (built-in). Rename yours."
    assert METHODS.get("snip").origin == "built-in"


def test_a_name_that_another_file_took_is_refused_even_if_the_files_have_one_name(write: Write) -> None:
    load_file(write(SHORTEST, "a/plug.py"))
    assert "already a method named 'mine' (plug.py)" in refusal(write(SHORTEST, "b/plug.py"))


def test_a_function_of_ours_can_be_made_a_method_of_theirs_but_not_take_our_names(write: Write) -> None:
    text = """
        from prunecheck.pruning.methods.magnitude import magnitudes
        from prunecheck.pruning import method

        method(name="{}", allocate="erk")(magnitudes)
    """
    load_file(write(text.format("magnitude_erk"), "one.py"))
    theirs = METHODS.get("magnitude_erk")
    assert (theirs.origin, theirs.allocate, len(theirs.code)) == ("one.py", "erk", 64)
    assert "already a method named 'lottery_ticket' (built-in)" in refusal(
        write(text.format("lottery_ticket"), "two.py")
    )


def test_a_cell_of_a_notebook_may_define_its_plugin_again() -> None:
    def mine(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return weights

    method(mine)
    second = method(mine)
    assert METHODS.get("mine") is second


def test_a_users_name_wins_over_an_alias(write: Write) -> None:
    assert METHODS.get("magnitude").name == "magnitude_init"
    load_file(write(SHORTEST.replace("def mine", "def magnitude")))
    assert METHODS.get("magnitude").origin == "plug.py"
    assert METHODS.get("mag").name == "magnitude_init"


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "x" * 65, "naïve", "a\nb"])
def test_impossible_names(name: str) -> None:
    def plain(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return weights

    plain.__name__ = name  # an empty name= falls back to the function's
    with pytest.raises(PluginError, match="cannot name a method"):
        method(name=name)(plain)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(PluginError, match=r"'snap' is not a method\. Did you mean 'snip'"):
        METHODS.get("snap")
    with pytest.raises(PluginError, match="Did you mean 'rearrange'"):
        CHECKS.get("rearange")


def test_an_installed_package_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("theirs", "no_such_package_here.pruning", "prunecheck.methods")
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])  # noqa: ARG005
    fresh = registry.Registry("method", "prunecheck.pruning.methods", "prunecheck.methods")
    for _ in range(2):
        with pytest.raises(PluginError, match=r"no_such_package_here\.pruning.*ModuleNotFoundError"):
            fresh.names()


PLAIN = """
from prunecheck.pruning import method

@method
def PLUGIN(weights):
    return {n: w.abs() * 2 for n, w in weights.items()}
"""


@pytest.mark.parametrize(
    "other",
    [
        "# a comment\n" + PLAIN + "\n\n# another\n",
        '"""What this file is for."""\n' + PLAIN,
        PLAIN.replace("    return", '    """Twice the size."""\n    return'),
        PLAIN.replace("w.abs() * 2", "( w.abs()  # twice\n      *  2 )"),
        PLAIN.replace("    return", "\n\n    return"),
        PLAIN.replace("\n", "\r\n"),
    ],
)
def test_comments_docstrings_and_layout_do_not_change_the_code(other: str) -> None:
    assert fingerprint_source(other) == fingerprint_source(PLAIN)


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace("* 2", "* 3"),
        PLAIN.replace("* 2", "* 2.0"),
        PLAIN.replace("w.abs()", "w.exp()"),
        PLAIN.replace("@method", "@method(rounds=3)"),
        PLAIN + "HELPER = 1\n",
        PLAIN.replace("    return", "    'not', 'a docstring'\n    return"),
    ],
)
def test_anything_else_does(other: str) -> None:
    assert fingerprint_source(other) != fingerprint_source(PLAIN)


def test_a_registered_plugin_carries_the_code_of_its_file(write: Write) -> None:
    text = PLAIN.replace("PLUGIN", "first")
    path = write(text, "one.py")
    load_file(path)
    assert METHODS.get("first").code == fingerprint_source(text)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_a_file_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "plug.py"
    head = "# -*- coding: latin-1 -*-\n" if encoding == "latin-1" else ""
    path.write_text(head + PLAIN.replace("PLUGIN", "first") + "NOTE = 'é'\n", encoding=encoding)
    load_file(path)
    assert METHODS.get("first").code == fingerprint_source(path.read_bytes())


def defined_in_a_notebook(body: str, doc: str = "") -> str:
    """The code fingerprint of a method whose module has no file, as in a notebook or an interactive session."""
    space = {"__name__": "a_notebook"}
    cell = f"from prunecheck.pruning import method\n\n@method\ndef cell(weights):\n    {doc!r}\n    return {body}\n"
    exec(compile(cell, "<cell>", "exec"), space)
    assert METHODS.get("cell").origin == "a_notebook"
    return METHODS.get("cell").code


def test_the_code_of_a_notebook_cell_is_what_it_does() -> None:
    bodies = [
        "{n: w.abs() for n, w in weights.items()}",
        "{n: w.exp() for n, w in weights.items()}",
        "{n: w.abs() * 2 for n, w in weights.items()}",
        "{n: w.abs() * 3 for n, w in weights.items()}",
        "{n: w for n, w in weights.items() if n in {'a', 'b', 'c'}}",
    ]
    codes = [defined_in_a_notebook(body) for body in bodies]
    assert len(set(codes)) == 5
    assert codes == [defined_in_a_notebook(body, "What it does.") for body in bodies]  # no addresses, no docstring


def test_built_ins_carry_a_version_instead_of_code() -> None:
    assert {plugin.code for plugin in [*METHODS, *CHECKS] if plugin.origin == "built-in"} == {""}
