from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunecheck.errors import InfeasibleError, ModelError, PluginError
from prunecheck.pruning import temporary_plugins
from prunecheck.pruning.post_training import post_training_method
from prunecheck.pruning.post_training.blocks import capture_inputs
from prunecheck.pruning.post_training.walk import prune_blocks
from prunecheck.pruning.registry import POST_TRAINING_METHODS
from tests.pruning.post_training.nets import Net, captured, masks_of, pruned, sequences, weights_of

METHODS = ["magnitude", "random", "wanda", "ria", "sparsegpt"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("granularity", ["row", "layer"])
@pytest.mark.parametrize("sparsity", [0.5, 0.37])
def test_every_method_keeps_the_exact_counts(method: str, granularity: Any, sparsity: float) -> None:
    net, results = pruned(method, sparsity, granularity=granularity)
    weights = weights_of(net)
    for name, mask in masks_of(results).items():
        outputs, inputs = mask.shape
        if granularity == "layer":
            assert int(mask.sum()) == round(mask.numel() * (1 - sparsity))
        else:
            assert mask.sum(dim=1).tolist() == [round(inputs * (1 - sparsity))] * outputs
        assert not weights[name][~mask].any()
        assert bool(weights[name][mask].all())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("pattern", "n", "m"), [("2:4", 2, 4), ("4:8", 4, 8)])
def test_every_method_keeps_n_of_every_m_inputs(method: str, pattern: str, n: int, m: int) -> None:
    _, results = pruned(method, pattern=pattern)
    for mask in masks_of(results).values():
        assert (mask.reshape(-1, m).sum(dim=1) == n).all()


def test_global_granularity_keeps_the_largest_scores_of_the_whole_network() -> None:
    _, results = pruned("magnitude", 0.7, granularity="global")
    masks = masks_of(results)
    every = torch.cat([weight.abs().ravel() for weight in weights_of(Net()).values()])
    kept = torch.cat([mask.ravel() for mask in masks.values()])
    assert int(kept.sum()) == round(len(every) * 0.3)
    assert every[kept].min() > every[~kept].max()


