"""Which tickets the sparse backend trains, and what that changes in keys."""

from __future__ import annotations

from typing import Any

import pytest

from prunecheck.errors import StudyError
from prunecheck.study import Plan, load_study
from prunecheck.training import sparse
from tests.study.studies import BASE, plan

HAVE = sparse.unavailable() is None
LARGE = {"model": "resnet8_w16"}


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "unavailable", lambda: "numba is not installed (prunecheck[sparse] holds it)")


def backends(plan: Plan, kind: str = "train") -> set[Any]:
    return {step.params.get("backend") for step in plan.steps.values() if step.kind == kind}


def keys(plan: Plan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for step in plan.steps.values():
        found.setdefault(step.kind, set()).add(step.key)
    return found


@pytest.mark.skipif(not HAVE, reason="numba is not installed")
def test_auto_takes_the_sparse_backend_for_large_networks_at_high_sparsity() -> None:
    assert backends(plan(**LARGE)) == {None}  # digits are 8 x 8: no work at all
    large = LARGE | {"data": {"name": "mnist5k", "size": 16}}
    assert backends(plan(**large)) == {f"auto/{sparse.version()}"}
    assert backends(plan(**large, sparsities=[0.5])) == {None}
    assert backends(plan(**large, backend="dense")) == {None}


@pytest.mark.skipif(not HAVE, reason="numba is not installed")
def test_backend_sparse_trains_every_ticket_and_no_dense_network() -> None:
    chosen = plan(backend="sparse", sparsities=[0.2])
    assert backends(chosen) == {f"sparse/{sparse.version()}"}
    dense = keys(plan(backend="dense", sparsities=[0.2]))
    assert {kind for kind, found in keys(chosen).items() if found != dense[kind]} == {"train"}


@pytest.mark.skipif(not HAVE, reason="numba is not installed")
def test_backend_of_a_round_depends_on_its_sparsity() -> None:
    rounds = plan(**LARGE | {"data": {"name": "mnist5k", "size": 16}}, methods=["imp"], sparsities=[0.9])
    found = backends(rounds)
    assert found == {None, f"auto/{sparse.version()}"}


@pytest.mark.usefixtures("without_numba")
def test_dense_keys_do_not_depend_on_numba() -> None:
    assert keys(plan(**LARGE, data={"name": "mnist5k", "size": 16})) == keys(
        plan(**LARGE, data={"name": "mnist5k", "size": 16}, backend="dense")
    )


def test_backend_sparse_is_refused_on_a_gpu_with_the_reason() -> None:
    with pytest.raises(StudyError, match='backend = "sparse" is unavailable: it is for the CPU'):
        load_study({**BASE, "backend": "sparse", "device": "cuda"})


@pytest.mark.skipif(not HAVE, reason="numba is not installed")
@pytest.mark.parametrize(("instructions", "number"), [("avx512", 1), ("avx2", 2), ("sve", 2)])
def test_version_of_the_backend_differs_in_bfloat16_without_avx512(
    instructions: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prunecheck.study.backend.instruction_set", lambda: instructions)
    large = LARGE | {"data": {"name": "mnist5k", "size": 16}}
    assert backends(plan(**large)) == {f"auto/{sparse.version(1)}"}
    assert backends(plan(**large, precision="bfloat16")) == {f"auto/{sparse.version(number)}"}


@pytest.mark.skipif(not HAVE, reason="numba is not installed")
@pytest.mark.parametrize("backend", ["auto", "sparse"])
def test_bfloat16_takes_the_sparse_backend_as_float32_does(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunecheck.study.backend.instruction_set", lambda: "avx512")
    data = {"name": "mnist5k", "size": 16}
    found = [backends(plan(**LARGE, data=data, backend=backend, precision=p)) for p in ("float32", "bfloat16")]
    assert found[0] == found[1] == {f"{backend}/{sparse.version()}"}


@pytest.mark.usefixtures("without_numba")
def test_backend_sparse_without_numba_names_the_extra() -> None:
    with pytest.raises(StudyError, match=r"prunecheck\[sparse\]"):
        load_study({**BASE, "backend": "sparse"})


def test_precision_is_in_the_keys_of_trainings_only() -> None:
    plain, half = keys(plan(controls=[])), keys(plan(controls=[], precision="bfloat16"))
    assert plain["pretrain"].isdisjoint(half["pretrain"])
    assert plain["train"].isdisjoint(half["train"])
    snip = {"methods": ["snip"]}
    assert keys(plan(**snip))["score"] == keys(plan(**snip, precision="bfloat16"))["score"]
