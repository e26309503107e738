"""Untrusted input: the package runs nothing that it reads, uses no network, and sends no escape sequence to a terminal
and no formula to a spreadsheet."""
# ruff: noqa: F811  (pytest passes fixtures by the names they are imported under)

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors import safe_open

import prunecheck
from tests.cli.command import Cli
from tests.cli.conftest import cli  # noqa: F401
from tests.runner import tiny

SOURCE = Path(prunecheck.__file__).parent
RUNS_OR_UNPICKLES = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "subprocess", "ctypes"}
NETWORK = {"requests", "httpx", "aiohttp", "http", "socket", "ftplib", "smtplib", "telnetlib", "ssl", "urllib.request"}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "joblib.load", "yaml.load", "torch.hub.load"}
AUDITED_TORCH_LOAD = "interop/files.py"
AUDITED_UNPICKLER = "data/cifar.py"
"""reads the python edition of CIFAR with an Unpickler that resolves names by its own list"""
AUDITED_SUBPROCESS = "runner/slurm.py"
"""calls sbatch for `prunecheck submit`, without a shell"""
AUDITED_CTYPES = "study/gpus.py"
"""asks the CUDA driver for the names of the GPUs, without importing torch"""
AUDITED_EXEC = "source.py"
"""runs plug-in and model files, which are the user's own code"""


def dotted(node: ast.expr) -> str:
    """``a.b.c`` of a name or attribute; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def violations(text: str, file: str = "x.py") -> Iterator[str]:
    """Everything in *text* that the package must not do."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            origin = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            for name in [".".join(filter(None, (origin, alias.name))) for alias in node.names]:
                audited = ("pickle", AUDITED_UNPICKLER), ("subprocess", AUDITED_SUBPROCESS), ("ctypes", AUDITED_CTYPES)
                if (name, file) in audited:
                    continue
                if {name, name.split(".")[0], ".".join(name.split(".")[:2])} & (RUNS_OR_UNPICKLES | NETWORK):
                    yield f"imports {name}"
                if name in CALLS | {"torch.load", "numpy.load"}:
                    yield f"hides {name} behind another name"
        if isinstance(node, ast.Call):
            yield from violations_of_call(node, file)


def violations_of_call(node: ast.Call, file: str) -> Iterator[str]:
    name = dotted(node.func)
    given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
    runs_user_code = file == AUDITED_EXEC and name in ("exec", "compile")
    if (name in CALLS and not runs_user_code) or name in ("pickle.load", "pickle.loads"):
        yield f"calls {name}"
    if name == "torch.load" and (file != AUDITED_TORCH_LOAD or given.get("weights_only") is not True):
        yield "calls torch.load"
    if name in ("np.load", "numpy.load") and given.get("allow_pickle") is not False:
        yield "calls np.load without allow_pickle=False"
    if given.get("shell") is True or given.get("trust_remote_code") is True:
        yield "passes text to a shell, or trusts remote code"


def test_source_has_no_eval_pickle_subprocess_or_network() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 100
    found = {}
    for file in files:
        name = file.relative_to(SOURCE).as_posix()
        if wrong := list(violations(file.read_text(encoding="utf-8"), name)):
            found[name] = wrong
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import requests as r",
        "from urllib import request",
        "import urllib.request",
        "import http.client",
        "from torch import load",
        "eval('1')",
        "exec(text)",
        "compile(text, '', 'exec')",
        "__import__('os')",
        "import os\nos.system('ls')",
        "run('ls', shell=True)",
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "def f():\n    import joblib",
    ],
)
def test_lint_finds_forbidden_calls(text: str) -> None:
    assert list(violations(text))


def test_torch_load_is_allowed_in_one_file_with_weights_only() -> None:
    assert not list(violations("torch.load(p, weights_only=True)", AUDITED_TORCH_LOAD))
    assert list(violations("torch.load(p, weights_only=False)", AUDITED_TORCH_LOAD))
    assert list(violations("torch.load(p)", AUDITED_TORCH_LOAD))


def test_pickle_is_allowed_in_one_file_without_load() -> None:
    assert not list(violations("import pickle\npickle.Unpickler(f).load()", AUDITED_UNPICKLER))
    assert list(violations("import pickle\npickle.loads(b)", AUDITED_UNPICKLER))
    assert list(violations("from pickle import loads", AUDITED_UNPICKLER))


def test_exec_is_allowed_in_one_file_only() -> None:
    assert not list(violations("import subprocess\nsubprocess.run(['sbatch'])", AUDITED_SUBPROCESS))
    assert list(violations("import subprocess\nsubprocess.run('sbatch', shell=True)", AUDITED_SUBPROCESS))
    assert list(violations("import subprocess"))
    assert not list(violations("exec(compile(text, path, 'exec'))", AUDITED_EXEC))
    assert list(violations("eval(text)", AUDITED_EXEC))


