"""publish, diff, and verify of what was published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prunecheck.cli import main


@pytest.fixture
def results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    table = tmp_path / "t.csv"
    rows = [f"dense,clean,,{seed},0.93,1000" for seed in range(5)]
    for check, drop in [("clean", 0.0), ("random_labels", 0.1)]:
        rows += [f"snip,{check},0.9,{seed},{0.9 + seed / 1000 - drop},1000" for seed in range(5)]
    table.write_text("\n".join(["method,check,sparsity,seed,accuracy,n_test", *rows]) + "\n")
    assert main(["verdict", str(table), "--out", str(tmp_path / "results")]) == 0
    capsys.readouterr()
    return tmp_path / "results"


def test_published_folder_and_registry_are_verified(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry, out = tmp_path / "registry.json", tmp_path / "out"
    assert main(["publish", str(results), "--to", str(out), "--registry", str(registry), "--license", "mit"]) == 0
    assert "15 rows and 1 verdicts, judged again: all equal" in capsys.readouterr().out
    assert main(["verify", str(out)]) == 0
    assert main(["verify", str(registry), "--json"]) == 0
    assert '"ok": true' in capsys.readouterr().out
    document = json.loads(registry.read_text())
    document["entries"][0]["verdicts"]["snip"] = "FAILS"
    registry.write_text(json.dumps(document))
    assert main(["verify", str(registry)]) == 3
    printed = capsys.readouterr()
    assert "1 verdicts judged again from 15 rows: 1 different" in printed.out
    assert "different: snip: FAILS -> PASSES" in printed.err


def test_entries_of_a_registry_that_cannot_be_judged_are_listed_and_the_others_are_judged(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = tmp_path / "registry.json"
    assert main(["publish", str(results), "--registry", str(registry)]) == 0
    document = json.loads(registry.read_text())
    (entry,) = document["entries"]
    document["entries"] = [entry | {"folder": "gone"}, 3, entry]
    registry.write_text(json.dumps(document))
    capsys.readouterr()
    assert main(["verify", str(registry)]) == 2
    printed = capsys.readouterr()
    assert "1 verdicts judged again from 15 rows: all equal" in printed.out
    gone, number = printed.err.splitlines()
    assert gone.startswith("not judged: ")
    assert "gone" in gone
    assert number.endswith("registry.json, entry 2: folder is missing or of another type.")
    assert main(["verify", str(registry), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], len(found["studies"]), len(found["failures"])) == (False, 1, 2)


def test_diff_exits_with_1_where_a_verdict_changed(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((results / "verdicts.json").read_text())
    record["checks"][0]["verdict"] = "DOES NOT DEPEND"
    (tmp_path / "expected.json").write_text(json.dumps(record))
    assert main(["diff", str(results), str(results / "verdicts.json")]) == 0
    assert capsys.readouterr().out == "all 3 verdicts are the same\n"
    assert main(["diff", str(tmp_path / "expected.json"), str(results)]) == 1
    assert capsys.readouterr().out == "snip x random_labels: DOES NOT DEPEND -> DEPENDS\n"
    assert main(["diff", str(tmp_path / "nowhere"), str(results)]) == 2


def test_diff_prints_new_verdicts_and_misses_old_ones(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((results / "verdicts.json").read_text())
    (tmp_path / "fewer.json").write_text(json.dumps(record | {"checks": []}))
    assert main(["diff", str(tmp_path / "fewer.json"), str(results)]) == 0
    assert "not there -> DEPENDS" in capsys.readouterr().out
    assert main(["diff", str(results), str(tmp_path / "fewer.json"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["changes"] == [
        {"what": "snip x random_labels", "before": "DEPENDS", "after": None}
    ]


def test_publish_adds_a_results_folder_to_a_registry_as_it_is(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    registry = tmp_path / "registry.json"
    assert main(["publish", str(results), "--registry", str(registry)]) == 0
    assert "added, 1 verdicts from 15 rows" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "registry.json"])
    assert json.loads(registry.read_text())["entries"][0]["folder"] == "results"
    assert main(["verify", str(registry)]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "Name the folder to write to"), (["--registry", "r.json", "--license", "mit"], "belong to a data set")],
)
def test_publish_without_a_folder_needs_a_registry_and_nothing_of_a_data_set(
    results: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(results), *words]) == 2
    assert message in capsys.readouterr().err
