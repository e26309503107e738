"""Parts of batches, and batch normalisation over the whole batch against torch's (real groups: tests/runner)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from prunecheck.errors import StepError, StudyError
from prunecheck.training.parallel import (
    Group,
    ProcessLost,
    WholeBatchNorm,
    join,
    leave,
    synchronise_normalisation,
    validate_sizes,
)


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Group]:
    yield join(str(tmp_path / "meeting"), 0, 1, "gloo")
    leave()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_parts_cover_a_batch_once_and_are_of_nearly_equal_size(size: int) -> None:
    for rows in (slice(0, 64), slice(64, 71), slice(10, 17)):
        parts = [Group(rank, size).part(rows) for rank in range(size)]
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(rows.start, rows.stop))
        lengths = [part.stop - part.start for part in parts]
        assert max(lengths) - min(lengths) <= 1


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(6, 4, 5, 5), (6, 4), (6, 4, 3)])
def test_normalisation_over_the_whole_batch_is_that_of_torch(
    shape: tuple[int, ...], affine: bool, momentum: float | None
) -> None:
    kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
    theirs = nn.Sequential(kind(4, affine=affine, momentum=momentum))
    ours = nn.Sequential(kind(4, affine=affine, momentum=momentum))
    synchronise_normalisation(ours)
    assert isinstance(ours[0], WholeBatchNorm)
    torch.manual_seed(0)
    for _ in range(3):
        inputs = torch.randn(shape) * 3 + 2
        one, two = (inputs.clone().requires_grad_() for _ in range(2))
        weights = torch.randn(shape)
        (theirs(one) * weights).sum().backward()  # type: ignore[no-untyped-call]
        (ours(two) * weights).sum().backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-4, atol=1e-5)
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor)
    theirs.eval(), ours.eval()
    torch.testing.assert_close(ours(inputs), theirs(inputs))


def test_synchronising_keeps_weights_and_names_also_of_a_layer_that_is_used_twice() -> None:
    norm = nn.BatchNorm1d(3)
    model = nn.Sequential(norm, nn.Sequential(nn.Linear(3, 3), norm))
    weights, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    synchronise_normalisation(model)
    assert model[0] is model[1][1]  # type: ignore[index]
    assert {name: id(p) for name, p in model.named_parameters()} == {name: id(p) for name, p in weights.items()}
    assert {name: id(b) for name, b in model.named_buffers()} == {name: id(b) for name, b in buffers.items()}


def test_gradients_of_one_process_stay_as_they_are(group: Group) -> None:
    model = nn.Linear(3, 2)
    unused = nn.Parameter(torch.ones(4))
    model(torch.ones(1, 3)).sum().backward()
    before = model.weight.grad.clone()  # type: ignore[union-attr]
    group.sum_gradients([*model.parameters(), unused])
    assert torch.equal(model.weight.grad, before)  # type: ignore[arg-type]
    assert unused.grad is None


def test_different_masks_are_an_error(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    group.validate_same("00ff", "masks", torch.device("cpu"))

    def gather(found: list[torch.Tensor], own: torch.Tensor) -> None:
        found[0].copy_(own)
        found[1].copy_(own + 1)

    monkeypatch.setattr("torch.distributed.all_gather", gather)
    with pytest.raises(StepError, match="process 2 of 2 of this training has other masks than process 1"):
        Group(0, 2).validate_same("00ff", "masks", torch.device("cpu"))


def test_torch_errors_of_an_exchange_mean_that_a_process_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr("torch.distributed.all_reduce", fail)
    with pytest.raises(ProcessLost, match="does not answer: Connection closed by peer"):
        Group(0, 2).sum(torch.ones(1))


@pytest.mark.parametrize(
    ("sizes", "whole", "fails"), [([8, 4], True, False), ([8, 3], True, True), ([8, 7], False, True)]
)
def test_batches_that_are_too_small_to_be_divided(sizes: list[int], whole: bool, fails: bool) -> None:
    if not fails:
        validate_sizes(sizes, 4, whole)
        return
    with pytest.raises(StudyError, match=r"a batch of . images \(the last of an epoch\) is too small to be divided"):
        validate_sizes(sizes, 4, whole)