def test_store_holds_safetensors_and_json_only(tmp_path: Path) -> None:
    tiny.run(tmp_path, methods=["lr_rewinding"], checks=["random_labels", "layerwise_weight_shuffle"])
    files = [path for path in (tmp_path / "store" / "objects").rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        if path.suffix == ".safetensors":
            with safe_open(path, "np") as tensors:
                assert list(tensors.keys())
        else:
            assert path.suffix == ".json", path.name
            assert isinstance(json.loads(path.read_bytes()), dict)
    others = {path.name for path in (tmp_path / "store").iterdir()}
    assert others == {
        *("objects", "partial", "quarantine", "claims", "tmp"),
        *("format.json", "CACHEDIR.TAG", ".gitignore", "lock", "timings.jsonl"),
    }
    assert not [path for name in ("partial", "quarantine", "tmp") for path in (tmp_path / "store" / name).iterdir()]


ESCAPES = [
    "\x1b[2J",
    "\x1b[31mred",
    "\x1b]0;owned\x07",
    "\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;b3duZWQ=\x07",
    "\x1bP1$r0m\x1b\\",
    "\x1b[6n",
    "\x1b[?1049h",
    "\x1bc",
    "\x9b31m",
    "\x9d0;owned\x9c",
    "a\rb",
    "a\bb",
    "a\x00b",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    "a\u202eb",
    "a\x0eb",
]
FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("https://example.com")',
    "  =1+1",
    "\t=1+1",
    "\n=1+1",
    '=1+1,"x',
]
PAYLOADS = ESCAPES + FORMULAS


def is_harmless(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
def test_escapes_and_formulas_in_study_names_are_harmless(payload: str, cli: Cli, tmp_path: Path) -> None:
    study = {"model": "convnet", "data": "digits", "methods": ["snip"], "checks": ["identity"], "sparsities": [0.9]}
    hostile = [
        {"name": payload},
        {"methods": [payload]},
        {"methods": [{"name": "snip", "label": payload}]},
        {"checks": [{"name": "identity", "label": payload}]},
        {"model": payload},
        {"data": payload},
        {payload: 1},
    ]
    for number, fields in enumerate(hostile):
        path = tmp_path / f"{number}.toml"
        rows = [f"{json.dumps(k)} = {_toml(v)}" for k, v in {**study, **fields}.items()]
        path.write_text("\n".join(rows).replace("\x7f", "\\u007f"), encoding="utf-8")
        said = cli("plan", path)
        refused = said.code == 2 or (said.code == 0 and "model" in fields)  # a plan builds no network
        assert refused, (fields, said)
        assert is_harmless(said.out + said.err), fields
        assert len(said.err.splitlines()) <= 3
    assert not (tmp_path / "store").exists()


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def test_escapes_and_formulas_in_table_labels_are_harmless(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "theirs.csv"
    # a table can hold no null character, and no two columns whose names differ in white space only
    payloads = list({payload.strip(): payload for payload in PAYLOADS if "\x00" not in payload}.values())
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "check", "sparsity", "seed", "accuracy", "n_test", *payloads])
        for payload in payloads:
            for seed in range(3):
                for check in ("clean", payload):
                    writer.writerow([payload, check, 0.9, seed, 0.9 - 0.1 * (check == payload), 1000, *payloads])
    said = cli("verdict", table, "--margin", 0.5, "--out", tmp_path / "out")
    assert said.code == 0, said
    assert is_harmless(said.out + said.err)
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 100
    for cell in [cell for row in rows for cell in row]:
        assert not cell.lstrip(" ").startswith(("=", "+", "@", "\t", "\r", "\n")), ascii(cell)
        assert not cell.startswith("-") or cell[1:].replace(".", "").isdigit(), ascii(cell)
        assert is_harmless(cell)


def test_escapes_in_plugin_errors_are_harmless(cli: Cli, tmp_path: Path) -> None:
    for number, payload in enumerate(ESCAPES):
        (tmp_path / f"p{number}.py").write_text(f"raise ValueError({payload!a})\n")
        path = tmp_path / "s.toml"
        path.write_text(
            f'model = "convnet"\ndata = "digits"\nmethods = ["snip"]\nchecks = ["identity"]\nsparsities = [0.9]\n'
            f'plugins = ["p{number}.py"]\n'
        )
        said = cli("plan", path)
        assert (said.code, is_harmless(said.out + said.err)) == (2, True), ascii(payload)
