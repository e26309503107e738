"""A study of streamed data: every check, the same bytes from every layout and any number of threads, resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prunecheck import data
from prunecheck.errors import DataError, StudyError
from prunecheck.pruning import check
from prunecheck.steps import Context, perform, training
from prunecheck.study import load_study, make_plan
from tests.data.streams import WRITERS, write_folder
from tests.runner import tiny
from tests.steps.lab import Lab, lab

from .cut import Cut, cut_after

RESIZED = {"epochs": 2, "rewind_epoch": 1, "batch_size": 6, "pad": 0, "crop": "resized"}


def choice(root: Path, name: str = "folder", **changes: Any) -> dict[str, Any]:
    stream = {} if name in ("webdataset", "imagenet") else {"stream": True}
    return {"name": name, "root": str(root), "size": 8, "center_crop": 0.9} | stream | changes


def streamed(folder: Path, threads: int = 3, **changes: Any) -> Lab:
    found = lab(folder, **({"training": RESIZED} | changes))
    return Lab(found.plan, Context(found.context.store, changes["data"]["root"], loader_threads=threads))


def finals(made: Lab) -> list[bytes]:
    return [made.bytes(step.key) for step in made.kinds("train")]


@pytest.mark.slow
def test_every_check_of_the_data_is_applied(tmp_path: Path) -> None:
    write_folder(tmp_path / "data")
    checks = ["random_labels", "random_pixels", "corrupted_data", "half_dataset", "layerwise_rearrange"]
    made = streamed(tmp_path, data=choice(tmp_path / "data"), checks=checks).perform()
    scores = {made.bytes(step.key, "scores.safetensors") for step in made.kinds("score")}
    assert len(scores) == 5  # the clean ones, and those of every check of the data
    for step in made.kinds("train"):
        facts = made.facts(step.key)
        assert (facts["n_train"], facts["n_test"], facts["diverged"]) == (18, 9, False)


def test_layout_and_number_of_threads_change_no_byte(tmp_path: Path) -> None:
    """But for parquet, whose images are mixed in groups; here there is one group alone."""
    results = []
    for kind, write in WRITERS.items():
        spec = write(tmp_path / kind)
        described = choice(tmp_path / kind, spec.name)
        for threads in (1, 4) if kind == "folder" else (2,):
            made = streamed(tmp_path / f"{kind}{threads}", threads, data=described, methods=["magnitude"])
            results.append(finals(made.perform()))
    assert all(result == results[0] for result in results)
    assert results[0]


@pytest.mark.parametrize("kind", ["folder", "parquet"])
def test_training_cut_short_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    WRITERS[kind](tmp_path / "data")
    described = choice(tmp_path / "data", kind)
    whole = streamed(tmp_path / "whole", data=described, methods=["dense"]).perform()
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    part = streamed(tmp_path / "part", data=described, methods=["dense"])
    (step,) = part.kinds("pretrain")
    with monkeypatch.context() as patch:
        cut_after(patch, 1)
        with pytest.raises(Cut):
            perform(step, part.context)
    assert part.context.store.load_partial(step.key) is not None
    perform(step, part.context)
    assert part.bytes(step.key) == whole.bytes(step.key)


def test_keys_hold_how_images_are_streamed(tmp_path: Path) -> None:
    write_folder(tmp_path / "data")
    write_folder(tmp_path / "moved")

    def key(**changes: Any) -> str:
        return min(make_plan(tiny.study(data=choice(tmp_path / "data") | changes)).steps)

    usual = key()
    assert key(root=str(tmp_path / "moved")) == usual
    assert len({usual, key(center_crop=0.8), key(size=9), key(train_size=9), key(stream=False, center_crop=None)}) == 5
    assert make_plan(tiny.study(data=choice(tmp_path / "data"), loader_threads=3)).steps.keys() == (
        make_plan(tiny.study(data=choice(tmp_path / "data"))).steps.keys()
    )


def test_another_decoder_than_planned_is_an_error(tmp_path: Path) -> None:
    write_folder(tmp_path / "data")
    made = streamed(tmp_path, data=choice(tmp_path / "data"), methods=["dense"])
    (step,) = made.kinds("pretrain")
    assert step.params["data"]["decoder"] == data.decoder()
    planned = {**step.params, "data": {**step.params["data"], "decoder": "pillow 1.0"}}
    with pytest.raises(DataError, match=r"the study was planned with pillow 1.0"):
        made.context.images(planned)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"name": "digits"}, "training": RESIZED}, "it needs data.stream = true"),
        ({"training": RESIZED | {"pad": 4}}, 'training.pad = 4: crop = "resized" pads nothing'),
        ({"training": RESIZED | {"scale": [0.5, 1.2]}}, r"training.scale = \[0.5, 1.2\] is no range"),
        ({"training": RESIZED | {"ratio": [2.0, 1.0]}}, r"training.ratio = \[2, 1\] is no range"),
        ({"training": RESIZED | {"crop": "padded", "scale": [0.5, 1.0]}}, 'those of crop = "resized"'),
        ({"checks": ["mine"]}, r"checks\[0\]: check 'mine' gets the whole training set"),
        ({"data": {"name": "cifar10", "stream": True}}, "cifar10.* is loaded into memory; stream = true is for"),
    ],
)
def test_studies_that_cannot_be_streamed(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    @check(at="batches", name="mine")
    def mine(batches: Any) -> Any:
        return batches

    write_folder(tmp_path / "data")
    with pytest.raises(StudyError, match=message):
        load_study(tiny.fields(**({"data": choice(tmp_path / "data")} | changes)))
