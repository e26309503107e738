from __future__ import annotations

import json
from pathlib import Path

import pytest

from prunecheck.runner import trackers
from prunecheck.study import load_study, make_plan
from prunecheck.study.faster import faster_choices
from tests.cli.command import Cli, files
from tests.runner import tiny
from tests.study.studies import BASE_TOML, study_text, write

PLUGIN = """\
from prunecheck.pruning import check

@check(at="scores")
def upside_down(scores):
    return {name: -score for name, score in scores.items()}
"""


def test_init_writes_a_study_that_can_be_planned(cli: Cli, tmp_path: Path) -> None:
    said = cli("init")
    assert (said.code, said.out) == (0, "")
    assert "prunecheck plan study.toml" in said.err
    assert make_plan(load_study(tmp_path / "study.toml")).trainings > 0


def test_init_copies_a_shipped_study(cli: Cli, tmp_path: Path) -> None:
    said = cli("init", "mine.toml", "--template", "ratios-cpu")
    assert (said.code, said.out) == (0, "")
    assert load_study(tmp_path / "mine.toml").name == "ratios-cpu"
    said = cli("init", "other.toml", "--template", "ratio-cpu")
    assert said.code == 2
    assert "'ratios-cpu'" in said.err
    assert not (tmp_path / "other.toml").exists()


def test_init_overwrites_only_with_force(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, "mine", "mine.toml")
    said = cli("init", path)
    assert (said.code, said.out) == (2, "")
    assert "--force" in said.err
    assert path.read_text() == "mine"
    assert cli("init", path, "--force").code == 0
    assert path.read_text() != "mine"


def test_init_refuses_a_folder_and_an_impossible_path(cli: Cli, tmp_path: Path) -> None:
    for force in ([], ["--force"]):
        said = cli("init", tmp_path, *force)
        assert said.code == 2
        assert "is a folder" in said.err
    said = cli("init", tmp_path / "nowhere" / "study.toml")
    assert (said.code, said.out) == (74, "")
    assert files(tmp_path) == []


def test_plan_prints_what_will_be_trained(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, BASE_TOML)
    said = cli("plan", path)
    plan = make_plan(load_study(path))
    lines = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert (said.code, said.err) == (0, "")
    assert lines["study"] == "study"
    assert lines["trainings"].startswith(f"{plan.trainings} (without sharing {plan.trainings_requested})")
    assert lines["arms"] == str(len(plan.arms))
    assert "rough guess" in lines["time"]
    assert files(tmp_path) == [path], "a plan writes nothing"


def test_a_plan_as_json(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, BASE_TOML)
    document = json.loads(cli("plan", path, "--json").out)
    plan = make_plan(load_study(path))
    assert document["schema_version"] == 1
    assert document["study"] == "study"
    assert document["arms"] == len(plan.arms)
    assert sum(document["steps"].values()) == len(plan.steps)
    assert document["steps"]["train"] + document["steps"]["pretrain"] == document["trainings"] == plan.trainings
    assert document["trainings_without_sharing"] == plan.trainings_requested
    assert document["to_run"] == document["steps"], "the store is empty"
    assert document["trainings_to_run"] == document["trainings"] == document["most_trainings"]
    assert document["measured"] is False
    assert document["seconds"] > 0
    assert document["workers"] >= 1
    assert document["faster"] == faster_choices(load_study(path), 8)


