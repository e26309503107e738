"""Small whole studies: equal bytes with any number of workers, nothing done twice, failures contained."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from safetensors.torch import load, save

from prunecheck.errors import PrunecheckError, StepError, StudyError
from prunecheck.pruning import allocation, check, method
from prunecheck.runner.progress import Progress
from prunecheck.runner.results import Results
from prunecheck.runner.study_run import mask_tier, report_study, run_study, unimportable_plugin
from prunecheck.runner.verify import rerun
from prunecheck.runner.workspace import Workspace
from prunecheck.statistics import judge, judging
from prunecheck.steps.perform import STEPS
from prunecheck.store import Damaged, Store
from prunecheck.study import Step, load_study, make_plan
from prunecheck.study.toml import to_toml

from . import tiny

FULL: dict[str, Any] = {
    "methods": ["snip", "lr_rewinding"],
    "checks": ["corrupted_data", "layerwise_rearrange", "layerwise_weight_shuffle"],
    "training": {"epochs": 2, "rewind_epoch": 1, "batch_size": 30},
}


@pytest.fixture(scope="module")
def whole_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny.run(folder)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    tiny.run(folder, **FULL)
    return folder


def results_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}


def cells(folder: Path) -> set[tuple[str, str, str]]:
    with (folder / "out" / "results.csv").open(encoding="utf-8") as file:
        return {(row["method"], row["check"], row["seed"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize("workers", [1, 2])
def test_run_gives_equal_bytes_for_any_number_of_workers(workers: int, whole: Path, tmp_path: Path) -> None:
    tiny.run(tmp_path, workers, **FULL)
    assert tiny.objects(tmp_path) == tiny.objects(whole)
    assert results_of(tmp_path) == results_of(whole)
    assert len(tiny.objects(whole)) > 60


def test_a_second_run_trains_nothing_and_writes_the_same_results(whole: Path) -> None:
    before = results_of(whole), tiny.objects(whole)
    again = tiny.run(whole, **FULL)
    assert again.ran == []
    assert (results_of(whole), tiny.objects(whole)) == before


def kept(folder: Path, before: Mapping[str, str]) -> bool:
    return before.items() <= tiny.objects(folder).items()


def trainings(results: Results) -> set[str]:
    return {step.title for step in results.ran if step.kind in ("pretrain", "train")}


def test_adding_a_method_or_seed_trains_only_what_is_new(tmp_path: Path) -> None:
    tiny.run(tmp_path)
    before = tiny.objects(tmp_path)
    more = tiny.run(tmp_path, checks=["random_labels", "layerwise_rearrange"])
    assert trainings(more) == {"train · snip · random_labels · 80% · seed 0"}
    assert kept(tmp_path, before)
    more = tiny.run(tmp_path, methods=["random_ticket", "snip"])
    assert {title.split(" · ")[1] for title in trainings(more)} == {"random_ticket"}
    assert kept(tmp_path, before)
    more = tiny.run(tmp_path, sparsities=[0.9, 0.8])
    assert len(trainings(more)) == 2
    assert all("90%" in title for title in trainings(more))
    more = tiny.run(tmp_path, seeds=2)
    assert len(trainings(more)) == 3
    assert all("seed 1" in title for title in trainings(more))
    assert kept(tmp_path, before)


def test_the_results_of_one_study_do_not_depend_on_what_else_is_in_the_store(whole: Path, tmp_path: Path) -> None:
    tiny.run(tmp_path)
    alone = results_of(tmp_path)
    shared = run_study(
        tiny.study(**FULL | {"methods": ["snip"], "checks": ["layerwise_rearrange"]}),
        Workspace(Store.open(whole / "store"), tmp_path / "shared"),
        1,
        Progress(),
    )
    assert shared.ran == []
    tiny.run(tmp_path / "again")
    assert results_of(tmp_path / "again") == alone


RAISES = """
    from prunecheck.pruning import method

    @method
    def touchy(weights, loss, sparsity):
        if sparsity > 0.85:
            raise ValueError("too sparse for me")
        return {n: w.abs() for n, w in weights.items()}
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_plugin_that_raises_fails_only_its_own_cell(workers: int, tmp_path: Path) -> None:
    plug = tiny.plugin(tmp_path, RAISES)
    changes: dict[str, Any] = {
        "methods": ["touchy", "snip"],
        "checks": ["random_labels", "layerwise_rearrange"],
        "sparsities": [0.8, 0.9],
        "plugins": [plug],
    }
    with pytest.raises(StepError) as caught:
        tiny.run(tmp_path, workers, **changes)
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert message.splitlines()[0].startswith("2 of the steps failed; the others are finished and in ")
    assert "score · touchy · clean · 90% · seed 0: ValueError: too sparse for me" in message
    assert len(message.splitlines()) <= 4
    found = {(method_, check_) for method_, check_, _ in cells(tmp_path)}
    arms = ("clean", "random_labels", "layerwise_rearrange")
    assert found == {("dense", "clean"), *(("snip", arm) for arm in arms), *(("touchy", arm) for arm in arms)}
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "touchy"]
    assert {row["sparsity"] for row in rows} == {"0.8"}
    (page,) = (tmp_path / "out").glob("*.html")
    assert str(page) in message
    assert "touchy" in page.read_text(encoding="utf-8")
    with pytest.raises(StepError):  # what failed is tried again, what is done is not
        tiny.run(tmp_path, **changes)


