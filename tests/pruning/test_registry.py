"""A user's own file becomes a plug-in, or the message says which file, which line and what to write instead."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch

from prunecheck.errors import PluginError
from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS, load_file, method, registry, temporary_plugins
from prunecheck.source import fingerprint_source, forget, read_source, run_source
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


def test_a_plain_function_and_a_plugin_of_another_kind_are_named(write: Write) -> None:
    load_file(
        write(
            SHORTEST
            + """
    def plain(weights):
        return weights
"""
        )
    )
    with pytest.raises(PluginError, match=r"^'plain' is a plain function in plug.py. Write @method above it"):
        METHODS.get("plain")
    with pytest.raises(PluginError, match=r'Write @check\(at="..."\) above it'):
        CHECKS.get("plain")
    with pytest.raises(PluginError, match=r"^'rearrange_mine' is registered as check, not as method \(plug.py\)"):
        METHODS.get("rearrange_mine")


def test_the_two_shortest_plugins(write: Write) -> None:
    load_file(write(SHORTEST))
    scores = ask(METHODS.get("mine"), weights={"w": torch.tensor([-2.0, 1.0])})
    assert scores["w"].tolist() == [2, 1]
    masks = {"w": torch.tensor([True] * 5 + [False] * 15)}
    assert int(ask(CHECKS.get("rearrange_mine"), masks=masks, rng=np.random.default_rng(0))["w"].sum()) == 5
    mine, rearrange = METHODS.get("mine"), CHECKS.get("rearrange_mine")
    assert (mine.asks, mine.origin, mine.allocate, mine.when) == (("weights",), "plug.py", "global", "init")
    assert (rearrange.at, rearrange.preserves, rearrange.changes) == ("masks", "counts", True)


def test_unchanged_file_is_loaded_once(write: Write) -> None:
    path = write(SHORTEST)
    load_file(path)
    first = METHODS.get("mine").function
    load_file(path.parent / "." / path.name)
    assert METHODS.get("mine").function is first


def test_temporary_plugins_are_gone_after_the_block(write: Write) -> None:
    path = write(SHORTEST)
    with temporary_plugins():
        load_file(path)
        assert "mine" in METHODS.names()
    assert "mine" not in METHODS.names()
    assert "rearrange_mine" not in CHECKS.names()
    load_file(path)
    assert "mine" in METHODS.names()


def test_a_missing_file(tmp_path: Path) -> None:
    assert "nowhere.py does not exist" in refusal(tmp_path / "nowhere.py")


def test_a_folder_and_a_file_of_another_kind(tmp_path: Path) -> None:
    assert "is a folder, not a file" in refusal(tmp_path)
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


def test_syntax_error_in_a_helper_module_names_the_helper_and_its_line(write: Write) -> None:
    write("x = 1\ny = 2\nz = 3\nw = (\n", "other_module.py")
    assert "plug.py: other_module.py, line 4: SyntaxError" in refusal(write("\nimport other_module\n"))


def test_syntax_error_in_a_module_elsewhere_names_the_line_that_imports_it(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write("x = 1\ny = 2\nz = 3\nw = (\n", "elsewhere/other_module_of_the_test.py")
    monkeypatch.syspath_prepend(str(other.parent))
    assert "plug.py, line 2: SyntaxError" in refusal(write("\nimport other_module_of_the_test\n", "a/plug.py"))


def test_file_that_fails_registers_nothing_and_loads_once_repaired(write: Write) -> None:
    refusal(write(SHORTEST + "\n    1 / 0\n"))
    assert "mine" not in METHODS.names()
    load_file(write(SHORTEST.replace("w.abs()", "-w.abs()")))
    assert ask(METHODS.get("mine"), weights={"w": torch.tensor([2.0])})["w"].tolist() == [-2]


def test_a_file_that_leaves_python_is_not_taken_for_loaded(write: Write) -> None:
    path = write("raise SystemExit(3)")
    for _ in range(2):
        with pytest.raises(PluginError, match="SystemExit: 3"):
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


def test_installed_plugin_that_fails_to_import_is_named_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("theirs", "no_such_package_here.pruning", "prunecheck.methods")
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])  # noqa: ARG005
    fresh = registry.Registry("method", "prunecheck.pruning.methods", "prunecheck.methods")
    with pytest.warns(UserWarning, match=r"no_such_package_here\.pruning.*ModuleNotFoundError"):
        fresh.names()
    with pytest.raises(PluginError, match=r"(?s)'theirs' is not a method.*no_such_package_here\.pruning"):
        fresh.get("theirs")


BAD_IMPORTS = {
    "SystemExit": "raise SystemExit(0)",
    "GeneratorExit": "raise GeneratorExit",
    "Own": "class Own(BaseException): pass\nraise Own",
    "Unprintable": "class Unprintable(Exception):\n    def __str__(self): raise RuntimeError\nraise Unprintable",
    "os._exit": "import os\nos._exit(0)",
}


@pytest.mark.parametrize("name", BAD_IMPORTS)
def test_installed_plugin_that_raises_anything_at_import_stops_no_other(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "raises_at_import.py").write_text(BAD_IMPORTS[name])
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("theirs", "raises_at_import", "prunecheck.methods")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])  # noqa: ARG005
    fresh = registry.Registry("method", "prunecheck.pruning.methods", "prunecheck.methods")
    with pytest.warns(UserWarning, match=rf"theirs \(raises_at_import\) cannot be imported: .*{name}"):
        fresh.names()


@pytest.mark.parametrize("name", BAD_IMPORTS)
def test_plugin_file_that_raises_anything_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "raises.py"
    path.write_text(BAD_IMPORTS[name])
    with pytest.raises(PluginError, match=rf"^plug-in raises\.py, line \d: .*{name}[^\n]*$"):
        load_file(path)


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


def value_of(name: str = "mine") -> float:
    """What the method makes of a weight of 2."""
    return float(ask(METHODS.get(name), weights={"w": torch.tensor([2.0])})["w"])


HELPED = """
    from prunecheck.pruning import method
    IMPORT

    @method
    def mine(weights):
        return {n: CALL(w) for n, w in weights.items()}