def test_plan_names_what_would_be_faster_on_this_processor(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prunecheck.study.faster.bfloat16_instructions", list)
    path = write(tmp_path, BASE_TOML)
    assert "faster" not in cli("plan", path).out
    assert 'precision = "float32"' in cli("plan", path, "--set", "precision=bfloat16").out


def test_plan_of_an_adaptive_study_prints_the_largest_cost(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, BASE_TOML)
    document = json.loads(cli("plan", path, "--json", "--set", "seeds=auto", "--set", "max_seeds=5").out)
    fixed = json.loads(cli("plan", path, "--json", "--set", "seeds=3").out)
    most = json.loads(cli("plan", path, "--json", "--set", "seeds=5").out)
    assert document["trainings"] == fixed["trainings"]
    assert document["most_trainings"] == most["trainings"]
    assert "at most" in cli("plan", path, "--set", "seeds=auto").out


def test_set_changes_the_study(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, BASE_TOML)
    out = cli("plan", path, "--set", "training.epochs=3", "--set", "methods=['random_ticket']").out
    assert "3 epochs" in out
    assert "random_ticket" in out
    assert "snip" not in out
    said = cli("plan", path, "--set", "training.epoch=3")
    assert said.code == 2
    assert "'epochs'" in said.err


def test_names_are_printed_without_control_characters(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, study_text('model = "some:\\u001b[31mnet\\nx"'))
    said = cli("plan", path)
    assert said.code == 0
    assert "\x1b" not in said.out + said.err
    assert "some:" in said.out


@pytest.mark.parametrize(
    "command", [["plan"], ["plan", "--json"], ["report"], ["run", "--masks-only", "--workers", "1"]]
)
def test_the_plugin_files_that_were_loaded_are_named(cli: Cli, tmp_path: Path, command: list[str]) -> None:
    plugin = write(tmp_path, PLUGIN, "mine.py")
    path = write(tmp_path, study_text('plugins = ["mine.py"]\nchecks = ["upside_down"]\nmethods = ["snip"]\nseeds = 1'))
    said = cli(*command, path)
    first = said.err.splitlines()[0]
    assert first == f"plug-in files loaded: {plugin}"
    assert "plug-in" not in said.out
    assert said.code == (2 if command == ["report"] else 0)


def test_masks_only_compares_masks_and_names_what_needs_training(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, study_text('checks = ["layerwise_rearrange"]\nseeds = 1'))
    said = cli("run", path, "--masks-only", "--workers", "1", "--json")
    document = json.loads(said.out)
    assert said.code == 0
    assert document["left_out"] == ["lr_rewinding"]
    (cell,) = document["cells"]
    assert (cell["method"], cell["check"], cell["sparsity"]) == ("snip", "layerwise_rearrange", 0.9)
    assert abs(cell["iou"] - cell["chance_iou"]) < 0.05
    table = cli("run", path, "--masks-only", "--workers", "1").out
    assert "left out because they need training: lr_rewinding" in table
    assert not (tmp_path / "runs").exists()


def test_a_small_study_from_end_to_end(cli: Cli, tmp_path: Path) -> None:
    text = study_text(
        'methods = ["snip"]\nchecks = ["layerwise_rearrange"]\nseeds = 3\n'
        'data = {name = "digits", train_size = 200, test_size = 100}\n[training]\nepochs = 1'
    )
    path = write(tmp_path, text, "small.toml")
    said = cli("run", path, "--workers", "1", "--json", "--out", "here")
    document = json.loads(said.out)
    assert said.code == 0
    assert document["trainings_run"] == 9
    assert document["study"] == "small"
    assert document["page"] == str(Path("here") / "index.html")
    assert {"index.html", "results.csv", "verdicts.json"} <= {found.name for found in (tmp_path / "here").iterdir()}

    again = cli("run", path, "--workers", "1", "--out", "here")
    assert "9 in all, 0 run now" in again.out
    assert cli("report", path, "--out", "there").code == 0
    assert (tmp_path / "there" / "results.csv").read_bytes() == (tmp_path / "here" / "results.csv").read_bytes()

    planned = json.loads(cli("plan", path, "--json").out)
    assert (planned["trainings"], planned["trainings_to_run"], planned["to_run"]) == (9, 0, {})
    assert "nothing to run" in cli("plan", path).out
    assert cli("run", path, "--workers", "1", "--strict", "--out", "here", "--junit", "junit.xml").code in (1, 4)
    assert "<testsuite" in (tmp_path / "junit.xml").read_text()


def test_unwritable_results_folder_is_reported_before_any_training(cli: Cli, tmp_path: Path) -> None:
    path = write(tmp_path, study_text('methods = ["random_ticket"]\nchecks = ["layerwise_rearrange"]\nseeds = 1'))
    (tmp_path / "file").touch()
    said = cli("run", path, "--out", "file", "--workers", 1)
    assert (said.code, said.out) == (74, "")
    assert "file" in said.err
    assert not (tmp_path / "store" / "objects").exists()


def test_missing_tracker_is_reported_before_any_training(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prunecheck.study.toml import to_toml

    (tmp_path / "study.toml").write_text(to_toml(tiny.study()))
    monkeypatch.setattr(trackers, "find_spec", lambda _name: None)
    said = cli("run", "study.toml", "--tracker", "wandb")
    assert said.code == 2
    assert "pip install 'prunecheck[wandb]'" in said.err
    assert not (tmp_path / "runs").exists()
    assert "Did you mean 'wandb'?" in cli("run", "study.toml", "--tracker", "wandbb").err
