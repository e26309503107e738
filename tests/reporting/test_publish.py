"""A results folder as a data set for the Hub, and in a registry."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from prunecheck.errors import StudyError
from prunecheck.reporting import write
from prunecheck.reporting.foreign import data_of_table
from prunecheck.reporting.publish import publish, register, verdicts_csv, verify_registry
from prunecheck.statistics import judge, read_rows, verdict
from prunecheck.statistics.recorded import judge_again
from prunecheck.statistics.settings import Settings


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    table = folder / "t.csv"
    rows = [
        "method,check,sparsity,seed,accuracy,n_test",
        *(f"dense,clean,,{seed},{0.93 + seed / 1000},1000" for seed in range(5)),
    ]
    for method, check, drop in [
        ("snip", "clean", 0),
        ("snip", "random_labels", 0),
        ("lr_rewinding", "clean", -0.01),
        ("lr_rewinding", "random_labels", 0.2),
    ]:
        rows += [
            f"{method},{check},0.9,{seed},{0.9 + seed / 1000 - drop + 1e-4 * (seed % 2)},1000" for seed in range(5)
        ]
    table.write_text("\n".join(rows) + "\n")
    verdict = judge(read_rows(table), study="a study", settings=Settings(margin=0.8, design="fixed", looks=()))
    return write(data_of_table(table, judged=verdict), folder / "results").parent


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "results"))


def metadata(folder: Path) -> dict[str, Any]:
    text = (folder / "README.md").read_text()
    _, block, body = text.split("---\n", 2)
    assert body.lstrip().startswith("# a study")
    found = yaml.safe_load(block)
    assert isinstance(found, dict)
    return found


def test_data_set_has_a_card_whose_files_exist(results: Path, tmp_path: Path) -> None:
    study = tmp_path / "s.toml"
    study.write_text('model = "convnet"\n')
    found = publish(results, tmp_path / "out", study=study, license="cc-by-4.0")
    card = metadata(tmp_path / "out")
    assert card["license"] == "cc-by-4.0"
    assert card["size_categories"] == ["n<1K"]
    assert [one["config_name"] for one in card["configs"]] == ["runs", "verdicts"]
    for one in card["configs"]:
        with (tmp_path / "out" / one["data_files"]).open(newline="") as file:
            assert list(csv.DictReader(file))
    assert (tmp_path / "out" / "study.toml").read_bytes() == study.read_bytes()
    assert found.rows == 25
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("README.md", "results.csv", "verdicts.csv", "verdicts.json", "report.md", "index.html", "study.toml")
    }


def test_verdicts_table_holds_the_numbers_of_the_verdicts(results: Path, tmp_path: Path) -> None:
    publish(results, tmp_path / "out")
    with (tmp_path / "out" / "verdicts.csv").open(newline="") as file:
        rows = {(row["method"], row["check"]): row for row in csv.DictReader(file)}  # of one sparsity each
    for one in json.loads((tmp_path / "out" / "verdicts.json").read_text())["checks"]:
        row, cell = rows[one["method"], one["check"]], one["pooled"] or one["cells"][0]
        assert row["verdict"] == one["verdict"]
        assert float(row["mean_drop"]) == cell["mean_drop"]
        assert int(row["seeds"]) == cell["n"] == 5


def test_verdicts_table_has_a_row_for_each_of_several_sparsities() -> None:
    rows = [
        {
            "method": "snip",
            "check": check,
            "sparsity": sparsity,
            "seed": seed,
            "accuracy": accuracy - seed / 1000,
            "n_test": 1000,
        }
        for sparsity, loss in ((0.8, 0.0), (0.9, 0.2))
        for seed in range(5)
        for check, accuracy in (("clean", 0.9), ("random_labels", 0.9 - loss + seed**2 / 10_000))
    ]
    judged = verdict(rows, margin=1.0)
    lines = list(csv.DictReader(verdicts_csv(judged).splitlines()))
    assert [line["sparsity"] for line in lines] == ["", "0.8", "0.9"]
    (one,) = judged.checks
    assert one.pooled is not None
    assert [line["verdict"] for line in lines] == [one.verdict, *(cell.verdict for cell in one.cells)]
    assert [float(line["mean_drop"]) for line in lines] == [cell.mean_drop for cell in (one.pooled, *one.cells)]
    bare = replace(judged, checks=(replace(one, pooled=None),))
    assert next(csv.DictReader(verdicts_csv(bare).splitlines()))["mean_drop"] == ""


def test_published_folder_gives_its_own_verdicts_again(results: Path, tmp_path: Path) -> None:
    publish(results, tmp_path / "out")
    assert judge_again(tmp_path / "out").changes == ()


def test_names_in_a_study_cannot_leave_the_metadata_block(results: Path, tmp_path: Path) -> None:
    record = json.loads((results / "verdicts.json").read_text())
    record["study"] = "x\n---\nlicense: mit\n\N{RIGHT-TO-LEFT OVERRIDE}"
    (results / "verdicts.json").write_text(json.dumps(record))
    publish(results, tmp_path / "out")
    block = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)[1]
    assert "license" not in yaml.safe_load(block)


def test_folder_whose_verdicts_do_not_follow_from_its_rows_is_not_published(results: Path, tmp_path: Path) -> None:
    record = json.loads((results / "verdicts.json").read_text())
    (one,) = [check for check in record["checks"] if check["method"] == "snip"]
    one["verdict"] = "DEPENDS"
    (results / "verdicts.json").write_text(json.dumps(record))
    with pytest.raises(StudyError, match=r"its rows give other verdicts .* snip x random_labels: DEPENDS -> DOES NOT"):
        publish(results, tmp_path / "out")
    with (results / "results.csv").open("a") as file:
        file.write("snip,clean,0.9,9,0.5,1000\n")
    with pytest.raises(
        StudyError, match=r"cannot be judged again. The verdicts.json beside the table is of other rows"
    ):
        publish(results, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_folders_that_are_not_empty_or_incomplete_are_refused(results: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"is not empty. Name a new folder"):
        publish(results, results)
    (results / "index.html").unlink()
    with pytest.raises(StudyError, match=r"index.html does not exist"):
        publish(results, tmp_path / "out")
    with pytest.raises(StudyError, match=r"holds no verdicts.json, which a run"):
        publish(tmp_path, tmp_path / "out")


def test_registry_is_judged_again_from_the_rows(results: Path, tmp_path: Path) -> None:
    registry = tmp_path / "registry" / "verdicts.json"
    register(registry, results)
    register(registry, results)
    (entry,) = json.loads(registry.read_text())["entries"]
    assert entry["folder"] == "../results"
    assert entry["verdicts"]["lr_rewinding x random_labels"] == "DEPENDS"
    (found,) = verify_registry(registry)
    assert found.changes == ()
    document = json.loads(registry.read_text())
    document["entries"][0]["verdicts"]["snip"] = "PASSES"
    document["entries"][0]["margin"] = 0.5
    document["entries"][0]["rows_sha256"] = "0" * 64
    registry.write_text(json.dumps(document))
    assert [change.what for change in verify_registry(registry)[0].changes] == ["margin", "rows", "snip"]


def test_registry_takes_a_folder_with_the_settings_alone_and_compares_its_rows(results: Path, tmp_path: Path) -> None:
    record = json.loads((results / "verdicts.json").read_text())
    (results / "verdicts.json").write_text(json.dumps({name: record[name] for name in ("study", "origin")}))
    with pytest.raises(StudyError, match="it has no list of methods and of checks"):
        judge_again(results)
    registry = tmp_path / "r.json"
    assert register(registry, results).rows == 25
    (entry,) = json.loads(registry.read_text())["entries"]
    assert entry["verdicts"]["lr_rewinding x random_labels"] == "DEPENDS"
    assert verify_registry(registry)[0].changes == ()
    entry["verdicts"]["lr_rewinding x random_labels"] = "DOES NOT DEPEND"
    registry.write_text(json.dumps({"entries": [entry]}))
    assert [change.after for change in verify_registry(registry)[0].changes] == ["DEPENDS"]


def test_registry_refuses_a_folder_whose_verdicts_do_not_follow_from_its_rows(results: Path, tmp_path: Path) -> None:
    record = json.loads((results / "verdicts.json").read_text())
    record["checks"][0]["verdict"] = "FAILS"
    (results / "verdicts.json").write_text(json.dumps(record))
    with pytest.raises(StudyError, match="its rows give other verdicts"):
        register(tmp_path / "r.json", results)
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is no registry of verdicts"),
        ('{"entries": [3]}', "entry 1: folder is missing"),
        ('{"entries": [{"folder": "results"}]}', "entry 1: rows_sha256 is missing or of another type"),
    ],
)
def test_invalid_registries_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(StudyError, match=message):
        verify_registry(tmp_path / "r.json")
