"""The advice of ``plan`` and ``doctor`` follows the processor's instructions and what the study already does."""

from __future__ import annotations

from typing import Any

import pytest

from prunecheck.study import faster, gpus, load_study
from prunecheck.training import sparse
from tests.study.studies import BASE

LARGE = {"model": "resnet8_w16", "data": {"name": "mnist5k", "size": 16}, "sparsities": [0.9]}


@pytest.fixture(params=[["avx512_bf16"], ["amx_bf16", "avx512_bf16"], ["bf16"]], ids=["avx512", "amx", "arm"])
def wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(faster, "bfloat16_instructions", lambda: request.param)
    return list(request.param)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster, "bfloat16_instructions", list)


def advice(**changes: Any) -> list[str]:
    return faster.faster_choices(load_study({**BASE, **changes}), 16)


def test_bfloat16_is_advised_where_the_processor_has_instructions_for_it(wide: list[str]) -> None:
    (line,) = advice()
    assert line.startswith('precision = "bfloat16": dense training ')
    assert ("1.5 to 3.0" in line) == ("amx_bf16" in wide)
    assert ("1.3 to 2.0" in line) == (wide == ["avx512_bf16"])
    assert "sparse" not in line  # digits are too small for that backend
    assert advice(precision="bfloat16") == []


@pytest.mark.usefixtures("narrow")
def test_bfloat16_is_advised_against_where_it_is_emulated() -> None:
    assert advice() == []
    assert advice(precision="bfloat16") == [
        'precision = "float32": this processor has no instructions for bfloat16, so that dense training is far slower '
        "in it"
    ]


@pytest.mark.skipif(sparse.unavailable() is not None, reason="numba is not installed")
@pytest.mark.usefixtures("narrow")
def test_advice_against_bfloat16_says_that_tickets_on_the_sparse_backend_are_faster_in_it() -> None:
    (line,) = advice(**LARGE, precision="bfloat16")
    assert line.startswith('precision = "float32"')
    assert line.endswith("; tickets on the sparse backend were 1.1 to 1.6 times as fast")
    assert "tickets on the sparse backend 1.1 to 1.6 times as fast" in faster.bfloat16_here()


@pytest.mark.skipif(sparse.unavailable() is not None, reason="numba is not installed")
@pytest.mark.usefixtures("wide")
def test_advice_of_bfloat16_says_what_the_sparse_backend_gains_where_it_is_used() -> None:
    (line,) = advice(**LARGE)
    assert "tickets on the sparse backend were 1.1 to 1.6 times as fast" in line
    assert "sparse" not in advice(**LARGE | {"sparsities": [0.5]})[0]


@pytest.mark.usefixtures("narrow")
def test_missing_numba_is_named_where_auto_would_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert advice(**LARGE) == []
    monkeypatch.setattr(sparse, "unavailable", lambda: "numba is not installed")
    assert advice(**LARGE) == ['backend = "auto" trains tickets of 80% and more sparsely, but numba is not installed']
    for settled in ({"backend": "dense"}, {"sparsities": [0.5]}):
        assert advice(**LARGE | settled) == []


@pytest.mark.usefixtures("narrow")
def test_recipe_fast_is_named_for_the_unchanged_recipe_of_the_paper_alone() -> None:
    assert "a fifth of the epochs" in advice(training={"recipe": "cifar"})[0]
    for other in ({"recipe": "fast"}, {"recipe": "cifar", "epochs": 20}, {}):
        assert advice(training=other) == []


@pytest.mark.usefixtures("wide")
def test_a_study_on_a_gpu_gets_no_advice_about_the_processor() -> None:
    assert advice(device="cuda", training={"recipe": "cifar"}) == []


@pytest.mark.parametrize(
    ("precision", "capability", "advised"),
    [("bfloat16", (9, 0), ""), ("tf32", (9, 0), "bfloat16"), ("bfloat16", (7, 5), "float32"), ("float32", (0, 0), "")],
)
def test_precision_on_a_gpu_is_advised_by_what_the_card_can_do(
    precision: str, capability: tuple[int, int], advised: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "gpu_cards", lambda: (gpus.Card("card", 1 << 30, capability),))
    monkeypatch.setattr(faster, "gpu_cards", gpus.gpu_cards)
    found = advice(device="cuda", precision=precision)
    assert [line.partition(":")[0] for line in found] == ([f'precision = "{advised}"'] if advised else [])


def test_grasp_is_named_as_not_repeatable_on_a_gpu_alone() -> None:
    found = [
        faster.unrepeatable(load_study({**BASE, "methods": ["grasp", "snip"], "device": device}))
        for device in ("cuda", "cpu")
    ]
    assert found == [["grasp"], []]
