"""The Python front door: masks for any module, left exactly as it was; studies from a mapping, from any script."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import prunecheck
from prunecheck import method as register
from prunecheck.errors import InfeasibleError, ModelError, PluginError, PrunecheckError, StudyError
from prunecheck.models import build
from prunecheck.pruning import METHODS, temporary_plugins
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import layers_of, total
from prunecheck.pruning.seeds import torch_stream
from tests.runner import tiny

AT_INIT = [plugin.name for plugin in METHODS if plugin.when == "init" and plugin.name != "dense"]
Data = tuple[Tensor, Tensor]


class Images(nn.Module):
    """BN, a grouped convolution, dropout; a frozen weight; nothing of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.b = nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(8, 4)
        self.a.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.a(x)))
        return self.fc(self.drop(F.relu(self.b(x)).mean((2, 3))))


class Signals(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b, self.fc = nn.Conv1d(2, 8, 3), nn.BatchNorm1d(8), nn.Conv1d(8, 8, 3), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.b(F.relu(self.norm(self.a(x))))).mean(2))


class Tied(nn.Module):
    """One weight in two layers: one entry, pruned once."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.again = nn.Linear(6, 6, bias=False)
        self.again.weight = self.inner.weight
        self.out = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.again(F.relu(self.inner(x)))))


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(18, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 4))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "images": (Images, (2, 6, 6)),
    "signals": (Signals, (2, 9)),
    "perceptron": (perceptron, (2, 3, 3)),
    "tied": (Tied, (6,)),
}


def network(kind: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    with torch_stream(0, "user's network", kind):
        return NETWORKS[kind][0]().to(dtype)


def batch(kind: str, dtype: torch.dtype = torch.float32, samples: int = 16) -> Data:
    generator = torch.Generator().manual_seed(0)
    shape = NETWORKS[kind][1]
    return torch.randn((samples, *shape), generator=generator).to(dtype), torch.arange(samples) % 4


def photograph(model: nn.Module) -> list[Any]:
    """Everything of a model that a mask could have left changed."""
    tensors = [(name, value.dtype, value.tolist()) for name, value in model.state_dict().items()]
    flags = [(name, p.requires_grad, p.grad is None, id(p)) for name, p in model.named_parameters()]
    modes = [(name, module.training, len(module._forward_hooks)) for name, module in model.named_modules()]
    return [tensors, flags, modes]


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("method", AT_INIT)
def test_mask_for_every_method_and_module(method: str, kind: str) -> None:
    model, data = network(kind).eval(), batch(kind)
    before = photograph(model)
    masks = prunecheck.mask(method, model, data, 0.7)
    assert photograph(model) == before
    layers = layers_of(model)
    assert list(masks) == [layer.name for layer in layers]
    for layer in layers:
        assert masks[layer.name].dtype == torch.bool
        assert tuple(masks[layer.name].shape) == layer.shape
    assert sum(int(mask.sum()) for mask in masks.values()) == kept_total(total(layers), 0.7)
    again = prunecheck.mask(method, model.train(), data, 0.7)
    assert all(torch.equal(masks[name], again[name]) for name in masks)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", AT_INIT)
def test_mask_for_every_method_and_precision(method: str, dtype: torch.dtype) -> None:
    model, data = network("images", dtype), batch("images", dtype)
    before = photograph(model)
    masks = prunecheck.mask(method, model, data, 0.7)
    assert photograph(model) == before
    assert sum(int(mask.sum()) for mask in masks.values()) == kept_total(total(layers_of(model)), 0.7)
    if dtype == torch.float64:
        single = prunecheck.mask(method, network("images"), batch("images"), 0.7)
        agree = sum(int((masks[name] == single[name]).sum()) for name in masks)
        assert agree >= 0.98 * total(layers_of(model))


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_random_ticket_depends_on_its_seed_only() -> None:
    model = network("images")
    first = prunecheck.random_ticket(model, 0.9, seed=1)
    torch.manual_seed(5)
    assert equal(first, prunecheck.random_ticket(model, "90%", seed=1))
    assert equal(first, prunecheck.mask("random_ticket", model, None, 0.9, seed=1))
    assert not equal(first, prunecheck.random_ticket(model, 0.9, seed=2))
    snips = [prunecheck.mask("snip", model, batch("images"), 0.9, seed=seed) for seed in (1, 2)]
    assert equal(*snips)


def test_global_generators_are_unchanged() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    prunecheck.random_ticket(network("images"), 0.9)
    prunecheck.mask("grasp", network("images"), batch("images"), 0.9)
    assert torch.equal(before, torch.get_rng_state())


def test_several_batches_are_scored_together() -> None:
    model, (inputs, targets) = network("perceptron"), batch("perceptron")
    halves = [(inputs[:8], targets[:8]), (inputs[8:], targets[8:])]
    for data in (halves, tuple(halves), iter(halves)):
        parts = prunecheck.mask("snip", model, data, 0.5)
        assert equal(parts, prunecheck.mask("snip", model, (inputs, targets), 0.5))  # no normalisation: sums agree


def test_method_that_learns_sees_the_batches_in_their_order_in_every_epoch() -> None:
    seen: list[int] = []

    with temporary_plugins():

        @register(name="watching")
        def watching(weights, train_loader, mask_epochs=2):  # type: ignore[no-untyped-def]
            for _ in range(mask_epochs):
                seen.extend(len(targets) for _, targets in train_loader)
            return {name: weight.abs() for name, weight in weights.items()}

        inputs, targets = batch("images")
        prunecheck.mask("watching", network("images"), [(inputs[:4], targets[:4]), (inputs[:3], targets[:3])], 0.7)
    assert seen == [4, 3, 4, 3]


def test_snip_keeps_the_largest_weight_gradient_products() -> None:
    model, (inputs, targets) = network("perceptron"), batch("perceptron")
    masks = prunecheck.mask("snip", model, (inputs, targets), 0.8)
    F.cross_entropy(model(inputs), targets).backward()
    scores = {n: (p * p.grad).abs().detach() for n, p in model.named_parameters() if p.ndim > 1 and p.grad is not None}
    cut = torch.cat([score.reshape(-1) for score in scores.values()]).sort(descending=True).values[kept_total(320, 0.8)]
    assert equal(masks, {name: score > cut for name, score in scores.items()})


def test_shared_weight_is_pruned_once() -> None:
    masks = prunecheck.mask("magnitude_init", network("tied"), None, 0.5)
    assert list(masks) == ["inner.weight", "out.weight"]
    assert sum(int(mask.sum()) for mask in masks.values()) == 30


def test_allocation_overrides_the_methods_default() -> None:
    model = network("images")
    masks = prunecheck.mask("random_ticket", model, None, 0.7, allocate="erk")
    expected = {name: kept for name, _, kept in prunecheck.counts(model, 0.7, allocate="erk")}
    assert {name: int(mask.sum()) for name, mask in masks.items()} == expected


def test_counts_with_official_preset() -> None:
    """VGG-19 on CIFAR-10 at 98 %: the layer counts that the official code was seen to keep."""
    model = build("vgg19_bn", num_classes=10)
    official = [1728, 36864, 61815, 38852, 43100, 51309, 31897, 20351, 26312, 34101, 21920, 13814, 8407, 4832]
    official += [2526, 1110, 1536]
    masks = prunecheck.mask("random_ticket", model, None, 0.98, preset="official")
    assert [int(mask.sum()) for mask in masks.values()] == official
    assert [kept for _, _, kept in prunecheck.counts("vgg19_bn", 0.98, preset="official")] == official
    exact = prunecheck.counts("vgg19_bn", 0.98)
    assert sum(kept for _, _, kept in exact) == kept_total(20_024_000, 0.98)


def test_counts_of_a_module_and_of_a_name() -> None:
    by_name = prunecheck.counts("convnet", 0.9, channels=1, image_size=8)
    by_module = prunecheck.counts(build("convnet", num_classes=10, in_channels=1, image_size=8), 0.9)
    assert by_name == by_module
    assert sum(size for _, size, _ in by_name) == 23824
    assert sum(kept for _, _, kept in by_name) == 2382
    with pytest.raises(StudyError, match="'global' needs scores; without data there are: "):
        prunecheck.counts("convnet", 0.9, allocate="global")


X, Y = torch.randn(8, 2, 6, 6), torch.arange(8) % 4


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: prunecheck.mask("lottery_ticket", m, (X, Y), 0.9), StudyError, "needs a study, not one call"),
        (lambda m: prunecheck.mask("snip", m, None, 0.9), StudyError, r"scores on data: give it \(inputs, targets\)"),
        (lambda m: prunecheck.mask("edge_popup", m, None, 0.9), StudyError, r"give it \(inputs, targets\)"),
        (lambda m: prunecheck.mask("snip", m, [], 0.9), StudyError, r"scores on data: give it \(inputs, targets\)"),
        (lambda m: prunecheck.mask("snip", m, X, 0.9), StudyError, r"data must be \(inputs, targets\)"),
        (lambda m: prunecheck.mask("snip", m, (X, Y, Y), 0.9), StudyError, r"data must be \(inputs, targets\)"),
        (lambda m: prunecheck.mask("snip", m, 7, 0.9), StudyError, r"data must be \(inputs, targets\)"),
        (lambda m: prunecheck.mask("snap", m, (X, Y), 0.9), PluginError, "Did you mean 'snip'"),
        (lambda m: prunecheck.mask("snip", m, (X, Y), 1.5), StudyError, "outside"),
        (lambda m: prunecheck.mask("snip", m, (X, Y), 98), StudyError, r"Did you mean 0\.98"),
        (lambda m: prunecheck.mask("snip", m, (X, Y), 0.9, preset="oficial"), StudyError, "Did you mean 'official'"),
        (lambda m: prunecheck.mask("snip", m, (X, Y), 0.9, allocate="urk"), StudyError, "Did you mean 'erk'"),
        (lambda m: prunecheck.mask("snip", m, (X, Y), 0.9, allocate="counts_of"), StudyError, "needs a study, not one"),
        (lambda m: prunecheck.mask("snip", m, (X, Y), 0.9, task="regresion"), StudyError, "is not a task"),
        (lambda _: prunecheck.random_ticket(nn.ReLU(), 0.9), ModelError, "nothing to prune"),
        (lambda m: prunecheck.random_ticket(m, 0.99), InfeasibleError, "The largest sparsity that works here is"),
    ],
)
def test_invalid_requests_raise(call: Callable[[nn.Module], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call(network("images"))
    assert len(str(caught.value).splitlines()) <= 3


def test_plugin_defined_in_this_process() -> None:
    @register(name="mine")
    def _mine(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: -weight.abs() for name, weight in weights.items()}

    model = network("perceptron")
    smallest = prunecheck.mask("mine", model, None, 0.9)
    largest = prunecheck.mask("magnitude_init", model, None, 0.1)
    assert all(torch.equal(smallest[name], ~largest[name]) for name in smallest)


def test_run_and_report_of_a_mapping(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        where: dict[str, Any] = {"store": tmp_path / "store", "folder": str(tmp_path / "out")}
        results = prunecheck.run(tiny.fields(), workers=1, overrides=["seeds=2"], **where)
        assert torch.get_num_threads() == 2
        assert {row["seed"] for row in results.rows} == {0, 1}
        assert results.page.parent == tmp_path / "out"
        again = prunecheck.report(tiny.study(seeds=2), **where)
        assert again.rows == results.rows
        assert again.verdict.to_dict() == results.verdict.to_dict()
        assert len(prunecheck.plan(tiny.fields()).steps) < len(results.plan.steps)
        judged = prunecheck.verdict(results.page.parent / "results.csv", margin=results.verdict.margin)
        assert {(c.method, c.check) for c in judged.checks} == {("snip", "layerwise_rearrange")}
    finally:
        torch.set_num_threads(threads)


def test_default_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNECHECK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    results = prunecheck.run(tiny.fields(name="mine"), workers=1)
    assert results.page.resolve().parent == tmp_path / "runs" / "mine"
    assert (tmp_path / "home" / "objects").is_dir()


SCRIPT = """
import sys
from pathlib import Path

