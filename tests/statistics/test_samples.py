"""Evaluations by lm-evaluation-harness: the files of two real runs, and what may be wrong with such files."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prunecheck.errors import StudyError
from prunecheck.statistics import judge_samples
from prunecheck.statistics.samples import read_run, read_samples

REAL = Path(__file__).parent / "lm_eval_runs"
"""lm_eval 0.4.13 on two untrained Llama models of 37,000 weights, two tasks of 12 documents; paths were shortened"""
Change = Callable[[dict[str, Any]], object]


def copied(folder: Path, arm: str = "clean-0", *, choice: Change | None = None, results: Change | None = None) -> Path:
    """A copy of a real run. *choice* changes every sample of the task with choices, *results* the results."""
    shutil.copytree(REAL / arm, folder)
    for path in folder.rglob("*.json*"):
        if choice is not None and "tiny_choice" in path.name:
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            for line in lines:
                choice(line)
            path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        if results is not None and path.name.startswith("results"):
            record = json.loads(path.read_text())
            results(record)
            path.write_text(json.dumps(record))
    return folder


def samples_of(folder: Path, task: str = "tiny_choice") -> Path:
    return next(folder.rglob(f"samples_{task}_*.jsonl"))


def lower_accuracy(documents: int) -> Change:
    def change(line: dict[str, Any]) -> None:
        line["acc"] = 0.0 if line["doc_id"] < documents else 1.0

    return change


def three_seeds(folder: Path, placebo: int = 6) -> dict[str, list[Path]]:
    """Three seeds of a clean arm without errors and of one with *placebo* errors, and one more by the last seed."""
    return {
        "clean": [copied(folder / f"clean-{seed}", choice=lower_accuracy(0)) for seed in range(3)],
        "placebo": [
            copied(folder / f"placebo-{seed}", choice=lower_accuracy(placebo + seed // 2)) for seed in range(3)
        ],
    }


def test_real_run_is_read_document_by_document() -> None:
    run = read_run(REAL / "clean-0")
    assert sorted(run.tasks) == ["tiny_choice", "tiny_text"]
    metric, samples = read_samples(run, "tiny_choice", "acc", None)
    assert metric == "acc"
    assert len(samples) == 12
    assert np.mean([one.value for one in samples.values()]) == pytest.approx(
        run.record["results"]["tiny_choice"]["acc,none"]
    )
    _, text = read_samples(run, "tiny_text", "byte_perplexity", None)
    total, units = np.sum([one.value for one in text.values()], axis=0)
    assert math.exp(-total / units) == pytest.approx(run.record["results"]["tiny_text"]["byte_perplexity,none"])


def test_three_seeds_are_judged_in_points_of_the_metric(tmp_path: Path) -> None:
    (one,) = judge_samples(three_seeds(tmp_path), 5, sparsity=0.5, metric="acc", tasks=["tiny_choice"])
    (check,) = one.verdict.checks
    assert (one.task, check.check, check.verdict) == ("tiny_choice", "placebo", "DEPENDS")
    assert check.cells[0].documents is not None
    assert check.cells[0].documents.documents == 12
    assert one.verdict.notes[0] == "Accuracy is acc of lm-evaluation-harness, version 1.0, 0-shot."
    assert len(one.records) == 6


def test_order_of_lines_changes_nothing(tmp_path: Path) -> None:
    arms = three_seeds(tmp_path)
    first = judge_samples(arms, 5, sparsity=0.5, metric="acc", tasks=["tiny_choice"])
    path = samples_of(arms["placebo"][1])
    path.write_text("".join(sorted(path.read_text().splitlines(keepends=True), key=hash)))
    assert judge_samples(arms, 5, sparsity=0.5, metric="acc", tasks=["tiny_choice"]) == first


def test_log_likelihoods_are_judged_in_nats_and_one_seed_gives_no_verdict() -> None:
    arms = {"clean": [REAL / "clean-0"], "placebo": [REAL / "placebo-0"]}
    (one,) = judge_samples(arms, 0.01, sparsity=0.5, metric="byte_perplexity", tasks=["tiny_text"])
    (check,) = one.verdict.checks
    assert check.verdict == "INCONCLUSIVE"
    assert one.verdict.metric == "nll"
    means = [
        np.mean([-json.loads(line)["byte_perplexity"][0] / json.loads(line)["byte_perplexity"][1] for line in lines])
        for lines in (samples_of(arm[0], "tiny_text").read_text().splitlines() for arm in arms.values())
    ]
    assert check.cells[0].mean_drop == pytest.approx(means[1] - means[0])
    alone = next(note for note in one.verdict.notes if note.startswith("Documents alone, placebo"))
    assert "these networks only" in alone
    assert "with 1 seed there is no verdict" in alone


def test_every_task_has_a_verdict_and_dense_gives_the_margin(tmp_path: Path) -> None:
    arms = three_seeds(tmp_path) | {"dense": [copied(tmp_path / "dense", choice=lower_accuracy(0))]}
    for run in [folder for folders in arms.values() for folder in folders]:
        samples_of(run, "tiny_text").unlink()
    (one,) = judge_samples(arms, None, sparsity=0.5, metric="acc", chance=0.25)
    assert one.verdict.dense_accuracy == 1.0
    assert one.verdict.margin == pytest.approx(100 * 5 / 12)


def damaged(line: dict[str, Any], name: str, value: object) -> None:
    if line["doc_id"] == 7:
        line[name] = value


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            lambda line: damaged(line, "doc_hash", "other"),
            r"line 8: the doc_hash of document 7 is not that of .*line 8",
        ),
        (lambda line: damaged(line, "prompt_hash", "other"), "line 8: the prompt_hash of document 7"),
        (lambda line: damaged(line, "prompt_hash", None), "line 8: doc_hash, prompt_hash or target_hash is missing"),
        (lambda line: damaged(line, "doc_id", 3), "line 8: document 3 was already given at .*line 4"),
        (lambda line: damaged(line, "doc_id", None), "line 8: there is no doc_id"),
        (lambda line: damaged(line, "doc_id", 99), "lacks 1 document, such as 7"),
        (lambda line: damaged(line, "acc", "1"), "line 8: acc is .*, not a number"),
        (lambda line: damaged(line, "acc", math.nan), "line 8: acc is NaN, not a number"),
        (lambda line: damaged(line, "acc", 2.0), "line 8: acc is 2. Metrics between 0 and 1"),
        (lambda line: damaged(line, "acc", [-1.0, 5]), "line 8: acc is a pair in some documents"),
        (lambda line: line.pop("acc"), r"line 1: 'acc' is not a metric"),
        (lambda line: damaged(line, "filter", "strict"), "line 8: answers are read by several filters"),
    ],
)
def test_samples_that_do_not_fit_are_refused_by_file_and_line(tmp_path: Path, choice: Change, message: str) -> None:
    arms = {"clean": [REAL / "clean-0"], "placebo": [copied(tmp_path / "run", choice=choice)]}
    with pytest.raises(StudyError, match=message):
        judge_samples(arms, 1, sparsity=0.5, metric="acc", tasks=["tiny_choice"])


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (lambda record: record["versions"].update(tiny_choice=2.0), r"with version '?2.0'?, and clean with '?1.0"),
        (lambda record: record["n-shot"].update(tiny_choice=5), "with n-shot '?5"),
        (lambda record: record["configs"]["tiny_choice"].update(doc_to_text="Q: "), "with doc_to_text"),
        (lambda record: record.update(chat_template_sha="abc"), "with chat_template_sha"),
    ],
)
def test_other_versions_and_settings_are_refused(tmp_path: Path, results: Change, message: str) -> None:
    arms = {"clean": [REAL / "clean-0"], "placebo": [copied(tmp_path / "run", results=results)]}
    with pytest.raises(StudyError, match=message):
        judge_samples(arms, 1, sparsity=0.5, metric="acc", tasks=["tiny_choice"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no samples"),
        (b"\n\n", "holds no samples"),
        (b"{", "line 1 is not JSON"),
        (b"\xff\xfe{}", "line 1 is not JSON"),
        (b"[" * 100_000, "line 1 is not JSON"),
        (b"[1, 2]\n", "line 1 is not a sample"),
        (b"{}\n", "line 1: there is no doc_id"),
    ],
)
def test_hostile_and_empty_files_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    run = copied(tmp_path / "run")
    samples_of(run).write_bytes(content)
    with pytest.raises(StudyError, match=rf"samples_tiny_choice.*{message}"):
        judge_samples(
            {"clean": [REAL / "clean-0"], "placebo": [run]}, 1, sparsity=0.5, metric="acc", tasks=["tiny_choice"]
        )


def test_folders_that_hold_no_single_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="is not a folder"):
        read_run(tmp_path / "missing")
    with pytest.raises(StudyError, match=r"holds no results_\*\.json"):
        read_run(tmp_path)
    run = copied(tmp_path / "run")
    copied(tmp_path / "run" / "again")
    with pytest.raises(StudyError, match="holds 2 runs"):
        read_run(run)
    for path in (tmp_path / "run" / "again").rglob("samples*"):
        path.unlink()
    with pytest.raises(StudyError, match="log_samples"):
        read_run(tmp_path / "run" / "again")
    next((tmp_path / "run" / "again").rglob("results*")).write_text("[]")
    with pytest.raises(StudyError, match="holds no results of"):
        read_run(tmp_path / "run" / "again")


def test_arms_that_cannot_be_paired_are_refused(tmp_path: Path) -> None:
    clean, placebo = REAL / "clean-0", REAL / "placebo-0"
    for arms, message in (
        ({"placebo": [placebo]}, "no arm is called 'clean'"),
        ({"clean": [clean]}, "nothing to compare"),
        ({"clean": [clean], "placebo": [placebo, placebo]}, "1 folder of clean and 2 of placebo"),
        ({"clean": [clean], "placebo": [clean]}, "was given twice"),
    ):
        with pytest.raises(StudyError, match=message):
            judge_samples(arms, 1, sparsity=0.5, metric="acc")
    other = copied(tmp_path / "other", "placebo-0")
    samples_of(other, "tiny_text").unlink()
    with pytest.raises(StudyError, match="not evaluated on the same tasks: tiny_text"):
        judge_samples({"clean": [clean], "placebo": [other]}, 1, sparsity=0.5, metric="acc")
    with pytest.raises(StudyError, match=r"Did you mean 'tiny_text'\?"):
        judge_samples({"clean": [clean], "placebo": [placebo]}, 1, sparsity=0.5, tasks=["tiny_texts"])
    with pytest.raises(StudyError, match="there are acc and acc_norm"):
        judge_samples({"clean": [clean], "placebo": [placebo]}, 1, sparsity=0.5, tasks=["tiny_choice"])