BAD = """
    import multiprocessing

    from prunecheck.pruning import method

    @method
    def bad(weights, loss):
        1 / (multiprocessing.parent_process() is None)  # not when it is tried before the run
        return weights
"""


@pytest.mark.timeout(120)
def test_a_method_that_always_raises_does_not_hang_the_workers(tmp_path: Path) -> None:
    """Its clean and its corrupted mask both fail, and the step that compares them hangs on both."""
    plug = tiny.plugin(tmp_path, BAD)
    with pytest.raises(StepError, match="ZeroDivisionError"):
        tiny.run(tmp_path, 2, methods=["bad", "snip"], checks=["random_labels"], plugins=[plug])
    assert ("snip", "random_labels", "0") in cells(tmp_path)


def test_arms_without_their_clean_arm_are_not_reported(tmp_path: Path) -> None:
    """The corrupted arms are there; without a clean one they are left out, and the study is judged all the same."""

    tried: list[bool] = []

    @method(name="likes_noise")
    def _likes_noise(weights: Any, batches: Any) -> Any:
        if tried and len(batches[0][1].unique()) == 10:  # what random labels never are here
            raise ValueError("too tidy")
        tried.append(True)
        return {name: weight.abs() for name, weight in weights.items()}

    @check(at="batches", name="one_label")
    def _one_label(batches: Any) -> Any:
        return batches[0], batches[1] * 0

    with pytest.raises(StepError, match="too tidy"):
        tiny.run(tmp_path, methods=["likes_noise", "snip"], checks=["one_label"])
    assert {method_ for method_, _, _ in cells(tmp_path)} == {"dense", "snip"}


DIES = """
    import multiprocessing, os

    from prunecheck.pruning import method

    @method
    def deadly(weights):
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), 9)
        return weights
"""


def test_a_dying_worker_fails_only_its_own_cell(tmp_path: Path) -> None:
    plug = tiny.plugin(tmp_path, DIES)
    with pytest.raises(StepError, match="its worker process died twice"):
        tiny.run(tmp_path, 2, methods=["deadly", "snip", "magnitude_init"], plugins=[plug])
    assert {method_ for method_, _, _ in cells(tmp_path)} == {"dense", "snip", "magnitude_init"}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


KINDS = [
    ("pretrain", "final.safetensors"),
    ("pretrain", "result.json"),
    ("mask", "masks.safetensors"),
    ("mask", "result.json"),
    ("train", "result.json"),
    ("train", "manifest.json"),
    ("compare", "result.json"),
]


