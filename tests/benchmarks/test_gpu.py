"""The benchmark of GPUs with a simulated one: what it prints, and that it notices other bits."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import torch

from benchmarks import gpu
from prunecheck.study import load_study
from tests.training.fake_gpu import FakeGpu

WANTED = "with the bits of steps called one by one"


# torch.compile says so on that version alone
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
def test_rates_have_a_row_for_each_network_and_a_column_for_each_way_to_train(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[torch.nn.Module] = []

    def compile_(model: torch.nn.Module) -> None:
        compiled.append(model)
        model.compile(backend="eager")  # needs no compiler

    monkeypatch.setattr(gpu, "OFFICIAL_LOADERS", 0)
    head, _, row = gpu.rates(gpu.QUICK, FakeGpu(), "cpu", (1, 2), lambda _: None, compile_).splitlines()
    assert "2 recorded, bfloat16" in head
    assert len(compiled) == 1
    cells = [cell.strip().replace(",", "") for cell in row.strip("|").split("|")]
    assert len(cells) == 7
    assert all(float(cell) > 0 for cell in cells[1:])


def test_evaluation_is_timed_beside_an_epoch_of_training() -> None:
    head, _, row = gpu.evaluation_share(gpu.QUICK, FakeGpu(), "cpu", 2, test_images=40).splitlines()
    assert "evaluating 40 images" in head
    evaluation, training, share = (cell.strip() for cell in row.strip("|").split("|")[1:])
    assert float(evaluation) > 0
    assert float(training) > 0
    assert share.endswith("%")


def test_equal_bits_are_counted_for_each_number_of_tickets() -> None:
    lines = gpu.equal_bits(gpu.QUICK[0], FakeGpu(), "cpu", (1, 2)).splitlines()
    assert WANTED in lines[0]
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["2 of 2", "2 of 2"]


def test_other_bits_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from prunecheck.training.loop import Training

    real = Training.end_epoch

    def end_epoch(self: Any) -> None:
        real(self)
        if self.seed == 1 and "lr" in vars(self):
            next(self.state.model.parameters()).data.add_(1e-3)

    made: list[int] = []
    ticket = gpu.ticket

    def marked(*args: Any) -> Any:
        made.append(1)
        one = ticket(*args)
        if len(made) > 2:  # after the two that are called one by one
            one.__dict__["lr"] = True
        return one

    monkeypatch.setattr(Training, "end_epoch", end_epoch)
    monkeypatch.setattr(gpu, "ticket", marked)
    assert "1 of 2" in gpu.equal_bits(gpu.QUICK[0], FakeGpu(), "cpu", (2,))


def test_trial_is_a_valid_study() -> None:
    study = load_study(tomllib.loads(gpu.TRIAL), allow_absent=True)
    assert study.precision == "bfloat16"
    assert study.recipe.epochs == gpu.TRIAL_EPOCHS


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    assert "no GPU" in gpu.report(True, lambda _: None)
