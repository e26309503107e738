"""The rival is the official loop, the ratios are what they say, and the command runs."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.demo import seconds_by_stage
from benchmarks.official_loop import MEAN, STD, PilImages, begin, sgd, step
from benchmarks.pairs import Ratio, Round
from benchmarks.shapes import resnet50_layers
from benchmarks.table import Row, markdown, ratio_table
from benchmarks.turns import Regime, epochs, made_up, network
from torch import Tensor, nn

from benchmarks import __main__ as command
from benchmarks import masks, official_masks, pairs, quiet
from prunecheck import random_ticket
from prunecheck.pruning.layers import total
from prunecheck.pruning.task import task_named
from prunecheck.study import numerics
from prunecheck.study.step import Step
from prunecheck.training.feed import Feed
from prunecheck.training.loop import start, train
from prunecheck.training.recipe import Recipe

TINY = Regime("convnet_w32", side=8, batch=16, steps=2, seconds=0)


@pytest.fixture(autouse=True)
def _threads_as_they_were() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def masked_network(sparsity: float = 0.9) -> tuple[nn.Module, dict[str, Tensor]]:
    model = network(TINY)
    tickets = random_ticket(model, sparsity)
    for name, mask in tickets.items():
        model.get_parameter(name).data.mul_(mask)
    return model, tickets


def whole_batch(images: PilImages) -> tuple[Tensor, Tensor]:
    pixels, targets = zip(*(images[i] for i in range(len(images))), strict=True)
    return torch.stack(pixels), torch.tensor(targets)


def our_step(model: nn.Module, tickets: dict[str, Tensor]) -> nn.Module:
    """One step of our loop on the same images, without augmentation, in our memory layout."""
    images, targets = made_up(TINY, TINY.batch)
    feed = Feed(torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(targets), MEAN, STD)
    twin = copy.deepcopy(model).to(memory_format=torch.channels_last)
    recipe = Recipe(batch_size=TINY.batch, pad=0, flip=False)
    options = {"masks": tickets, "seed": 0, "phase": "train", "first": 0, "last": 1}
    assert train(start(twin, recipe), feed, feed, recipe, task_named("classification"), **options)
    return twin


def test_one_masked_step_of_the_official_loop_equals_one_of_ours() -> None:
    model, tickets = masked_network()
    before = copy.deepcopy(model)
    ours = our_step(model, tickets)
    images = PilImages(*made_up(TINY, TINY.batch), pad=0, flip=False)
    step(model.train(), sgd(model), *whole_batch(images))
    moved = 0.0
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight, ours.get_parameter(name), rtol=0, atol=1e-6)
        moved = max(moved, float((weight - before.get_parameter(name)).detach().abs().max()))
    assert moved > 1e-3


def test_weights_at_zero_stay_at_zero_in_the_official_loop() -> None:
    model, tickets = masked_network()
    training = begin(model, PilImages(*made_up(TINY, 40)), batch=TINY.batch, workers=0)
    training.run(3)
    for name, mask in tickets.items():
        weight = model.get_parameter(name)
        assert torch.equal(weight != 0, mask)
        assert torch.equal(training.optimiser.state[weight]["momentum_buffer"] != 0, mask)


def test_official_loop_prunes_kept_weights_at_zero_and_ours_does_not() -> None:
    model, tickets = masked_network()
    name = "conv2.weight"
    at = tuple(int(i) for i in torch.nonzero(tickets[name])[0])
    model.get_parameter(name).data[at] = 0
    assert our_step(model, tickets).get_parameter(name)[at] != 0
    step(model.train(), sgd(model), *whole_batch(PilImages(*made_up(TINY, 16), pad=0, flip=False)))
    assert model.get_parameter(name)[at] == 0


def test_the_official_step_records_loss_and_precisions_in_percent() -> None:
    model, _ = masked_network()
    inputs, targets = whole_batch(PilImages(*made_up(TINY, TINY.batch), pad=0, flip=False))
    outputs = copy.deepcopy(model).train()(inputs).detach()
    loss, top1, top5 = step(model.train(), sgd(model), inputs, targets)
    assert loss == pytest.approx(float(nn.functional.cross_entropy(outputs, targets)), rel=1e-5)
    assert top1 == pytest.approx(100 * float((outputs.argmax(1) == targets).float().mean()))
    within = (outputs.topk(5).indices == targets[:, None]).any(1)
    assert top5 == pytest.approx(100 * float(within.float().mean()))


def test_official_augmentation_is_a_crop_of_the_padded_image_with_optional_flip() -> None:
    images, targets = made_up(TINY, 1)
    scaled = (np.pad(images[0], ((2, 2), (2, 2), (0, 0))) / 255 - MEAN) / STD
    windows = [scaled[top : top + 8, left : left + 8] for top in range(5) for left in range(5)]
    possible = np.stack([way for window in windows for way in (window, window[:, ::-1])]).transpose(0, 3, 1, 2)
    seen = set()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(600):
            pixels, target = PilImages(images, targets, pad=2)[0]
            assert target == targets[0]
            found = np.flatnonzero(np.isclose(possible, pixels.numpy(), atol=1e-5).all(axis=(1, 2, 3)))
            assert len(found) == 1
            seen.add(int(found[0]))
    assert len(seen) == len(possible) == 50


def test_our_loop_trains_one_epoch_of_the_requested_steps() -> None:
    epochs(TINY, random_ticket(network(TINY), 0.9))()


def test_official_masks_equal_ours_without_ties() -> None:
    layers = resnet50_layers(width=1)
    scores = {name: score.double() for name, score in masks.made_up_scores(layers).items()}
    order = torch.randperm(total(layers), generator=torch.Generator().manual_seed(1)) + 1.0
    parts = order.split([score.numel() for score in scores.values()])
    scores = {n: p.view(s.shape) for (n, s), p in zip(scores.items(), parts, strict=True)}
    kept = total(layers) // 50
    ours = [mask.float() for mask in masks.from_scores(scores, kept).values()]
    for official in (official_masks.by_topk, official_masks.by_sort):
        found = official(list(scores.values()), kept)
        assert all(torch.equal(a, b) for a, b in zip(found, ours, strict=True))


def test_official_random_masks_have_their_counts_and_are_not_sorted() -> None:
    weights = [torch.rand(10, 10), torch.rand(5, 4, 3, 3)]
    drawn = official_masks.at_random(weights, [7, 90])
    assert [int(mask.sum()) for mask in drawn] == [7, 90]
    assert [mask.shape for mask in drawn] == [weight.shape for weight in weights]
    assert not drawn[1].view(-1)[:90].all()


def test_the_layer_list_is_that_of_resnet50() -> None:
    layers = resnet50_layers()
    assert (len(layers), total(layers)) == (54, 25_502_912)
    assert layers[-1].shape == (1000, 2048)


def test_disturbed_rounds_are_discarded_unless_too_few_remain() -> None:
    def rounds(dirty: int) -> list[Round]:
        good = [Round({"a": 2.0 * k, "b": 1.0 * k}, dirty=False) for k in (1, 2, 3)]
        return good + [Round({"a": 50.0, "b": 1.0}, dirty=True)] * dirty

    assert pairs.ratio(rounds(4), slow="a", fast="b") == Ratio(2, 2, 2, used=3, rounds=7, clean=True)
    assert pairs.ratio(rounds(4)[1:], "a", "b") == Ratio(50, 2, 50, used=6, rounds=6, clean=False)
    assert pairs.typical_ms(rounds(4), "a") == 4000


def test_a_ratio_is_taken_within_each_round_not_between_medians() -> None:
    drifting = [Round({"a": 3.0 * k, "b": float(k)}, dirty=False) for k in (1, 10, 100, 1000)]
    assert pairs.ratio(drifting, "a", "b") == Ratio(3, 3, 3, 4, 4, True)


def test_arms_alternate_and_at_least_one_round_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    monkeypatch.setattr(quiet, "foreign_cores", lambda _before, _after: 1.0 if len(log) == 2 else 0.0)

    def arm(name: str) -> float:
        log.append(name)
        return 1.0

    (only,) = pairs.take_turns({"a": lambda: arm("a"), "b": lambda: arm("b")}, seconds=0)
    assert (log, only.dirty) == (["a", "b"], True)


def test_foreign_cpu_time_excludes_our_own() -> None:
    before, after = quiet.Reading(10, 100, 50), quiet.Reading(12, 104, 53)
    assert quiet.foreign_cores(before, after) == 0.5
    assert quiet.foreign_cores(None, after) is None
    assert not quiet.is_dirty(None)
    assert quiet.is_dirty(0.5)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system has no /proc/stat")
def test_own_cpu_time_includes_children() -> None:
    def work() -> quiet.Reading:
        burn = "import time\nwhile time.process_time() < 0.2: pass"
        subprocess.run([sys.executable, "-c", burn], check=True)
        reading = quiet.read()
        assert reading is not None
        return reading

    before, after = work(), work()
    assert 0.15 < after.ours - before.ours <= after.busy - before.busy + 0.1


def test_the_table_shows_ratio_range_ceiling_and_target() -> None:
    rows = [
        Row("a|b", Ratio(1.4449, 1.2, 12.34, 5, 6, True), ceiling=155.2, target=1.4),
        Row("cost", Ratio(1.05, 1, 1.1, 3, 3, True), ceiling=1, target=1.03, at_most=True),
        Row("noise", Ratio(9, 9, 9, 1, 9, False), target=1),
    ]
    assert ratio_table(rows).splitlines() == [
        "| what  | ratio | min to max   | ceiling | target         | rounds used   |",
        "|-------|-------|--------------|---------|----------------|---------------|",
        "| a\\|b  | 1.44  | 1.20 to 12.3 | 155     | ≥ 1.4, met     | 5 of 6        |",
        "| cost  | 1.05  | 1.00 to 1.10 | 1.00    | ≤ 1.03, missed | 3 of 3        |",
        "| noise | 9.00  | 9.00 to 9.00 |         | ≥ 1            | 1 of 9, noisy |",
    ]


def test_table_without_rows_is_its_header() -> None:
    assert markdown(("a", "bc"), []) == "| a | bc |\n|---|----|"


def test_demo_steps_are_summed_in_seconds(tmp_path: Path) -> None:
    steps = [
        Step("pretrain", {"i": 0}, cost_units=1000),
        Step("train", {"i": 1}, cost_units=500),
        Step("train", {"i": 2}, cost_units=500),
        Step("mask", {"i": 3}),
    ]
    seconds = [0.002, 0.004, 0.001, 0.25]
    lines = [{"class": "any", "key": s.key, "seconds": t} for s, t in zip(steps, seconds, strict=True)]
    lines.append({"class": "any", "key": "of another study", "seconds": 99})
    timings = tmp_path / "timings.jsonl"
    timings.write_text("".join(json.dumps(line) + "\n" for line in lines))
    spent, trained = seconds_by_stage(timings, {s.key: s for s in steps})
    assert list(spent.items()) == [("pretrain", 2.0), ("mask", 0.25), ("train", 2.5)]
    assert trained == 3


def test_the_command_prints_markdown_and_nothing_else_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(masks, "extra_memory", lambda _name, _quick: float("nan"))
    monkeypatch.setattr(masks, "resnet50_layers", lambda **_: resnet50_layers(width=1))
    assert command.main(["masks", "--quick"]) == 0
    printed = capsys.readouterr()
    assert "## masks\n\n| what " in printed.out
    assert "MiB: ours unknown, topk unknown, sort unknown" in printed.out
    assert "…" not in printed.out


def test_failing_section_is_reported_with_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_quick: bool, _say: object) -> str:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(masks, "report", broken)
    assert command.main(["masks", "--quick"]) == 1
    printed = capsys.readouterr()
    assert "failed" in printed.out
    assert "no such luck" in printed.err


@pytest.mark.long
@pytest.mark.timeout(900)
def test_all_sections_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "all", "--quick"], capture_output=True, text=True, check=True
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("## ")] == [
        "## training",
        "## masks",
        "## demo",
    ]


def test_precisions_are_compared_in_networks_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["precision", "--quick"]) == 0
    printed = capsys.readouterr().out
    assert f"Processor: {numerics.processor_name()}, {numerics.instruction_set()}" in printed
    assert "dense, bfloat16 / dense, float32" in printed


@pytest.mark.slow
def test_settings_are_measured_with_all_instructions_and_with_avx2_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["targets", "--quick"]) == 0
    printed = capsys.readouterr().out
    assert "all instructions: dense, bfloat16 / official" in printed
    for where, setting in itertools.product(
        ("all instructions", "AVX2 alone"), ("uniform float32", "smart ratio bfloat16")
    ):
        assert f"{where}: {setting} / official" in printed