@pytest.mark.parametrize(("kind", "file"), KINDS)
def test_a_damaged_artefact_is_computed_again_in_the_same_run(kind: str, file: str, tmp_path: Path) -> None:
    """One bit flipped in what the rest of the study needs, or in what the report reads."""
    changes: dict[str, Any] = {"methods": ["lr_rewinding"]}
    first = tiny.run(tmp_path, **changes)
    before, page = tiny.objects(tmp_path), results_of(tmp_path)
    victim = next(step for step in first.plan.steps.values() if step.kind == kind)
    store = Store.open(tmp_path / "store")
    if file == "final.safetensors":  # it is read only if a ticket is trained again
        for step in first.plan.steps.values():
            if step.kind == "train":
                store.drop(step.key)
    if file == "masks.safetensors":
        for step in first.plan.steps.values():
            if step.kind in ("train", "compare"):
                store.drop(step.key)
    flip(store.folder(victim.key) / file)
    again = tiny.run(tmp_path, **changes)
    assert victim.key in {step.key for step in again.ran}
    assert not again.failures
    assert tiny.objects(tmp_path) == before
    assert results_of(tmp_path) == page
    assert len(list((tmp_path / "store" / "quarantine").iterdir())) == 1


def test_report_names_a_damaged_artefact_and_works_without_it_the_next_time(tmp_path: Path) -> None:
    results = tiny.run(tmp_path, checks=["layerwise_rearrange", "random_labels"])
    store = Store.open(tmp_path / "store")
    arm = next(arm for arm in results.plan.arms if arm.check == "random_labels")
    flip(store.folder(arm.mask or "") / "result.json")
    with pytest.raises(PrunecheckError, match="is damaged"):
        report_study(results.study, tiny.place(tmp_path))
    report_study(results.study, tiny.place(tmp_path))
    assert cells(tmp_path) == {
        ("dense", "clean", "0"),
        ("snip", "clean", "0"),
        ("snip", "layerwise_rearrange", "0"),
    }


def test_report_trains_nothing_and_equals_the_report_of_the_run(whole: Path, tmp_path: Path) -> None:
    place = replace(tiny.place(whole), folder=tmp_path / "out")
    before = tiny.objects(whole)
    found = report_study(tiny.study(**FULL), place)
    assert found.ran == []
    assert tiny.objects(whole) == before
    assert (tmp_path / "out" / "results.csv").read_bytes() == (whole / "out" / "results.csv").read_bytes()


def test_report_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"study 'tiny' has no results to judge in .* yet: run it first"):
        report_study(tiny.study(), tiny.place(tmp_path))
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("lost", ["clean", "layerwise_rearrange"])
def test_report_of_an_unfinished_study_says_so(lost: str, tmp_path: Path) -> None:
    """It was interrupted when a corrupted arm was there before its clean one, or the clean one alone."""
    results = tiny.run(tmp_path)
    store = Store.open(tmp_path / "store")
    for arm in results.plan.arms:
        if (arm.method, arm.check) == ("snip", lost):
            store.drop(arm.train)
    with pytest.raises(StudyError, match=r"no results to judge in .* yet; those in .*out are of another study file"):
        report_study(results.study, tiny.place(tmp_path))


def test_the_margin_is_recorded_before_any_corrupted_arm_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out" / "margin.json"
    there: dict[str, bool] = {}
    for kind, perform in list(STEPS.items()):

        def watched(step: Step, context: Any, kind: str = kind, perform: Any = perform) -> Any:
            there.setdefault(kind, path.exists())
            return perform(step, context)

        monkeypatch.setitem(STEPS, kind, watched)
    tiny.run(tmp_path)
    assert there.pop("pretrain") is False
    assert there == {"score": True, "mask": True, "corrupt": True, "train": True, "compare": True}
    written = path.read_bytes()
    results = tiny.run(tmp_path, seeds=2, margin=9.5)
    assert path.read_bytes() == written
    assert results.verdict.margin == 9.5
    assert f"{json.loads(written)['margin']:.2f}" in results.verdict.margin_rule  # what was written down is shown
    assert tiny.run(tmp_path).verdict.margin == json.loads(written)["margin"]


