"""What is shown while a streamed data set is read before the first step."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from prunecheck.cli import main, reading
from prunecheck.data import scan, watch_reading
from prunecheck.errors import DataError
from tests.data.streams import write_folder

STUDY = """
model = "convnet"
methods = ["snip"]
checks = ["layerwise_rearrange"]
sparsities = [0.8]
seeds = 1

[data]
name = "folder"
root = "photos"
size = 8
stream = true

[training]
epochs = 1
rewind_epoch = 0
"""


@pytest.fixture(autouse=True)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scan, "cache_folder", lambda: tmp_path / "cache")
    write_folder(tmp_path / "photos", n=12, n_test=6)
    (tmp_path / "s.toml").write_text(STUDY)
    yield tmp_path / "s.toml"
    watch_reading(None)


def test_reading_prints_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINE_EVERY_SECONDS", -1.0)
    assert main(["plan", "s.toml", "--store", "store"]) == 0
    folders = len([path for path in Path("photos").glob("*/*") if path.is_dir()])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("reading data 'folder'")]
    assert [line.partition("photos: ")[2] for line in lines] == [
        f"{done} of {folders} folders or shards" for done in range(1, folders + 1)
    ]


def test_a_fast_reading_prints_nothing_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "s.toml", "--store", "store"]) == 0
    assert "reading" not in capsys.readouterr().err


@pytest.mark.parametrize("quiet", [True, False])
def test_quiet_prints_no_line_of_reading(
    quiet: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LINE_EVERY_SECONDS", -1.0)
    Path("photos/val/emu/00.png").write_text("no image")  # refused once all is read, so nothing is trained
    assert main(["run", "s.toml", "--store", "store", *(["--quiet"] if quiet else [])]) == 2
    printed = capsys.readouterr().err
    assert "val/emu/00.png" in printed
    assert ("reading data" in printed) != quiet


def test_a_terminal_has_a_bar_that_is_gone_after_broken_images(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(reading, "err", lambda: Console(file=shown, force_terminal=True, width=60, color_system=None))
    watch_reading(reading.ReadingProgress())
    looks = [dict, lambda: (_ for _ in ()).throw(scan.BrokenImages(["a.png"]))]
    with pytest.raises(DataError, match=r"a\.png"):
        scan.look_at_all("data 'folder': photos", looks)
    assert "reading data 'folder': photos" in shown.getvalue()
    assert "2/2" in shown.getvalue()
    assert shown.getvalue().endswith("\x1b[2K")  # the line is empty again
    before = shown.getvalue()
    assert scan.look_at_all("data 'folder': photos", [dict]) == [{}]
    assert shown.getvalue() == before