def test_wanda_equals_a_naive_version_block_by_block() -> None:
    net, results = pruned("wanda", 0.5)
    masks, twin = masks_of(results), Net()
    hidden = [one[0] for one in sequences()]
    with torch.no_grad():
        for i, block in enumerate(twin.layers):
            query, up, down = (getattr(block, name) for name in ("query", "up", "down"))
            received = {"query": hidden}
            received["up"] = [torch.tanh(query(one)) for one in hidden]
            received["down"] = [torch.relu(up(one)) for one in received["up"]]
            for name, layer in (("query", query), ("up", up), ("down", down)):
                norm = torch.cat(received[name]).double().norm(dim=0)
                scores = layer.weight.double().abs() * norm
                expected = torch.zeros_like(scores, dtype=torch.bool)
                for row, score in zip(expected, scores, strict=True):
                    row[score.argsort(descending=True, stable=True)[: len(row) // 2]] = True
                assert torch.equal(masks[f"layers.{i}.{name}.weight"], expected)
                layer.weight *= expected
            hidden = [block(one)[0] for one in hidden]
    assert all(torch.equal(weights_of(net)[name], weight) for name, weight in weights_of(twin).items())


def test_ria_equals_a_naive_version() -> None:
    weight, norms = torch.tensor([[1.0, -2.0, 0.0], [3.0, 0.5, 0.0]]), torch.tensor([4.0, 1.0, 9.0])
    scores = POST_TRAINING_METHODS.get("ria")(weight, norms)
    expected = torch.zeros(2, 3)
    for i in range(2):
        for j in range(2):
            size = abs(float(weight[i, j]))
            rows, columns = float(weight[i].abs().sum()), float(weight[:, j].abs().sum())
            expected[i, j] = (size / columns + size / rows) * float(norms[j]) ** 0.5
    torch.testing.assert_close(scores, expected)


def test_sparsegpt_changes_outputs_less_than_its_mask_alone() -> None:
    inputs = torch.cat([one[0] for one in sequences()])
    dense = Net().layers[0].query.weight.detach()
    errors = []
    for check in (None, "update_withheld"):
        net = pruned("sparsegpt", 0.7, check=check)[0]
        errors.append(float(((net.layers[0].query.weight.detach() - dense) @ inputs.T).norm()))
    assert errors[0] < errors[1]


def test_activations_of_the_dense_network_calibrate_later_blocks_on_request() -> None:
    pruned_before, dense = (masks_of(pruned("wanda", dense_activations=on)[1]) for on in (False, True))
    first = [name for name in dense if name.startswith("layers.0.")]
    assert all(torch.equal(pruned_before[name], dense[name]) for name in first)
    assert any(not torch.equal(pruned_before[name], dense[name]) for name in dense)


def test_owl_ratios_keep_the_total_and_differ_between_blocks() -> None:
    for granularity in ("row", "layer"):
        shares, totals = [], []
        for ratios in ("owl", "uniform"):
            _, results = pruned("wanda", 0.5, ratios=ratios, granularity=granularity)
            shares.append({round(result.share, 4) for result in results})
            totals.append(sum(int(mask.sum()) for mask in masks_of(results).values()))
        assert totals[0] == totals[1]
        assert (len(shares[0]), len(shares[1])) == (3, 1)


def test_ties_of_a_coarse_lattice_are_counted_and_go_to_the_earlier_weight() -> None:
    net = Net()
    for parameter in net.parameters():
        parameter.data = (parameter.data * 5).round() / 5
    dense = weights_of(net)
    dense = {name: weight.clone() for name, weight in dense.items()}
    results = list(prune_blocks(net.blocks, captured(net), POST_TRAINING_METHODS.get("magnitude"), 0.5))
    assert all(result.tied > 0 for result in results)
    for name, mask in masks_of(results).items():
        order = dense[name].abs().flatten().argsort(descending=True, stable=True)
        expected = torch.zeros(mask.numel(), dtype=torch.bool)
        expected[order[: mask.numel() // 2]] = True
        assert torch.equal(mask.flatten(), expected)


def test_equal_seeds_give_equal_networks_and_the_random_method_follows_the_seed() -> None:
    one, two, other = (masks_of(pruned("random", seed=seed)[1]) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_only_layers_that_are_chosen_are_pruned() -> None:
    net, results = pruned("wanda", prunable=lambda name, _: name.endswith("up"))
    assert set(masks_of(results)) == {f"layers.{i}.up.weight" for i in range(3)}
    assert torch.equal(net.layers[1].down.weight, Net().layers[1].down.weight)
    with pytest.raises(InfeasibleError, match=r"layers\.0 has no linear layer"):
        pruned("wanda", prunable=lambda *_: False)


def test_layers_that_receive_the_same_tensor_get_equal_statistics() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, hidden: Tensor) -> Tensor:
            return self.a(hidden) + self.b(hidden)

    seen = {}
    with temporary_plugins():

        @post_training_method
        def recording_method(weight, norms, gram, tokens):
            seen[len(seen)] = (norms, gram, tokens)
            return weight.abs()

        block = Shared()
        inputs = [torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(i)) for i in range(3)]
        calls = capture_inputs([("s", block)], [lambda one=one: block(one) for one in inputs])
        list(prune_blocks([("s", block)], calls, recording_method, 0.5))
    flat = torch.cat([one.reshape(-1, 8) for one in inputs])
    for norms, gram, tokens in seen.values():
        assert tokens == 30
        torch.testing.assert_close(norms, (flat**2).sum(dim=0).div(6).sqrt())
        torch.testing.assert_close(gram, flat.T @ flat * 2 / 6)


def test_a_users_method_of_two_lines_is_run() -> None:
    with temporary_plugins():

        @post_training_method(granularity="row")
        def mine(weight, norms, power=2.0):
            return weight.abs() * norms**power

        net, results = pruned("mine", 0.25, options={"power": 1.0})
    assert all(
        torch.equal(a, b)
        for a, b in zip(weights_of(net).values(), weights_of(pruned("wanda", 0.25)[0]).values(), strict=True)
    )
    assert len(results) == 3


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda w: w[:1], "must be"),
        (lambda w: w * float("nan"), "NaN"),
        (lambda w: str(w), "str"),
        (lambda w: w.add_(1), "work on a copy"),
    ],
)
def test_scores_that_cannot_be_used_are_refused_by_layer(answer: Any, message: str) -> None:
    with temporary_plugins():

        @post_training_method
        def broken(weight):
            return answer(weight)

        with pytest.raises(PluginError, match=message):
            pruned("broken")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"ratios": "owls"}, "owl"),
        ({"ratios": "owl", "ratio_options": {"spred": 1}}, "spread"),
        ({"granularity": "global"}, "layer by layer"),
        ({"pattern": "rows"}, "only N:M"),
        ({"pattern": "2:4", "sparsity": 0.6}, "removes 0.5"),
        ({"pattern": "2:4", "ratios": "owl"}, "leave ratios out"),
        ({"options": {"columns": 0}}, "columns = 0"),
        ({"pattern": "2:4", "options": {"columns": 6}}, "steps of 4"),
        ({"check": "random_tokens"}, "before the walk"),
        ({"check": "permuted_ratios"}, "already keeps the same share"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        pruned("sparsegpt", how.pop("sparsity", 0.5), **how)


def test_a_matrix_that_cannot_be_inverted_is_explained_with_its_layer() -> None:
    net, how = Net(), {"options": {"dampening": 0.0}}
    walk = prune_blocks(net.blocks, _one_token(net), POST_TRAINING_METHODS.get("sparsegpt"), 0.5, **how)
    with pytest.raises(PluginError, match=r"layers\.0\.query: sparsegpt: too few different calibration tokens"):
        next(walk)


def _one_token(net: Net) -> Any:
    return capture_inputs(net.blocks, [lambda: net(sequences(1)[0][:, :1])])


def test_calibration_without_sequences_is_refused() -> None:
    with pytest.raises(PluginError, match="needs calibration sequences"):
        list(prune_blocks(Net().blocks, [], POST_TRAINING_METHODS.get("wanda"), 0.5))


def test_capture_takes_the_arguments_of_every_block_where_they_differ() -> None:
    class Windowed(Net):
        def forward(self, hidden: Tensor) -> Tensor:
            for i, layer in enumerate(self.layers):
                hidden = layer(hidden, attention_mask=str(i))[0]
            return hidden

    net = Windowed()
    rest = captured(net)[1].rest
    assert [one.kwargs["attention_mask"] for one in rest] == ["0", "1", "2"]


def test_capture_refuses_a_cache_of_keys_and_values() -> None:
    class Cached(Net):
        def forward(self, hidden: Tensor) -> Tensor:
            return self.layers[0](hidden, past_key_values=object())

    with pytest.raises(ModelError, match="use_cache=False"):
        captured(Cached())


def test_half_precision_weights_keep_their_type_and_values() -> None:
    net = Net().to(torch.bfloat16)
    dense = {name: weight.clone() for name, weight in weights_of(net).items()}
    inputs = capture_inputs(net.blocks, [lambda one=one: net(one.to(torch.bfloat16)) for one in sequences()])
    masks = masks_of(list(prune_blocks(net.blocks, inputs, POST_TRAINING_METHODS.get("wanda"), 0.5)))
    for name, weight in weights_of(net).items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, dense[name] * masks[name])
