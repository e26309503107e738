from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import cli
from tests.reliability.study_folder import RUN, Zygote, artefacts, new_study_folder, results

__all__ = ["cli"]


@dataclass(frozen=True)
class Undisturbed:
    """The outcome of an undisturbed run."""

    results: dict[str, bytes]
    artefacts: dict[str, str]
    seconds: float


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    found = Zygote()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def undisturbed(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder: Path = new_study_folder(tmp_path_factory.mktemp("undisturbed") / "trial")
    begun = time.monotonic()
    assert zygote.run(folder, *RUN) == 0, (folder / "stderr").read_text()
    return Undisturbed(results(folder), artefacts(folder), time.monotonic() - begun)
