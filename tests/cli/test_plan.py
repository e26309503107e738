from __future__ import annotations

import json
import os
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from prunecheck.resources import study_text
from prunecheck.runner.engine import Failure
from prunecheck.runner.explain import differences
from prunecheck.runner.records import write_failed, write_plan
from prunecheck.store import Store
from prunecheck.study import Step, gpus, load_study, make_plan
from tests.cli.command import Cli
from tests.reliability.study_folder import new_study_folder


def steps_of(path: Path) -> dict[str, Step]:
    return {step.kind: step for step in make_plan(load_study(path)).steps.values()}


def test_explain_before_and_after_a_run(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    steps = steps_of(path)
    train, pretrain = steps["train"], steps["pretrain"]
    said = cli("explain", train.key[:16], path)
    assert said.code == 0
    who = f"train {train.key[:16]} ({train.title})"
    assert said.out.startswith(f"{who} will run: it was never run. Missing as well, and made before it: masks (")
    assert len(said.out.splitlines()) == 1
    assert cli("explain", pretrain.key, path).out.endswith("will run: it was never run.\n")
    assert cli("explain", train.key[:16]).code == 2

    assert cli("run", path, "--workers", 1).code == 0
    assert cli("explain", train.key[:16], path).out == f"{who} is in the store and will not run again.\n"
    assert "final.safetensors (" in cli("explain", train.key[:16]).out
    Store.open(tmp_path / "store").drop(train.key)
    said = cli("explain", train.key[:16], path)
    assert "it was in the last run, which did not come to it (or its artefact was removed since)" in said.out
    assert said.out.endswith("All it is made from (masks) is there.\n")


def test_explain_names_changes_since_the_last_run(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    before = steps_of(path)
    assert cli("run", path, "--workers", 1).code == 0
    path.write_text(path.read_text().replace("epochs = 1", "epochs = 2"))
    train = steps_of(path)["train"]
    said = cli("explain", train.key[:12], path).out
    assert "it is not what the last run made: recipe.epochs was 1 and is 2" in said
    assert f"that one ({before['train'].key[:16]}) is in the store." in said
    said = cli("explain", before["train"].key[:12], path)
    assert (said.code, "no step of" in said.err) == (2, True)
    path.write_text(path.read_text().replace("[0.8]", "[0.7]"))
    said = cli("explain", steps_of(path)["train"].key[:12], path).out
    assert "it was never run, and no step of that name was in the last run" in said


def test_explain_names_another_torch_version(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    plan = make_plan(load_study(path))
    folder = tmp_path / "runs" / "s"
    write_plan(folder, plan)
    text = (folder / "plan.json").read_text()
    key, torch = plan.arms[0].train, version("torch")
    text = text.replace(f'"torch":"{torch}"', '"torch":"1.0"').replace(key, "e" * 64)
    (folder / "plan.json").write_text(text)
    said = cli("explain", key[:12], path).out
    assert f"torch was '1.0' and is '{torch}'" in said
    assert f"that one ({'e' * 16}) is not in the store either" in said
    for content in ("", "{}", "[]", '{"steps": [{}], "parts": [], "numerics": {}}', "\udcff"):
        (folder / "plan.json").write_bytes(content.encode(errors="surrogateescape"))
        assert "plan.json is damaged: " in cli("explain", key[:12], path).err


def test_explain_names_running_process_and_last_failure(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    step = steps_of(path)["pretrain"]
    with Store.open(tmp_path / "store").claim(step.key):
        assert f"is being made now by process {os.getpid()} on " in cli("explain", step.key[:12], path).out
    write_failed(tmp_path / "runs" / "s", [Failure(step, "no \x1b[2Jmemory")])
    said = cli("explain", step.key[:12], path).out
    assert "will run: it failed when it was last tried (no " in said
    assert "\x1b" not in said


def test_differences_are_named_leaf_by_leaf() -> None:
    old = {"a": {"b": 1, "c": [1]}, "gone": True, "code": "x" * 64}
    new = {"a": {"b": 2, "c": [1]}, "code": "y" * 64, "new": 0.5}
    assert list(differences(old, new)) == [
        "a.b was 1 and is 2",
        "code has changed",
        "new was not set and is 0.5",
        "gone was True and is not set",
    ]
    assert list(differences(new, new)) == []


def test_explain_refuses_an_ambiguous_or_unknown_key(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial") / "s.toml"
    for digits in ("zz", "\x1b[2J", "f" * 64):
        said = cli("explain", digits, path)
        assert said.code == 2
        assert "no step of" in said.err
        assert "\x1b" not in said.err
    digits = [key[0] for key in make_plan(load_study(path)).steps]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    assert "Give more digits" in cli("explain", twice, path).err
    assert cli("explain", "", path).code == 2


def test_explain_suggests_a_close_key_and_the_order_of_arguments(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial") / "s.toml"
    key = next(iter(make_plan(load_study(path)).steps))
    wrong = key[:6] + ("0" if key[6] != "0" else "1") + key[7:12]
    said = cli("explain", wrong, path)
    assert (said.code, f"Did you mean {key[:12]!r}?" in said.err) == (2, True)
    said = cli("explain", path, key[:12])
    assert (said.code, "the key comes first" in said.err) == (2, True)


def test_plan_works_without_the_data_and_run_does_not(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(study_text("sanity-initial-resnet32-tiny"), encoding="utf-8")
    said = cli("plan", path)
    assert said.code == 0
    assert "data        planned by published numbers: data 'tiny_imagenet' is not there" in said.out
    assert "trainings   264 " in said.out
    assert not json.loads(cli("plan", path, "--json").out)["data_is_there"]
    said = cli("run", path)
    assert (said.code, said.out) == (2, "")
    assert "data 'tiny_imagenet' is not there" in said.err


def test_plan_says_what_stays_dense(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    assert "stay dense" not in cli("plan", path).out
    bare = re.sub(r"(?m)^model = .*$", 'model = "tests.sequence_nets:transformer"', path.read_text())
    path.write_text(bare)
    said = cli("plan", path)
    assert "parameters stay dense, among them encoder.layers.0.self_attn.in_proj_weight" in said.out
    assert "parameters stay dense" in json.loads(cli("plan", path, "--json").out)["stays_dense"]
    path.write_text(f'also_prune = ["attention"]\n{bare}')
    assert "stay dense" not in cli("plan", path).out


def test_plan_of_a_gpu_study_counts_gpus_and_says_if_there_is_none(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    monkeypatch.setattr(gpus, "gpu_names", lambda: ())
    said = cli("plan", path, "--set", "device=cuda")
    assert said.code == 0
    assert "on 1 GPU (model unknown)" in said.out
    assert re.search(r"missing +device = 'cuda', but this machine has no such GPU", said.out)
    monkeypatch.setattr(gpus, "gpu_names", lambda: ("NVIDIA H200", "NVIDIA H200"))
    found = cli("plan", path, "--set", "device=cuda")
    assert "on 2 GPUs (NVIDIA H200)" in found.out
    assert "missing" not in found.out


def test_plan_needs_no_network_that_can_be_built_here(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    path.write_text(re.sub(r"(?m)^model = .*$", 'model = "nowhere_at_all:net"', path.read_text()))
    said = cli("plan", path)
    assert said.code == 0
    assert "Whether weights stay dense is unknown: model module 'nowhere_at_all' cannot be imported" in said.out


NETS = """
from torch import nn

class Wrong(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 7)
    def forward(self, x):
        return self.fc(x.flatten(1))

def small():
    return nn.Sequential(nn.Conv2d(1, 8, 3, 8, 1), nn.Conv2d(8, 8, 3, 1, 1), nn.Flatten(), nn.Linear(8, 10))
"""


def test_plan_tries_the_network_as_run_does(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    path.write_text(re.sub(r"(?m)^model = .*$", 'model = "nets.py:Wrong"', path.read_text()))
    (path.parent / "nets.py").write_text(NETS)
    planned, run = cli("plan", path), cli("run", path)
    assert (planned.code, run.code, planned.err) == (2, 2, run.err)
    assert "gives (2, 7) for 2 images" in planned.err


def test_plan_says_which_weights_only_multiply_padding(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    path.write_text(re.sub(r"(?m)^model = .*$", 'model = "nets.py:small"', path.read_text()))
    (path.parent / "nets.py").write_text(NETS)
    said = cli("plan", path)
    assert re.search(
        r"padding +\d+% of the weights of nets.py:small only ever multiply padding: images of 8 x 8", said.out
    )
    assert 'model = "resnet18"' in json.loads(cli("plan", path, "--json").out)["multiplies_padding"]