"""


def helped(import_: str, call: str) -> str:
    return dedent(HELPED).replace("IMPORT", import_).replace("CALL", call)


def test_changed_file_is_loaded_anew_and_its_fingerprint_changes(write: Write) -> None:
    old = load_file(write(SHORTEST))
    assert (METHODS.get("mine").code, value_of()) == (old, 2)
    new = load_file(write(SHORTEST.replace("w.abs()", "w.neg()")))  # as many characters, within the same second
    assert (METHODS.get("mine").code, value_of()) == (new, -2)
    assert new != old


def test_plugin_that_was_deleted_from_its_file_is_forgotten(write: Write) -> None:
    load_file(write(SHORTEST))
    load_file(write(SHORTEST.replace("def mine", "def other")))
    assert "mine" not in METHODS.names()
    assert "other" in METHODS.names()


def test_comments_do_not_load_a_file_anew(write: Write) -> None:
    load_file(write(SHORTEST))
    function = METHODS.get("mine").function
    load_file(write("# a remark\n" + dedent(SHORTEST)))
    assert METHODS.get("mine").function is function


@pytest.mark.parametrize(
    ("import_", "call"),
    [
        ("import helper", "helper.score"),
        ("import helper as h", "h.score"),
        ("from helper import score", "score"),
        ("from helper import *", "score"),
        ("from . import helper", "helper.score"),
        ("from .helper import score", "score"),
        ("import package.part", "package.part.score"),
        ("from package import part", "part.score"),
        ("from package.part import score", "score"),
        ("from package import score", "score"),
        ("import folder.part", "folder.part.score"),
        ("from folder.part import score", "score"),
        ("import chain", "chain.score"),
    ],
)
def test_helper_module_beside_the_file_is_importable_and_part_of_the_code(
    write: Write, import_: str, call: str
) -> None:
    def helpers(factor: int) -> None:
        score = f"def score(w):\n    return w * {factor}\n"
        write(score, "helper.py")
        write("from .part import score\n", "package/__init__.py")
        write(score, "package/part.py")
        write(score, "folder/part.py")
        write("def score(w):\n    import helper\n    return helper.score(w)\n", "chain.py")

    helpers(3)
    path = write(helped(import_, call))
    first = load_file(path)
    assert value_of() == 6
    helpers(5)
    second = load_file(path)
    assert value_of() == 10
    assert METHODS.get("mine").code == second != first
    helpers(3)
    assert load_file(path) == first


def test_helper_modules_of_one_name_are_not_shared_between_folders(write: Write) -> None:
    for folder, factor in (("a", 3), ("b", 5)):
        write(f"def score(w):\n    return w * {factor}\n", f"{folder}/helper.py")
        text = helped("", "score_it").replace("def mine", f"def mine_{folder}")
        text += "\ndef score_it(w):\n    import helper\n    return helper.score(w)\n"  # imported when it is called
        load_file(write(text, f"{folder}/plug.py"))
    assert (value_of("mine_a"), value_of("mine_b")) == (6, 10)


def test_helper_module_may_import_the_file_back(write: Write) -> None:
    write("import plug\n\ndef score(w):\n    return w * plug.FACTOR\n", "helper.py")
    load_file(write(helped("import helper\nFACTOR = 7", "helper.score")))
    assert value_of() == 14


def test_helper_module_that_no_import_statement_names_is_not_importable(write: Write) -> None:
    write("def score(w):\n    return w\n", "helper.py")
    text = helped("import importlib\nhelper = importlib.import_module('helper')", "helper.score")
    assert "No module named 'helper'" in refusal(write(text))


def test_file_named_like_a_module_of_the_standard_library_shadows_nothing(write: Write) -> None:
    write("1 / 0\n", "random.py")
    load_file(write(helped("import random", "float")))
    assert value_of() == 2


def test_file_edited_after_it_was_read_runs_as_it_was_read(write: Write) -> None:
    path = write(SHORTEST)
    source = read_source(path)
    write(SHORTEST.replace("w.abs()", "-w.abs()"))
    module = run_source(source, "test_of_prunecheck")
    try:
        assert module.mine(weights={"w": torch.tensor([2.0])})["w"].tolist() == [2]
    finally:
        forget(module.__name__)


def test_function_of_the_package_registered_in_a_notebook_belongs_to_the_user() -> None:
    mine = method(name="mine", when="trained")(METHODS.get("snip").function)
    assert (mine.origin, len(mine.code)) == ("__main__", 64)


def test_plugin_of_an_importable_module_carries_its_helpers(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("def score(w):\n    return w * 3\n", "theirs_of_the_test/helper.py")
    write("", "theirs_of_the_test/__init__.py")
    path = write(helped("from theirs_of_the_test.helper import score", "score"), "theirs_of_the_test/plug.py")
    monkeypatch.syspath_prepend(str(path.parents[1]))
    with monkeypatch.context() as modules:
        importlib.import_module("theirs_of_the_test.plug")
        for name in ("theirs_of_the_test", "theirs_of_the_test.plug", "theirs_of_the_test.helper"):
            modules.delitem(sys.modules, name)
    first = METHODS.get("mine")
    assert first.origin == "theirs_of_the_test.plug"
    write("def score(w):\n    return w * 5\n", "theirs_of_the_test/helper.py")
    assert read_source(path, first.origin).fingerprint != first.code


def test_only_plugins_of_users_can_be_removed(write: Write) -> None:
    load_file(write(SHORTEST))
    METHODS.remove("mine")
    assert "mine" not in METHODS.names()
    for name in ("mine", "snip"):
        with pytest.raises(PluginError, match="is not a method that can be removed"):
            METHODS.remove(name)
    assert "snip" in METHODS.names()


def test_removing_one_kind_leaves_the_others(write: Write) -> None:
    load_file(write(SHORTEST))
    METHODS.remove("mine")
    assert "rearrange_mine" in CHECKS.names()
    assert "erk" in ALLOCATIONS.names()


def test_settings_that_a_file_changes_when_loaded_are_put_back_with_a_warning(write: Write) -> None:
    path = write("import torch\ntorch.set_default_dtype(torch.float64)\n" + dedent(SHORTEST))
    with pytest.warns(UserWarning, match=r"plug\.py changed default dtype while it was imported; this was put back"):
        load_file(path)
    assert torch.zeros(1).dtype is torch.float32
    assert value_of() == 2


@pytest.mark.parametrize(
    ("plugins", "name", "message"),
    [
        (METHODS, "wanda", "'wanda' is not a method. It is one of pruning without training"),
        (CHECKS, "shuffled_tokens", 'for studies with task = "language_model"'),
        (registry.POST_TRAINING_METHODS, "snip", "It is one of networks that are trained"),
        (registry.POST_TRAINING_METHODS, "wamda", "Did you mean 'wanda'?"),
        (registry.POST_TRAINING_CHECKS, "shufled_tokens", "Did you mean 'shuffled_tokens'?"),
    ],
)
def test_a_name_of_the_other_task_is_refused_with_the_task_it_is_for(plugins: Any, name: str, message: str) -> None:
    with pytest.raises(PluginError) as error:
        plugins.get(name)
    assert message in str(error.value)
