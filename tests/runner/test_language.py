"""A study of a language model from its file to its page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from prunecheck import api
from prunecheck.cli.language import language_forecast
from prunecheck.errors import DataError, ModelError, StudyError
from prunecheck.reporting.foreign import data_of_table
from prunecheck.reporting.language import write_language
from prunecheck.reporting.publish import publish
from prunecheck.runner.language import rough_seconds
from prunecheck.statistics.recorded import judge_again
from prunecheck.study import load_study, make_plan
from tests.tiny_lm import WIDTH, texts, write_example, write_jsonl

MODEL = Path(__file__).parents[1] / "tiny_lm.py"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    write_example(folder)
    return folder


def study(folder: Path, **changes: Any) -> dict[str, Any]:
    data = {
        "calibration": str(folder / "calibration.jsonl"),
        "evaluation": str(folder / "evaluation.jsonl"),
        "sequences": 8,
        "length": 64,
        "tokens": 400,
    } | changes.pop("data", {})
    return {
        "task": "language_model",
        "name": "tiny",
        "model": f"{MODEL}:TinyLM",
        "weights": str(folder / "tiny.safetensors"),
        "methods": ["magnitude", "random", "wanda"],
        "checks": ["random_tokens"],
        "sparsities": [0.75],
        "seeds": 3,
        "data": data,
    } | changes


@pytest.fixture(scope="module")
def results(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("results")
    return api.run(study(example), store=folder / "store", folder=folder / "out", workers=1)


def test_magnitude_is_pruned_once_for_all_draws(example: Path) -> None:
    plan = make_plan(load_study(study(example)))
    networks = {(arm.method, arm.check): set() for arm in plan.arms}  # type: ignore[var-annotated]
    for arm in plan.arms:
        networks[arm.method, arm.check].add(arm.train)
    assert {place: len(keys) for place, keys in networks.items()} == {
        ("dense", "clean"): 1,
        ("magnitude", "clean"): 1,
        ("magnitude", "rearranged_rows"): 3,
        ("random", "clean"): 3,
        ("random", "aa"): 3,
        ("wanda", "clean"): 3,
        ("wanda", "random_tokens"): 3,
        ("wanda", "aa"): 3,
        ("wanda", "rearranged_rows"): 3,
    }
    assert plan.trainings == 0


def test_a_new_draw_or_method_repeats_nothing(example: Path) -> None:
    few = make_plan(load_study(study(example))).steps
    more = make_plan(load_study(study(example, seeds=5, methods=["magnitude", "random", "wanda", "ria"]))).steps
    assert few.keys() < more.keys()


def test_where_model_and_texts_lie_is_in_no_key(example: Path, tmp_path: Path) -> None:
    for name in ("tiny.safetensors", "calibration.jsonl", "evaluation.jsonl"):
        (tmp_path / name).write_bytes((example / name).read_bytes())
    assert make_plan(load_study(study(example))).steps.keys() == make_plan(load_study(study(tmp_path))).steps.keys()


def test_rows_hold_likelihoods_of_a_model_that_pruning_made_worse(results: Any) -> None:
    nll = {}
    for row in results.rows:
        nll.setdefault((row["method"], row["check"]), []).append(row["nll"])
    mean = {place: sum(values) / len(values) for place, values in nll.items()}
    assert mean["dense", "clean"] < mean["wanda", "clean"] < mean["random", "clean"]
    assert mean["wanda", "rearranged_rows"] > mean["wanda", "clean"] + 0.2
    assert results.verdict.dense_nll == pytest.approx(mean["dense", "clean"])
    assert {row["kept"] / row["weights"] for row in results.rows if row["method"] == "wanda"} == {0.25}


def test_verdicts_and_controls(results: Any) -> None:
    controls = {(one.role, one.method): one.status for one in results.verdict.controls}
    assert controls["positive", "wanda"] == "ok"
    assert controls["aa", "wanda"] == "ok"
    assert results.verdict.banner is None
    compared = {(one.first, one.second): one.verdict for one in results.verdict.comparisons}
    assert compared["random", "magnitude"] == "WORSE"


def test_files_speak_of_documents_and_tokens_not_of_training(results: Any) -> None:
    folder = results.page.parent
    for name in ("index.html", "report.md", "results.csv", "documents.csv", "verdicts.json"):
        text = (folder / name).read_text().partition("<script>")[0]
        text = text.partition("<style>")[0] + text.partition("</style>")[2]
        for word in ("accuracy", "epoch", "retrain", "image", "ticket"):
            assert word not in text.lower(), f"{word} in {name}"
    page = (folder / "index.html").read_text()
    assert f"{results.verdict.dense_perplexity:.2f}" in page
    documents = list(csv.DictReader((folder / "documents.csv").read_text().splitlines()))
    assert len(documents) == 6 * len(results.rows)
    assert json.loads((folder / "verdicts.json").read_text())["documents"] == 6


def test_the_study_file_of_the_report_is_the_study(results: Any, tmp_path: Path) -> None:
    (tmp_path / "again.toml").write_text(results.data.study_toml)
    again = load_study(tmp_path / "again.toml")
    assert make_plan(again).steps.keys() == results.plan.steps.keys()


def test_a_second_run_computes_nothing_and_writes_the_same(results: Any, example: Path) -> None:
    folder = results.page.parent
    before = (folder / "index.html").read_bytes()
    again = api.run(study(example), store=folder.parent / "store", folder=folder, workers=1)
    assert again.ran == []
    assert (folder / "index.html").read_bytes() == before


def test_the_folder_is_judged_again_from_its_tables(results: Any, tmp_path: Path) -> None:
    folder, found = results.page.parent, publish(results.page.parent, tmp_path / "data")
    assert (found.changes, found.rows) == ((), len(results.rows))
    assert judge_again(tmp_path / "data").changes == ()
    again = api.verdict(folder / "results.csv")
    assert {c.check: c.sentence for c in again.checks} == {c.check: c.sentence for c in results.verdict.checks}
    page = write_language(data_of_table(folder / "results.csv"), tmp_path / "page").read_text()  # type: ignore[arg-type]
    assert f"{results.verdict.dense_perplexity:.2f}" in page
    assert "0 prunings" not in page
    assert "methods.tex" in [path.name for path in results.paper(tmp_path / "paper", ("svg",))]
    assert f"perplexity of the dense model: {results.verdict.dense_perplexity:.2f}" in (
        tmp_path / "paper" / "methods.tex"
    ).read_text().replace("\n", " ")


def test_embedding_and_head_are_pruned_on_request(example: Path, tmp_path: Path) -> None:
    small = {"checks": ["random_tokens"], "controls": [], "seeds": 1, "margin": 0.1}
    fields = study(example, methods=["magnitude", "wanda"], also_prune=["head"], **small)
    found = api.run(fields, store=tmp_path / "store", folder=tmp_path / "out", workers=1)
    blocks = 2 * 8 * WIDTH**2  # four layers of each of two blocks, of 3, 1, 2 and 2 times WIDTH * WIDTH weights
    pruned = [row for row in found.rows if row["method"] != "dense"]
    assert {row["weights"] for row in pruned} == {blocks + 256 * WIDTH}
    assert {row["kept"] for row in pruned} == {(blocks + 256 * WIDTH) // 4}
    assert "TinyLM with head" in (tmp_path / "out" / "index.html").read_text()
    fields |= {"methods": ["magnitude"], "checks": ["rearranged_rows"], "also_prune": ["head", "embedding"]}
    found = api.run(fields, store=tmp_path / "store", folder=tmp_path / "both", workers=1)
    assert {row["weights"] for row in found.rows if row["method"] != "dense"} == {blocks + 512 * WIDTH}


def test_layers_outside_the_blocks_enter_keys_only_where_they_are_pruned(example: Path) -> None:
    plain, with_head, one, other = (
        make_plan(load_study(study(example, methods=["magnitude"], checks=["rearranged_rows"], also_prune=also)))
        for also in ([], ["head"], ["head", "embedding"], ["embedding", "head"])
    )
    assert not any("also_prune" in step.params for step in plain.steps.values())
    prunings = [{key for key, step in plan.steps.items() if step.kind == "prune"} for plan in (plain, with_head)]
    assert not prunings[0] & prunings[1]
    assert one.steps.keys() == other.steps.keys() != with_head.steps.keys()


def test_the_plan_names_what_does_not_apply_once_with_its_reason(example: Path, tmp_path: Path) -> None:
    planned = load_study(study(example, checks=["random_tokens", "shuffled_tokens", "permuted_norms"]))
    document, lines = language_forecast(planned, tmp_path / "store", 1)
    texts = [text for _, text in lines]
    assert "magnitude, random: random_tokens, shuffled_tokens (each does not look at calibration tokens)" in texts
    assert "magnitude: aa (draws nothing at random)" in texts
    assert len(texts) == len(set(texts))
    assert dict(lines)["dense evaluations"] == "1, to run"
    assert dict(lines)["prunings"] == f"{document['steps']['prune']}, all to run"
    assert "rough guess from sizes" in dict(lines)["time"]
    assert 0.5 * document["steps"]["prune"] < document["seconds"] < 2 * document["steps"]["prune"]


def test_hf_model_without_transformers_is_named_in_plan_and_report(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prunecheck.models.language._versions", dict)
    (tmp_path / "config.json").write_text("{}")
    fields = study(example, model=f"hf:{tmp_path}", weights=None)
    lines = dict(language_forecast(load_study(fields), tmp_path / "store", 1)[1])  # type: ignore[arg-type]
    assert lines["missing"].startswith("transformers, of the extra prunecheck[llm]")
    with pytest.raises(StudyError, match=r"the version of transformers, which is not installed"):
        api.report(fields, store=tmp_path / "store", folder=tmp_path / "out")


def test_a_rough_time_grows_with_the_model_and_its_tokens(example: Path) -> None:
    small, large = (load_study(study(example, data={"sequences": n})) for n in (8, 800))
    assert rough_seconds(large)["prune"] > rough_seconds(small)["prune"] + 0.5
    assert rough_seconds(large)["likelihood"] == rough_seconds(small)["likelihood"]
    nothing = study(example)
    del nothing["weights"]
    assert rough_seconds(load_study(nothing)) == {}


def test_an_untrained_model_is_gated(example: Path, tmp_path: Path) -> None:
    fields = study(example, methods=["magnitude"], checks=["rearranged_rows"], controls=[], seeds=1, margin=0.1)
    del fields["weights"]
    found = api.run(fields, store=tmp_path / "store", folder=tmp_path / "out", workers=1)
    assert "token frequencies" in found.verdict.banner
    assert {check.verdict for check in found.verdict.checks} == {"UNINFORMATIVE"}


def test_evaluation_text_that_is_calibration_text_is_refused(example: Path, tmp_path: Path) -> None:
    calibration, evaluation = texts()
    write_jsonl(tmp_path / "leaky.jsonl", [*calibration, evaluation[2]])
    with pytest.raises(DataError, match=r"evaluation.jsonl:3' is also in data.calibration \(leaky.jsonl:"):
        load_study(study(example, data={"calibration": str(tmp_path / "leaky.jsonl")}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 3}, "epochs is not a field of a study"),
        ({"methods": ["wamda"]}, "'wanda'"),
        ({"methods": ["wanda"]}, 'add "magnitude" to methods'),
        ({"seeds": "auto"}, "seeds = 'auto' must be a number of calibration draws or a list"),
        ({"margin": "1 sd"}, "a share of what magnitude pruning loses"),
        ({"checks": ["other_text"]}, "needs another text"),
        ({"checks": ["update_withheld"]}, "tests none of the methods"),
        ({"methods": [{"name": "wanda", "label": "dense"}], "margin": 0.1}, "is reserved"),
        ({"data": {"documents": 7}}, "holds 6 different documents"),
        ({"also_prune": ["heads"]}, "also_prune"),
    ],
)
def test_mistakes_are_refused_by_field(example: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as error:
        load_study(study(example, **changes))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"data": {"length": 65}}, ModelError, "data.length = 65, but the model reads at most 64"),
        ({"data": {"sequences": 10**6}}, DataError, "at most"),
        (
            {"also_prune": ["embedding"]},
            StudyError,
            "methods[2] with also_prune = ['embedding']: method 'wanda'",
        ),
    ],
)
def test_what_only_the_model_can_tell_is_refused_before_the_first_step(
    example: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        api.run(study(example, **changes), store=tmp_path / "store", folder=tmp_path / "out", workers=1)
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()