def test_only_open_verdicts_get_more_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    def undecided(rows: Any, **how: Any) -> Any:
        """The real verdict, except that SNIP under rearrangement is open until it has five seeds."""
        found = list(rows)
        verdict = judge(found, **how)
        have = {row.seed for row in found if (row.method, row.check) == ("snip", "layerwise_rearrange")}
        taken.append(len(have))
        checks = tuple(
            replace(c, open=(c.method, c.check) == ("snip", "layerwise_rearrange") and len(have) < 5)
            for c in verdict.checks
        )
        return replace(verdict, checks=checks)

    monkeypatch.setattr(judging, "judge", undecided)
    study = tiny.study(
        methods=["snip", "magnitude_init"], checks=["layerwise_rearrange", "random_labels"], seeds="auto"
    )
    screen = io.StringIO()
    results = run_study(study, tiny.place(tmp_path), 1, Progress(Console(file=screen, width=200)))
    assert taken == [3, 4, 5]
    assert screen.getvalue().count("Open verdicts get more seeds") == 1
    seeds: dict[tuple[str, str], set[int]] = {}
    for row in results.rows:
        seeds.setdefault((row["method"], row["check"]), set()).add(row["seed"])
    assert seeds["snip", "layerwise_rearrange"] == seeds["snip", "clean"] == {0, 1, 2, 3, 4}
    assert seeds["snip", "random_labels"] == {0, 1, 2}
    assert seeds["magnitude_init", "clean"] == seeds["magnitude_init", "layerwise_rearrange"] == {0, 1, 2}
    assert ("magnitude_init", "random_labels") not in seeds  # it sees no data
    margin = json.loads((tmp_path / "out" / "margin.json").read_text())
    assert len(margin["dense_runs"]) == 3
    walked = report_study(results.study, tiny.place(tmp_path))
    assert walked.rows == results.rows


def test_a_failing_dense_network_ends_the_study_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise MemoryError("not enough of it")

    monkeypatch.setitem(STEPS, "pretrain", fail)
    with pytest.raises(StepError, match=r"pretrain · seed 0: MemoryError: not enough of it"):
        tiny.run(tmp_path)


def test_the_mask_tier_trains_nothing(tmp_path: Path) -> None:
    study = tiny.study(methods=["snip", "lr_rewinding"], checks=["layerwise_rearrange", "random_labels"])
    store = Store.open(tmp_path / "store")
    found, left_out, _ = mask_tier(study, store, 1, Progress())
    assert left_out == ["lr_rewinding"]
    assert [(o.method, o.check, o.sparsity) for o in found] == [
        ("snip", "layerwise_rearrange", 0.8),
        ("snip", "random_labels", 0.8),
    ]
    rearranged, relabelled = found
    assert 0 < rearranged.iou < relabelled.iou < 1
    assert abs(rearranged.iou - rearranged.chance_iou) < 0.05
    kinds = {path.name for path in (tmp_path / "store" / "objects").rglob("*") if path.is_file()}
    assert "final.safetensors" not in kinds
    assert not (tmp_path / "out").exists()


def test_an_invalid_study_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StudyError):
        tiny.run(tmp_path, scoring={"samples_per_class": 7})
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "out").exists()


def test_a_method_that_workers_cannot_import_runs_in_this_process(tmp_path: Path) -> None:
    """Defined in a notebook: no file to name, no package to install."""

    @method(name="mine")
    def _mine(weights: Any) -> Any:
        return {name: weight.abs() for name, weight in weights.items()}

    heard = io.StringIO()
    study = tiny.study(methods=["snip", "mine"])
    run_study(study, tiny.place(tmp_path), 2, Progress(Console(file=heard, width=60)))
    assert ("mine", "layerwise_rearrange", "0") in cells(tmp_path)
    assert "'mine' is defined in tests.runner.test_study_run, which worker processes cannot import" in heard.getvalue()


