"""A fraction of a study computed again: only equal bytes count as equal."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from prunecheck.errors import StudyError
from prunecheck.runner.progress import Progress
from prunecheck.runner.records import read_verification
from prunecheck.runner.study_run import report_study
from prunecheck.runner.verify import Rerun, parse_share, rerun
from prunecheck.store import Store
from prunecheck.study import make_plan
from tests.cli.command import Cli
from tests.reliability.study_folder import new_study_folder
from tests.runner import tiny


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    tiny.run(folder)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def again(folder: Path, share: float = 1.0, seed: int = 0) -> Rerun:
    return rerun(tiny.study(), tiny.place(folder), share, seed, 1, Progress())


def test_rerun_of_an_undamaged_study_is_equal_and_changes_nothing(folder: Path) -> None:
    before = tiny.objects(folder)
    found = again(folder)
    assert found.ok
    assert len(found.equal) == found.present == len(make_plan(tiny.study()).steps)
    assert tiny.objects(folder) == before
    assert found.sentence.endswith("(drawn with seed 0): all equal, byte for byte")


def test_rerun_sample_follows_the_seed(folder: Path) -> None:
    draws = [again(folder, 0.3, seed).equal for seed in (0, 0, 1, 2)]
    assert {len(draw) for draw in draws} == {3}
    assert draws[0] == draws[1]
    assert len(set(draws)) > 1
    assert len(again(folder, 0.001).equal) == 1


@pytest.mark.parametrize("kind", ["pretrain", "score", "mask", "train", "compare"])
def test_rerun_finds_other_bytes_under_the_same_key(kind: str, folder: Path) -> None:
    store = Store.open(folder / "store")
    step = next(s for s in make_plan(tiny.study()).steps.values() if s.kind == kind)
    files = {name: store.read(step.key, name) for name in store.names(step.key)}
    store.drop(step.key)
    store.commit(step.key, files | {"result.json": files["result.json"] + b" "})
    found = again(folder)
    assert not found.ok
    assert found.different == (step.title,)
    assert "1 different" in found.sentence


def test_rerun_of_a_damaged_artefact_is_a_difference(folder: Path) -> None:
    store = Store.open(folder / "store")
    step = next(s for s in make_plan(tiny.study()).steps.values() if s.kind == "train")
    path = store.folder(step.key) / "final.safetensors"
    os.truncate(path, path.stat().st_size - 1)
    assert again(folder).different == (step.title,)


def test_rerun_with_a_damaged_input_fails_with_its_reason(folder: Path) -> None:
    store = Store.open(folder / "store")
    pretrain = next(s for s in make_plan(tiny.study()).steps.values() if s.kind == "score")
    path = store.folder(pretrain.key) / "scores.safetensors"
    os.truncate(path, path.stat().st_size - 1)
    outcomes = [again(folder, 0.3, seed) for seed in range(12)]
    reasons = [reason for found in outcomes for reason in found.failed.values()]
    assert any("damaged" in reason for reason in reasons)
    assert all(not found.ok for found in outcomes if found.failed)


def test_rerun_finds_a_plugin_that_is_not_reproducible(tmp_path: Path) -> None:
    text = """
        import os, torch
        from prunecheck.pruning import method

        @method
        def moody(weights):
            noise = int.from_bytes(os.urandom(4), "big")
            return {n: (w * (noise + 1)).abs() + noise for n, w in weights.items()}
    """
    fields = {"methods": ["moody"], "plugins": [tiny.plugin(tmp_path, text)]}
    tiny.run(tmp_path, **fields)
    found = rerun(tiny.study(**fields), tiny.place(tmp_path), 1.0, 0, 1, Progress())
    assert not found.ok
    assert any(title.startswith("score · moody") for title in found.different)


def test_report_shows_the_rerun_of_this_plan_only(folder: Path) -> None:
    place = tiny.place(folder)
    assert "computed again" not in report_study(tiny.study(), place).page.read_text()
    again(folder)
    assert "steps, drawn at random: all equal, byte for byte" in report_study(tiny.study(), place).page.read_text()
    assert read_verification(place.folder, ["of another study"]) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"keys": 1}', '{"keys": [], "different": 3}'])
def test_damaged_verify_file_is_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "verify.json").write_text(text)
    with pytest.raises(StudyError, match=r"verify.json is damaged: .* Delete it") as caught:
        read_verification(tmp_path, ["a"])
    assert "\n" not in str(caught.value)


def test_report_shows_a_rerun_difference(tmp_path: Path) -> None:
    keys = ["a" * 64, "b" * 64]
    facts = {"keys": keys, "equal": ["y"], "different": ["x"], "failed": {}}
    (tmp_path / "verify.json").write_text(json.dumps(facts))
    assert read_verification(tmp_path, keys) == {"computed again": "2 steps, drawn at random: 1 differ or failed"}


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), (" 1 ", 1.0)])
def test_rerun_share_is_parsed(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0", "0%", "-5%", "101%", "5", "nan", "inf", "", "five", "%", "\x1b[2J"])
def test_invalid_rerun_share_is_refused(text: str) -> None:
    with pytest.raises(StudyError, match=r"e\.g\. 5%") as caught:
        parse_share(text)
    assert "\x1b" not in str(caught.value)


def test_rerun_on_the_command_line(cli: Cli, tmp_path: Path) -> None:
    path = new_study_folder(tmp_path / "trial", ("snip",)) / "s.toml"
    said = cli("verify", path)
    assert (said.code, "run it first" in said.err) == (2, True)
    assert cli("run", path, "--workers", 1).code == 0
    said = cli("verify", path, "--rerun", "50%", "--workers", 1)
    assert said.code == 0
    assert "all equal" in said.out
    document = json.loads(cli("verify", path, "--rerun", "10%", "--workers", 1, "--json").out)
    assert document["ok"]
    store = Store.open(tmp_path / "store")
    for key in list(store.keys()):
        files = {name: store.read(key, name) for name in store.names(key)}
        store.drop(key)
        store.commit(key, files | {"another.json": b"{}"})
    said = cli("verify", path, "--rerun", "20%", "--workers", 1)
    assert said.code == 3
    assert "different: " in said.err
    assert cli("verify", path, "--rerun", "no").code == 2