import prunecheck

print("this line is printed once", file=sys.stderr)
study = {fields!r}
results = prunecheck.run(study, store=Path("store"), folder=Path("out"), workers=2)
print(len(results.rows), __name__, Path(__file__).name, Path("out", "results.csv").exists())
"""


@pytest.mark.timeout(200)
def test_run_in_a_script_without_main_guard(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(fields=tiny.fields()))
    found = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=190
    )
    assert found.stdout.split() == ["3", "__main__", "script.py", "True"], found.stderr
    assert found.stderr == "this line is printed once\n"


class GivesDict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = tiny_net()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.net(x)}


def tiny_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


IMAGES, CLASSES = torch.randn(20, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 10


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (GivesDict, (IMAGES, CLASSES), "gives dict for 20 inputs; it must give \\(20, classes\\)"),
        (tiny_net, (IMAGES, CLASSES + 1), "targets are 1..10; the model has 10 classes"),
        (tiny_net, (IMAGES, CLASSES - 1), "targets are -1..8"),
        (tiny_net, (IMAGES, CLASSES[:, None]), "one class number for every input"),
        (tiny_net, (IMAGES, CLASSES[:9]), "one class number for every input"),
        (tiny_net, (IMAGES[:0], CLASSES[:0]), "at least one input"),
        (tiny_net, (IMAGES, CLASSES.float()), "targets are torch.float32; they must be whole numbers"),
        (tiny_net, (IMAGES.double(), CLASSES), "cannot take inputs \\(20, 3, 4, 4\\) of torch.float64"),
        (tiny_net, (IMAGES[:, :1], CLASSES), "cannot take inputs \\(20, 1, 4, 4\\)"),
        (tiny_net, (IMAGES * float("nan"), CLASSES), "loss on the first batch is NaN"),
        (tiny_net, [{"image": IMAGES, "label": CLASSES}], "data must be"),
        (tiny_net, (["a"], ["b"]), "data must be"),
    ],
)
def test_mask_refuses_data_and_models_as_a_study_does(model: Any, data: Any, message: str) -> None:
    for method in ("snip", "grasp"):
        with pytest.raises(PrunecheckError, match=message) as caught:
            prunecheck.mask(method, model(), data, 0.5)
        assert len(str(caught.value).splitlines()) == 1


def masks_equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_mask_takes_arrays_every_integer_type_and_every_numeric_type_of_sparsity() -> None:
    model = tiny_net()
    wanted = prunecheck.mask("snip", model, (IMAGES, CLASSES), 0.5)
    for data in (
        (IMAGES.numpy(), CLASSES.numpy()),
        (IMAGES, CLASSES.to(torch.int32)),
        (IMAGES, CLASSES.to(torch.uint8)),
    ):
        assert masks_equal(prunecheck.mask("snip", model, data, 0.5), wanted)
    for sparsity in (np.float32(0.5), np.float64(0.5), torch.tensor(0.5), Fraction(1, 2), "50%"):
        assert masks_equal(prunecheck.mask("snip", model, (IMAGES, CLASSES), sparsity), wanted)  # type: ignore[arg-type]
    tickets = [prunecheck.random_ticket(model, 0.5, seed) for seed in (3, np.int64(3), torch.tensor(3))]  # type: ignore[arg-type]
    assert all(masks_equal(ticket, tickets[0]) for ticket in tickets)
    for seed in (0.5, -1, True, "3"):
        with pytest.raises(StudyError, match="is not a whole number of 0 or more"):
            prunecheck.random_ticket(model, 0.5, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["snip", "grasp", "synflow"])
def test_mask_is_the_same_in_every_mode_of_the_caller_and_inside_wrappers(method: str) -> None:
    model = tiny_net()
    wanted = prunecheck.mask(method, model, (IMAGES, CLASSES), 0.5)
    for mode in (torch.no_grad(), torch.inference_mode(), torch.autocast("cpu")):
        with mode:
            assert masks_equal(prunecheck.mask(method, model, (IMAGES, CLASSES), 0.5), wanted)
    for wrapped, prefix in ((nn.DataParallel(model), "module."), (torch.compile(model), "_orig_mod.")):
        found = prunecheck.mask(method, wrapped, (IMAGES, CLASSES), 0.5)  # type: ignore[arg-type]
        assert masks_equal(found, {prefix + name: mask for name, mask in wanted.items()})


def test_no_mask_comes_out_empty() -> None:
    with pytest.raises(InfeasibleError, match=r"99\.999% leaves none of \d+ weights"):
        prunecheck.mask("magnitude", tiny_net(), None, 0.99999)

    @prunecheck.method(gives="masks", name="empties")
    def empties(masks: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: torch.zeros_like(mask) for name, mask in masks.items()}

    with pytest.raises(PluginError, match="keeps no weight at all"):
        prunecheck.mask("empties", tiny_net(), None, 0.5)


def test_exception_of_a_method_is_a_plugin_error_with_its_cause() -> None:
    @prunecheck.method(name="breaks")
    def breaks(weights: dict[str, Tensor]) -> dict[str, Tensor]:  # noqa: ARG001
        raise ZeroDivisionError("no luck")

    with pytest.raises(PluginError, match="method 'breaks' failed on this model: ZeroDivisionError: no luck") as caught:
        prunecheck.mask("breaks", tiny_net(), None, 0.5)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_keep_takes_wrapped_models() -> None:
    ticket = prunecheck.random_ticket(tiny_net(), 0.5)
    for wrapped in (nn.DataParallel(tiny_net()), torch.compile(tiny_net())):
        with prunecheck.keep(wrapped, ticket):  # type: ignore[arg-type]
            pruned = sum(int((p == 0).sum()) for p in wrapped.parameters() if p.dim() > 1)  # type: ignore[attr-defined]
            assert pruned == sum(int((~mask).sum()) for mask in ticket.values())
