"""GPUs in plans: card and precision are in the keys, the number of the device and of tickets at a time are not."""

from __future__ import annotations

from typing import Any

import pytest

from prunecheck.errors import StudyError
from prunecheck.study import gpus, make_plan
from prunecheck.study.step import can_train_together
from tests.runner import tiny


def cards(patch: pytest.MonkeyPatch, *names: str) -> None:
    patch.setattr(gpus, "gpu_names", lambda: names)


class Driver:
    """A CUDA driver with one card for each (name, bytes, capability); ``mute``: it tells no more than names."""

    def __init__(self, *cards: tuple[str, int, tuple[int, int]], mute: bool = False) -> None:
        self.cards, self.mute = cards, mute

    def cuInit(self, flags: int) -> int:
        return flags

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = len(self.cards)
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:
        device._obj.value = number
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = self.cards[device.value][0].encode()[:size]
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:
        memory._obj.value = self.cards[device.value][1]
        return int(self.mute)

    def cuDeviceGetAttribute(self, number: Any, kind: int, device: Any) -> int:
        number._obj.value = self.cards[device.value][2][{75: 0, 76: 1}[kind]]
        return int(self.mute)


@pytest.mark.parametrize("mute", [False, True])
def test_cards_are_read_from_the_driver(mute: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(("NVIDIA H200", 150 << 30, (9, 0)), ("Tesla T4", 16 << 30, (7, 5)), mute=mute)
    monkeypatch.setattr(gpus.ctypes, "CDLL", lambda _: driver)
    found = gpus.gpu_cards.__wrapped__()
    assert [card.name for card in found] == ["NVIDIA H200", "Tesla T4"]
    assert [(card.memory, card.capability) for card in found] == (
        [(0, (0, 0))] * 2 if mute else [(150 << 30, (9, 0)), (16 << 30, (7, 5))]
    )
    assert [card.has_bfloat16 for card in found] == [not mute, False]


def keys(**changes: Any) -> set[str]:
    return set(make_plan(tiny.study(**({"device": "cuda"} | changes))).steps)


def test_device_number_and_tickets_at_a_time_are_in_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    cards(monkeypatch, "H200", "H200")
    assert keys() == keys(device="cuda:1") == keys(tickets_per_gpu=3)
    assert keys(device="cpu") == keys(device="cpu", tickets_per_gpu=3)


def test_model_of_the_card_is_in_the_keys_of_what_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    cards(monkeypatch, "H200", "H100")
    first = make_plan(tiny.study(device="cuda")).steps
    other = keys(device="cuda:1")
    assert {step.kind for key, step in first.items() if key in other} == set()
    assert all(step.params["gpu"] == "H200" for step in first.values() if "device" in step.params)


def test_precision_on_a_gpu_is_in_the_keys_of_trainings_and_bfloat16_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cards(monkeypatch, "H200")
    assert keys() == keys(precision="bfloat16")
    plans = [make_plan(tiny.study(device="cuda", precision=name)).steps for name in ("float32", "tf32", "bfloat16")]
    trained = [{key for key, step in plan.items() if step.kind in ("pretrain", "train")} for plan in plans]
    assert not trained[0] & trained[1]
    assert not trained[1] & trained[2]
    scored = [{key for key, step in plan.items() if step.kind == "score"} for plan in plans]
    assert scored[0] == scored[1] == scored[2] != set()


def test_tf32_without_a_gpu_is_refused() -> None:
    with pytest.raises(StudyError, match="tf32"):
        tiny.study(precision="tf32")


def test_cuda_means_all_cards_like_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    cards(monkeypatch, "H200", "H100", "H200")
    assert gpus.gpus_of("cuda") == (0, 2)
    assert gpus.gpus_of("cuda:1") == (1,)
    assert gpus.gpus_of("cuda:7") == gpus.gpus_of("cpu") == ()


def test_variable_names_the_card_only_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpus.VARIABLE, "H100")
    cards(monkeypatch)
    assert gpus.gpu_name("cuda") == "H100"
    cards(monkeypatch, "H200")
    assert gpus.gpu_name("cuda") == "H200"


def test_driver_is_asked_without_torch() -> None:
    gpus.gpu_cards.cache_clear()
    assert all(isinstance(name, str) for name in gpus.gpu_names())


def test_only_trainings_on_a_gpu_can_be_trained_together(monkeypatch: pytest.MonkeyPatch) -> None:
    cards(monkeypatch, "H200")
    changes: dict[str, Any] = {"methods": ["snip", "lottery_ticket"]}
    steps = list(make_plan(tiny.study(device="cuda", **changes)).steps.values())
    trained = [step for step in steps if step.kind in ("pretrain", "train")]
    assert len(trained) > 3
    for one in steps:
        for other in steps:
            assert can_train_together(one, other) == (one in trained and other in trained)
    on_cpu = [step for step in make_plan(tiny.study(**changes)).steps.values() if step.kind == "train"]
    assert not can_train_together(on_cpu[0], on_cpu[1])