def test_plugins_that_workers_can_import(tmp_path: Path) -> None:
    plug = tiny.plugin(tmp_path, "from prunecheck.pruning import check\n\n@check(at='masks')\ndef c(masks): ...\n")
    assert unimportable_plugin(tiny.study(checks=["c"], plugins=[plug], controls=["identity", "positive"])) is None

    @allocation(name="all_in_the_last")
    def _allocation(layers: Any) -> Any: ...

    borrowed = {"name": "random_ticket", "allocate": {"name": "counts_of", "method": "snip"}}
    assert unimportable_plugin(tiny.study(methods=[borrowed])) is None
    hidden = unimportable_plugin(tiny.study(methods=[{"name": "snip", "allocate": "all_in_the_last"}]))
    assert hidden is not None
    assert hidden.name == "all_in_the_last"


def test_the_margin_of_a_tryout_does_not_judge_the_real_study(tmp_path: Path) -> None:
    tryout = tiny.run(tmp_path, data={"name": "digits", "train_size": 60, "test_size": 20})
    real = tiny.study(data={"name": "digits", "train_size": 60, "test_size": 500})
    heard = io.StringIO()
    results = run_study(real, tiny.place(tmp_path), 1, Progress(Console(file=heard, width=400)))
    undisturbed = run_study(real, tiny.place(tmp_path / "other"), 1, Progress())
    assert tryout.verdict.margin == 25
    assert results.verdict.margin == undisturbed.verdict.margin != 25
    assert "held a margin of 25.00 points for other dense runs (on 20 test samples)" in heard.getvalue()
    assert "data.test_size was 20 and is 500" in heard.getvalue()
    assert (tmp_path / "out" / "index.html").read_bytes() == (tmp_path / "other" / "out" / "index.html").read_bytes()


def test_two_study_files_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for name, seeds in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.toml").write_text(to_toml(tiny.study(seeds=seeds)))
    first, second = (load_study(tmp_path / name / "study.toml") for name in ("a", "b"))
    run_study(first, tiny.place(tmp_path), 1, Progress())
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for attempt in (
        lambda: run_study(second, tiny.place(tmp_path), 1, Progress()),
        lambda: report_study(second, tiny.place(tmp_path)),
        lambda: rerun(second, tiny.place(tmp_path), 0.5, 0, 1, Progress()),
    ):
        with pytest.raises(StudyError, match=r"holds the results of another study \(.*/a/study\.toml\)"):
            attempt()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


FORGED: list[tuple[str, str, dict[str, Any]]] = [
    ("train", "accuracy", {"accuracy": 0.5}),
    ("train", "accuracy", {"accuracy": "0.5"}),
    ("train", "no number of 50 test examples", {"accuracy": 0.333, "history": "changed"}),
    ("train", "n_test", {"n_test": 0}),
    ("train", "accuracy", {"history": []}),
    ("train", "best_accuracy", {"best_accuracy": 1.0}),
    ("train", "diverged", {"diverged": 0}),
    ("train", "last_epoch", {"last_epoch": None}),
    ("mask", "kept", {"kept": 5}),
    ("mask", "layers", {"layers": [["a", "conv", [1], "x"]]}),
    ("mask", "effective_kept", {"effective_kept": 10**6}),
    ("compare", "iou", {"iou": 0.0}),
    ("compare", "moved", {"moved": 10**6}),
]


