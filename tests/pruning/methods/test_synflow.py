from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from prunecheck.pruning.layers import layers_of, total, weights_of
from prunecheck.pruning.masks import counts_of, global_counts, keep_top
from prunecheck.pruning.methods.synflow import linearised, synflow
from tests.pruning.methods.tiny import close, scene

SHAPE = (2, 6, 6)


def relu_net(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(2, 5, 3, padding=1, bias=False),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            nn.Conv2d(5, 6, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(6 * 36, 4),
        )


def scored(net: nn.Module, sparsity: float = 0.9, **options: int) -> dict[str, Tensor]:
    answer: dict[str, Tensor] = synflow(
        model=net, weights=weights_of(net), input_shape=SHAPE, sparsity=sparsity, **options
    )
    return answer


def masks_of(net: nn.Module, sparsity: float = 0.9, **options: int) -> dict[str, Tensor]:
    scores = scored(net, sparsity, **options)
    return keep_top(scores, global_counts(scores, round(total(layers_of(net)) * (1 - sparsity)))).masks


def by_hand(net: nn.Module, sparsity: float, rounds: int) -> dict[str, Tensor]:
    """The paper's algorithm with masks multiplied into a network in place, every score sorted in a list."""
    masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights_of(net).items()}
    n = sum(mask.numel() for mask in masks.values())
    for e in range(1, rounds + 1):
        twin = copy.deepcopy(net).double().eval()
        with torch.no_grad():
            for p in twin.parameters():
                p.abs_()
            for name, mask in masks.items():
                twin.get_parameter(name).mul_(mask)
        twin(torch.ones((1, *SHAPE), dtype=torch.float64)).sum().backward()
        flow = {name: twin.get_parameter(name).detach() * twin.get_parameter(name).grad for name in masks}
        left = n - int((1 - (1 - sparsity) ** (e / rounds)) * n)
        ranked = sorted(
            ((float(v), name, i) for name, f in flow.items() for i, v in enumerate(f.view(-1))), reverse=True
        )
        masks = {name: torch.zeros_like(mask) for name, mask in masks.items()}
        for _, name, i in ranked[:left]:
            masks[name].view(-1)[i] = True
    return masks


@pytest.mark.parametrize("rounds", [1, 7])
def test_against_the_algorithm_by_hand(rounds: int) -> None:
    net, sparsity = relu_net(), 0.875
    expected = by_hand(net, sparsity, rounds)
    scores = scored(net, sparsity, prune_rounds=rounds)
    ours = keep_top(scores, global_counts(scores, sum(counts_of(expected).values()))).masks
    assert all(torch.equal(ours[name], expected[name]) for name in ours)


def test_one_round_is_weight_times_slope_of_the_flow() -> None:
    """By finite differences: d(flow)/d(log |w|)."""
    net = relu_net()
    scores = scored(net, prune_rounds=1)
    twin, ones = linearised(net), torch.ones((1, *SHAPE), dtype=torch.float64)
    with torch.no_grad():
        base = float(twin(ones).sum())
        for name in scores:
            for index in (0, 11, 40):
                flat = twin.get_parameter(name).view(-1)
                old = float(flat[index])
                flat[index] = old * 1.01
                assert abs((float(twin(ones).sum()) - base) / 0.01 - float(scores[name].view(-1)[index])) < 1e-9 * base
                flat[index] = old


def test_flow_is_conserved_between_layers_without_biases() -> None:
    """Tanaka et al., theorem 2: the scores of every layer sum to the same flow."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(72, 9, bias=False), nn.ReLU(), nn.Linear(9, 4, bias=False))
    sums = [float(score.sum()) for score in scored(net, prune_rounds=1).values()]
    assert sums[0] == pytest.approx(sums[1], rel=1e-12)


def test_no_layer_collapses_where_one_round_would_empty_one() -> None:
    """The axiom of the paper: as long as a whole path can be afforded, iterations keep every layer alive."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(72, 200, bias=False), nn.ReLU(), nn.Linear(200, 2, bias=False))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in net.parameters():
            nn.init.normal_(parameter)
    once, often = (counts_of(masks_of(net, 0.9995, prune_rounds=rounds)) for rounds in (1, 100))
    assert min(once.values()) == 0 < min(often.values())


def test_signs_biases_of_the_input_and_scale_do_not_matter() -> None:
    net, flipped = relu_net(), relu_net()
    with torch.no_grad():
        for parameter in flipped.parameters():
            parameter.neg_()
    assert all(torch.equal(a, b) for a, b in zip(scored(net).values(), scored(flipped).values(), strict=True))


def test_the_earlier_a_weight_goes_the_lower_it_scores_and_survivors_are_above_all() -> None:
    net = relu_net()
    scores = torch.cat([s.view(-1) for s in scored(net, 0.9, prune_rounds=5).values()])
    rounds = sorted({float(s) for s in scores if s < 0})
    assert rounds == [-4.0, -3.0, -2.0, -1.0]
    gone = [int((scores == r).sum()) for r in rounds]
    left = [int((1 - 0.1 ** (e / 5)) * len(scores)) for e in range(1, 5)]
    assert [sum(gone[: e + 1]) for e in range(4)] == left
    assert scores.dtype == torch.float64


def test_deep_networks_do_not_overflow() -> None:
    wide = nn.Sequential(nn.Flatten(), *[nn.Linear(72, 72, bias=False) for _ in range(40)])
    with torch.no_grad():
        for parameter in wide.parameters():
            parameter.fill_(1.0)
    assert all(bool(torch.isfinite(s).all()) for s in scored(wide, prune_rounds=2).values())


def test_statistics_of_a_trained_network_are_left_aside() -> None:
    where = scene()
    other = copy.deepcopy(where.model)
    trained, fresh = relu_net(), relu_net()
    trained.get_buffer("1.running_mean").fill_(3.0)
    assert all(torch.equal(a, b) for a, b in zip(scored(trained).values(), scored(fresh).values(), strict=True))
    assert float(trained.get_buffer("1.running_mean").mean()) == 3.0
    first, again = (
        synflow(model=m, weights=weights_of(m), input_shape=SHAPE, sparsity=0.5) for m in (where.model, other)
    )
    assert all(close(first[name], again[name]) for name in first)
