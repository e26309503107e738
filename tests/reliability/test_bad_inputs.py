"""Studies with wrong data, plug-ins or networks: refused before the first training, exit 2, at most three lines
that name the place, nothing written. Errors in study files alone are in tests/study/bad_studies.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Cli
from tests.data.makers import cut
from tests.reliability.bad_data import BAD_DATA, BadData, pictures
from tests.study.studies import write

HERE = Path(__file__).parent
PLUGINS: list[dict[str, Any]] = tomllib.loads((HERE / "bad_plugins.toml").read_text("utf-8"))["case"]
MODELS: list[dict[str, Any]] = tomllib.loads((HERE / "bad_models.toml").read_text("utf-8"))["case"]
FIELDS = {
    "model": '"convnet"',
    "data": '{ name = "digits", train_size = 60, test_size = 50 }',
    "methods": '["snip"]',
    "checks": '["layerwise_rearrange"]',
    "sparsities": "[0.8]",
    "seeds": "1",
    "controls": "[]",
    "scoring": "{ samples_per_class = 2 }",
}
TRAINING = "[training]\nepochs = 1\nrewind_epoch = 0\nbatch_size = 30\n"
IMPORTS = "import torch\nfrom prunecheck.pruning import allocation, check, method\n\n"


@pytest.fixture(autouse=True)
def _nothing_is_ever_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunecheck.steps.perform", lambda *_: pytest.fail("a step was begun"))


def study_of(lines: str, **fields: str) -> str:
    """The small study with some of its fields replaced."""
    here, bracket, tables = lines.partition("[training]")
    new = dict(line.split(" = ", 1) for line in here.strip().splitlines())
    text = "\n".join(f"{key} = {value}" for key, value in {**FIELDS, **fields, **new}.items())
    return f"{text}\n{TRAINING if not bracket else TRAINING.strip() + tables}\n"


def assert_refused(cli: Cli, folder: Path, text: str, says: list[str]) -> None:
    path = write(folder, text)
    before = {p for p in folder.rglob("*") if "__pycache__" not in p.parts}
    said = cli("run", path, "--workers", 1, "--out", folder / "out")
    assert said.code == 2, said.err
    assert said.out == ""
    assert len(said.err.strip().splitlines()) <= 3, said.err
    assert said.err.replace("\n", "").isprintable()
    assert "Traceback" not in said.err
    for fragment in says:
        assert fragment in said.err, said.err
    assert {p for p in folder.rglob("*") if "__pycache__" not in p.parts} == before, "something was written"


@pytest.mark.parametrize("case", PLUGINS, ids=[case["name"] for case in PLUGINS])
def test_bad_plugin_is_refused(case: dict[str, Any], cli: Cli, tmp_path: Path) -> None:
    fields = {}
    if "plugin" in case:
        write(tmp_path, IMPORTS + case["plugin"], "plug.py")
        fields = {"plugins": '["plug.py"]'} | ({} if "lines" in case else {"methods": '["mine"]'})
    assert_refused(cli, tmp_path, study_of(case.get("lines", ""), **fields), case["says"])


@pytest.mark.parametrize("case", MODELS, ids=[case["name"] for case in MODELS])
def test_bad_network_is_refused(case: dict[str, Any], cli: Cli, tmp_path: Path) -> None:
    write(tmp_path, "import torch\nfrom torch import nn\n\n" + case.get("nets", ""), "nets.py")
    model = case.get("model", "nets.py:net")
    assert_refused(cli, tmp_path, study_of(case.get("lines", ""), model=f'"{model}"'), case["says"])


@pytest.mark.parametrize("case", BAD_DATA, ids=[case.name for case in BAD_DATA])
def test_bad_data_is_refused(case: BadData, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNECHECK_DATA", raising=False)
    cut(monkeypatch, "mnist", 40, 20)
    case.spoil(tmp_path)
    assert_refused(cli, tmp_path, study_of(case.lines), list(case.says))


def test_the_unspoilt_study_reaches_its_first_step(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a valid study, plug-ins of each kind, a network and pictures the run reaches its first step."""
    assert min(len(PLUGINS), len(MODELS), len(BAD_DATA)) >= 15
    for cases in (PLUGINS, MODELS):
        assert len({case["name"] for case in cases}) == len(cases)
    begun: list[object] = []
    monkeypatch.setattr("prunecheck.steps.perform", lambda *_: begun.append(1) or _never())
    write(tmp_path, IMPORTS + GOOD, "plug.py")
    write(
        tmp_path,
        "from torch import nn\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n",
        "nets.py",
    )
    pictures(tmp_path)
    mine = (
        'plugins = ["plug.py"]\nmethods = ["mine", "whole", "later"]\nchecks = ["masked", "scored", "weighed", "seen"]'
    )
    folder = 'data = { name = "folder", root = "pictures", size = 8 }'
    for lines in ("", mine, folder, 'model = "nets.py:net"'):
        begun.clear()
        said = cli("run", write(tmp_path, study_of(lines)), "--workers", 1, "--out", tmp_path / "out")
        assert begun, said.err


def _never() -> None:
    raise ValueError("the first step has begun")


GOOD = """
@method
def mine(weights, loss, rng, options=1):
    return {n: w.abs() for n, w in weights.items()}

@method(gives="masks", allocate="uniform")
def whole(weights, counts, batches):
    cut = {n: w.abs().flatten().sort().values[-counts[n]] for n, w in weights.items()}
    return {n: w.abs() >= cut[n] for n, w in weights.items()}

@method(when="trained", rewind="nothing", retrain="rest")
def later(model, weights):
    return {n: w.abs() for n, w in weights.items()}

@check(at="masks", preserves="counts")
def masked(masks):
    return {n: m.flip(0) for n, m in masks.items()}

@check(at="scores")
def scored(scores):
    return {n: -s for n, s in scores.items()}

@check(at="weights", preserves="magnitudes")
def weighed(weights):
    return {n: -w for n, w in weights.items()}

@check(at="batches")
def seen(batches, classes):
    return batches[0], (batches[1] + 1) % classes
"""