@pytest.mark.parametrize(("kind", "says", "change"), FORGED, ids=str)
def test_a_result_that_contradicts_itself_is_refused_and_computed_again(
    kind: str, says: str, change: dict[str, Any], tmp_path: Path, whole_tiny: Path
) -> None:
    shutil.copytree(whole_tiny, tmp_path, dirs_exist_ok=True)
    expected = (tmp_path / "out" / "results.csv").read_bytes()
    store = Store.open(tmp_path / "store")
    plan = make_plan(tiny.study())
    key = next(
        arm.train if kind == "train" else arm.mask if kind == "mask" else arm.compare or ""
        for arm in plan.arms
        if arm.compare
    )
    files = {name: store.read(key, name) for name in store.names(key)}
    result = json.loads(files["result.json"])
    if change.get("history") == "changed":
        change = change | {"history": [{**result["history"][0], "test_accuracy": 0.333}], "best_accuracy": 0.333}
    store.drop(key)
    store.commit(key, files | {"result.json": json.dumps(result | change).encode()})
    with pytest.raises(
        Damaged, match=rf"is refused, it was moved to .*: it does not hold the result of a {kind} step: .*{says}"
    ):
        report_study(tiny.study(), tiny.place(tmp_path))
    tiny.run(tmp_path)
    assert (tmp_path / "out" / "results.csv").read_bytes() == expected


@pytest.mark.parametrize("forgery", ["one weight less", "another layer", "floats", "shape"])
def test_masks_that_contradict_the_counts_of_their_result_are_computed_again(
    forgery: str, tmp_path: Path, whole_tiny: Path
) -> None:
    shutil.copytree(whole_tiny, tmp_path, dirs_exist_ok=True)
    expected = tiny.objects(tmp_path)
    store = Store.open(tmp_path / "store")
    arm = next(arm for arm in make_plan(tiny.study()).arms if arm.mask and arm.check == "clean")
    assert arm.mask is not None
    files = {name: store.read(arm.mask, name) for name in store.names(arm.mask)}
    masks = load(files["masks.safetensors"])
    name = min(masks)
    if forgery == "one weight less":
        masks[name].view(-1)[int(masks[name].view(-1).nonzero()[0])] = False
    elif forgery == "another layer":
        masks["other.weight"] = masks.pop(name)
    elif forgery == "floats":
        masks[name] = masks[name].float()
    else:
        masks[name] = masks[name].reshape(-1)
    store.drop(arm.mask)
    store.drop(arm.train)
    store.commit(arm.mask, files | {"masks.safetensors": save(masks)})
    tiny.run(tmp_path)
    assert tiny.objects(tmp_path) == expected
    assert len(list((tmp_path / "store" / "quarantine").iterdir())) == 1


@pytest.mark.parametrize(
    "forged", [None, b"", b"garbage", b"\xff" * 8 + b"{}"], ids=["absent", "empty", "garbage", "huge header"]
)
def test_an_artefact_without_its_tensors_is_computed_again(
    forged: bytes | None, tmp_path: Path, whole_tiny: Path
) -> None:
    """The manifest is valid; the training that needs the masks is not there yet."""
    shutil.copytree(whole_tiny, tmp_path, dirs_exist_ok=True)
    expected = tiny.objects(tmp_path)
    store = Store.open(tmp_path / "store")
    arm = next(arm for arm in make_plan(tiny.study()).arms if arm.mask and arm.check == "clean")
    assert arm.mask is not None
    files = {"result.json": store.read(arm.mask, "result.json")}
    store.drop(arm.mask)
    store.drop(arm.train)
    store.commit(arm.mask, files if forged is None else files | {"masks.safetensors": forged})
    tiny.run(tmp_path)
    assert tiny.objects(tmp_path) == expected
    assert len(list((tmp_path / "store" / "quarantine").iterdir())) == 1


def test_a_store_without_working_locks_uses_leases_and_gives_the_same_bytes(
    tmp_path: Path, whole_tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda _handle, _mode: None)
    screen = io.StringIO()
    place = tiny.place(tmp_path)
    run_study(tiny.study(), place, 1, Progress(Console(file=screen, width=300)))
    assert screen.getvalue().count("File locks do not work on the store (a lock that is held can be taken again)") == 1
    assert place.store.has_leases
    assert not place.store.holders()
    assert tiny.objects(tmp_path) == tiny.objects(whole_tiny)
