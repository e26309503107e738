from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck.errors import StoreError
from prunecheck.runner.preflight import NETWORKS, RESERVE, enough_space
from prunecheck.store import Store
from prunecheck.study import Step
from prunecheck.text import byte_size

from . import tiny


def steps(*kinds: str) -> list[Step]:
    return [Step(kind, {"n": n}) for n, kind in enumerate(kinds)]  # type: ignore[arg-type]


@pytest.mark.parametrize(("kinds", "networks"), [(["train"], 1), (["pretrain", "score"], 3), (["mask"] * 4, 1)])
def test_the_last_byte_decides(
    kinds: list[str], networks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, need = Store.open(tmp_path / "store"), networks * 1_000_000 + RESERVE
    monkeypatch.setattr(Store, "free_bytes", lambda _: need)
    enough_space(steps(*kinds), 1_000_000, store)
    monkeypatch.setattr(Store, "free_bytes", lambda _: need - 1)
    with pytest.raises(StoreError, match="Free some space or choose another store") as caught:
        enough_space(steps(*kinds), 1_000_000, store)
    assert "\n" not in str(caught.value)


def test_nothing_to_store_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "free_bytes", lambda _: 0)
    enough_space([], 1_000_000, Store.open(tmp_path / "store"))
    enough_space(steps("compare"), 1_000_000, Store.open(tmp_path / "store"))


def test_the_forecast_is_near_what_a_study_really_stores(tmp_path: Path) -> None:
    from prunecheck.runner.preflight import preflight

    ran = tiny.run(tmp_path, methods=["lr_rewinding", "snip"], checks=["layerwise_rearrange"]).ran
    forecast = preflight(tiny.study()) * sum(NETWORKS[step.kind] for step in ran)
    files = list((tmp_path / "store" / "objects").rglob("*.safetensors"))
    real = sum(path.stat().st_size for path in files)
    assert real * 0.8 < forecast < real * 1.5


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_234_567, "1.23 MB"), (78.3e9, "78.3 GB"), (5e12, "5 TB")],
)
def test_sizes_are_spoken_in_short(size: float, text: str) -> None:
    assert byte_size(size) == text
