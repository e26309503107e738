"""What the data loader noticed is printed before training, and is on the page, in report.md and in verdicts.json."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from prunecheck.errors import DataError
from prunecheck.runner.progress import Progress
from prunecheck.runner.report_data import study_images
from prunecheck.runner.study_run import report_study, run_study
from tests.data.makers import images, png, write_files
from tests.runner import tiny

LEAK = "8 of 8 test images are in train too, pixel for pixel."
LEFT = "cat/notes.txt"


def leaky(root: Path) -> dict[str, object]:
    """Eight training images per class, four of which are the test images too, and a file that is not read."""
    for position, name in enumerate(("cat", "dog")):
        pixels = [png(image) for image in images(8, side=8, seed=position)]
        write_files(root, {f"train/{name}/{i}.png": content for i, content in enumerate(pixels)})
        write_files(root, {f"test/{name}/{i}.png": content for i, content in enumerate(pixels[:4])})
    write_files(root, {"train/cat/notes.txt": b""})
    return {"name": "folder", "root": str(root), "size": 8}


def test_notes_on_the_data_are_printed_before_training_and_reported(tmp_path: Path) -> None:
    screen = io.StringIO()
    study = tiny.study(data=leaky(tmp_path / "pictures"), scoring={"samples_per_class": 2})
    results = run_study(study, tiny.place(tmp_path), 1, Progress(Console(file=screen, width=200)))
    shown = screen.getvalue()
    assert LEAK in shown
    assert LEFT in shown
    assert LEAK in "".join(shown.splitlines()[:2]), "the progress of the steps comes later"
    for text in (results.page.read_text(), (tmp_path / "out" / "report.md").read_text()):
        assert LEAK in text
        assert LEFT.replace("_", "\\_") in text
    document = json.loads((tmp_path / "out" / "verdicts.json").read_text())
    assert LEAK in document["notes"]
    assert LEAK in report_study(study, tiny.place(tmp_path)).verdict.notes


def test_data_that_change_between_two_calls_are_loaded_anew(tmp_path: Path) -> None:
    study = tiny.study(data=leaky(tmp_path / "pictures"))
    first = study_images(study)
    assert study_images(study) is first
    other = images(1, side=8, seed=9)[0]
    write_files(tmp_path / "pictures", {"train/cat/0.png": png(other)})
    assert np.array_equal(study_images(study).train_inputs[0], other)


def test_data_that_change_while_they_are_loaded_are_refused(tmp_path: Path) -> None:
    from prunecheck import data
    from prunecheck.study.study import located

    spec = located(tiny.study(data=leaky(tmp_path / "pictures")))
    before = data.fingerprint(spec)
    write_files(tmp_path / "pictures", {"train/cat/0.png": png(images(1, side=8, seed=9)[0])})
    with pytest.raises(DataError, match="its files changed after the study was planned"):
        data.load_once(spec, before)
