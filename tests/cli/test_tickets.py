"""ticket, audit and arms on the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import prunecheck
from prunecheck.cli import main
from prunecheck.models import build
from prunecheck.pruning.seeds import torch_stream

MODEL = ["--model", "resnet8", "--classes", "10"]


@pytest.fixture
def ticket(tmp_path: Path) -> Path:
    path = tmp_path / "ticket.safetensors"
    assert main(["ticket", "resnet8", "--sparsity", "95%", "--out", str(path)]) == 0
    return path


def test_ticket_command_writes_the_mask_of_the_python_function(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ticket.safetensors"
    assert main(["ticket", "resnet8", "--sparsity", "95%", "--out", str(path)]) == 0
    model = build("resnet8", num_classes=10)
    wanted = prunecheck.random_ticket(model, 0.95, seed=0)
    found = load_file(path)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], mask) for name, mask in wanted.items())
    assert capsys.readouterr().out.endswith(
        "ticket.safetensors: 15365 of 307296 weights kept in 10 layers (95% sparse)\n"
    )


def test_another_seed_method_and_allocation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.safetensors"
    options = ["--sparsity", "0.9", "--seed", "3", "--method", "magnitude_init", "--allocate", "erk", "--json"]
    assert main(["ticket", "resnet8", *options, "--out", str(path)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["counts"].values()) == [k for _, _, k in prunecheck.counts("resnet8", 0.9, allocate="erk")]
    with torch_stream(3, "init"):
        model = build("resnet8", num_classes=10)
    largest = prunecheck.mask("magnitude_init", model, None, 0.9, allocate="erk")
    assert all(torch.equal(mask, largest[name]) for name, mask in load_file(path).items())


def test_synflow_needs_only_the_shape_of_an_image(tmp_path: Path) -> None:
    options = ["--sparsity", "0.9", "--method", "synflow", "--channels", "1", "--image-size", "8"]
    assert main(["ticket", "convnet", *options, "--out", str(tmp_path / "t.safetensors")]) == 0
    masks = load_file(tmp_path / "t.safetensors")
    assert sum(int(mask.sum()) for mask in masks.values()) == round(0.1 * sum(m.numel() for m in masks.values()))


def test_a_ticket_of_a_method_that_needs_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.safetensors"
    assert main(["ticket", "resnet8", "--sparsity", "0.9", "--method", "snip", "--out", str(path)]) == 2
    assert capsys.readouterr().err == "prunecheck: 'snip' scores on data: give it (inputs, targets).\n"
    assert not path.exists()


def test_an_audit_as_table_and_as_json(ticket: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["audit", str(ticket), *MODEL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "weights", "kept", "share", "smart", "ratio", "erk"]
    assert lines[10].split()[:5] == ["fc.weight", "1280", "384", "0.3000", "0.3000"]
    assert "sparsity              95% (15365 of 307296 weights kept)" in lines
    assert main(["audit", str(ticket), *MODEL, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert document["kept"] == 15365
    assert document["effective_sparsity"] >= document["sparsity"]
    assert [layer["kept"] for layer in document["layers"]] == [layer["smart_ratio"] for layer in document["layers"]]


def test_an_audit_of_the_wrong_model_and_of_chance_zeros(
    ticket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(ticket), "--model", "resnet14"]) == 2
    assert "there is no mask for layer1.1.conv1.weight" in capsys.readouterr().err
    state = {name: value.contiguous() for name, value in build("resnet8", num_classes=10).state_dict().items()}
    state["layer1.0.conv1.weight"][0] = 0
    state["layer3.0.conv1.weight"][0, 0, 0, 0] = 0
    save_file(state, tmp_path / "w.safetensors")
    assert main(["audit", str(tmp_path / "w.safetensors"), *MODEL]) == 0
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert "note: " in err[0]
    assert "layer3.0.conv1.weight has 1 zeros among 73728 weights" in err[0]


def test_arms_filled_in_are_judged(ticket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, start = tmp_path / "arms", tmp_path / "start.safetensors"
    save_file({n: v.contiguous() for n, v in build("resnet8", num_classes=10).state_dict().items()}, start)
    checks = "layerwise_rearrange,layerwise_weight_shuffle,reinit"
    command = ["arms", str(ticket), *MODEL, "--checks", checks, "--seeds", "0,1,2", "--out", str(folder)]
    assert main([*command, "--weights", str(start), "--n-test", "10000", "--name", "ours"]) == 0
    table = folder / "arms.csv"
    assert capsys.readouterr().err.endswith(f"then: prunecheck verdict {table}\n")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["dense"] * 3 + (["ours"] * 4 + ["random_ticket"] * 2) * 3
    assert all((folder / row["file"]).is_file() for row in rows[3:])
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "accuracy": 0.9 - 0.2 * (row["check"] == "reinit")} for row in rows)
    capsys.readouterr()
    assert main(["verdict", str(table), "--classes", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["margin"] == 0.8, "1 % of what the dense rows know above chance"
    verdicts = {c["check"]: c["verdict"] for c in found["checks"]}
    assert verdicts["reinit"] == "DEPENDS"
    assert set(verdicts) == set(checks.split(","))


def test_arms_refuses_wrong_arguments(ticket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["arms", str(ticket), *MODEL, "--out", str(tmp_path / "arms")]
    assert main([*command, "--seeds", "0;1"]) == 2
    assert "--seeds 0;1: write whole numbers separated by commas" in capsys.readouterr().err
    assert main([*command, "--checks", "reinit"]) == 2
    assert "corrupts the weights the ticket starts from" in capsys.readouterr().err


def test_audit_of_two_checkpoints_compares_their_masks(
    ticket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.safetensors"
    assert main(["ticket", "resnet8", "--sparsity", "95%", "--seed", "1", "--out", str(other)]) == 0
    capsys.readouterr()
    assert main(["audit", str(ticket), str(other)]) == 0
    assert "by chance" in capsys.readouterr().out
    assert main(["audit", str(ticket), str(ticket), "--json"]) == 0
    assert "The two masks are identical" in json.loads(capsys.readouterr().out)["alarms"][0]
    assert main(["audit", str(ticket), str(other), *MODEL[:2]]) == 2
    assert main(["audit", str(ticket)]) == 2
    assert "give --model" in capsys.readouterr().err


def test_audit_names_a_missing_or_empty_file_before_it_asks_for_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.pt").touch()
    for name, problem in (("nope.pt", "nope.pt does not exist."), ("empty.pt", "empty.pt is empty.")):
        assert main(["audit", str(tmp_path / name)]) == 2
        assert problem in capsys.readouterr().err
