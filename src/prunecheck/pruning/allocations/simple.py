"""How many weights each layer keeps, by one short rule each. The smart ratio has a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import allocation
from prunecheck.pruning.counts import Counts, apportion, budget_beside, kept_total
from prunecheck.pruning.layers import KINDS, Layer, total

if TYPE_CHECKING:
    from torch import Tensor


def _spread(layers: tuple[Layer, ...], shares: list[float], sparsity: float) -> Counts:
    """Counts in proportion to ``shares * sizes``, with the exact total; overflow redistributed."""
    sizes = [layer.size for layer in layers]
    kept = apportion(shares, sizes, kept_total(sum(sizes), sparsity))
    return Counts({layer.name: k for layer, k in zip(layers, kept, strict=True)})


@allocation(aliases=("layerwise",))
def uniform(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """Every layer keeps the same share."""
    return _spread(layers, [1.0] * len(layers), sparsity)


@allocation(aliases=("uniform+",), paper="Gale, Elsen & Hooker 2019")
def uniform_plus(layers: tuple[Layer, ...], sparsity: float, last: float = 0.2) -> Counts:
    """First convolution whole, the last linear layer keeps at least 20 %, the rest share evenly."""
    fixed: dict[str, int] = {}
    if layers[0].kind == "conv":
        fixed[layers[0].name] = layers[0].size
    weights, whole = total(layers), sum(fixed.values())
    if layers[-1].kind == "linear" and kept_total(weights, sparsity) - whole < last * (weights - whole):
        fixed[layers[-1].name] = int(last * layers[-1].size)
    budget = budget_beside(fixed, weights, sparsity)
    free = [layer for layer in layers if layer.name not in fixed]
    kept = apportion([1.0] * len(free), [layer.size for layer in free], budget)
    counts = fixed | {layer.name: k for layer, k in zip(free, kept, strict=True)}
    return Counts({layer.name: counts[layer.name] for layer in layers})


@allocation(paper="Evci et al. 2020")
def erk(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """Share proportional to (in + out + kernel) / (in * out * kernel); overflow redistributed."""
    return _spread(layers, [sum(layer.shape) / layer.size for layer in layers], sparsity)


@allocation(paper="Mocanu et al. 2018")
def er(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """Share proportional to (in + out) / (in * out), kernels ignored; overflow redistributed."""
    return _spread(
        layers, [(layer.fan_in + layer.fan_out) / (layer.fan_in * layer.fan_out) for layer in layers], sparsity
    )


@allocation(paper="Gadhikar et al. 2023")
def balanced(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """The same number of weights in every layer, small layers whole.

    Gadhikar, Mukherjee & Burkholz 2023. A layer with fewer weights than that is kept whole and the others share the
    rest evenly. The published code hands the surplus of a full layer only to the layers behind it and draws positions
    with probabilities; here the rest is shared by all and the total is exact.
    """
    return _spread(layers, [1 / layer.size for layer in layers], sparsity)


@allocation(paper="Gadhikar et al. 2023")
def pyramidal(layers: tuple[Layer, ...], sparsity: float) -> Counts:
    """Share p^l in layer l: geometrically sparser with depth.

    Gadhikar, Mukherjee & Burkholz 2023. p in (0, 1) solves sum over l = 1..L of size_l * p^l = kept weights (published
    code: the root of a polynomial; here by bisection), then fractions are rounded to the exact total.
    """
    sizes = [layer.size for layer in layers]
    base = common_base(sizes, kept_total(sum(sizes), sparsity))
    return _spread(layers, [base ** (i + 1) for i in range(len(sizes))], sparsity)


def common_base(sizes: list[int], budget: int) -> float:
    """The p in (0, 1] with ``sum(size * p^l) = budget``; 0 < budget <= sum of the sizes."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        total = sum(size * middle ** (i + 1) for i, size in enumerate(sizes))
        low, high = (middle, high) if total < budget else (low, middle)
    return high


@allocation(name="global", pool=KINDS)
def everything(layers: tuple[Layer, ...], scores: dict[str, Tensor], sparsity: float) -> Counts:
    """The largest scores of the whole network, all layers competing (SNIP, GraSP, SynFlow, IMP)."""
    return _largest(layers, scores, sparsity, KINDS)


@allocation(name="global_conv", pool=("conv",), paper="Su et al. 2020, official LT_prune.py")
def convolutions(layers: tuple[Layer, ...], scores: dict[str, Tensor], sparsity: float) -> Counts:
    """The largest scores of all convolutions; linear layers stay whole, the total counts them."""
    return _largest(layers, scores, sparsity, ("conv",))


def _largest(layers: tuple[Layer, ...], scores: dict[str, Tensor], sparsity: float, pool: tuple[str, ...]) -> Counts:
    from prunecheck.pruning.masks import global_counts

    whole = {layer.name: layer.size for layer in layers if layer.kind not in pool}
    budget = budget_beside(whole, total(layers), sparsity)
    counts = global_counts({n: s for n, s in scores.items() if n not in whole}, budget)
    counts.update(whole)
    return counts


@allocation(name="nothing")
def nothing(layers: tuple[Layer, ...]) -> Counts:
    """Every weight stays (the dense reference)."""
    return Counts({layer.name: layer.size for layer in layers})


@allocation
def counts_of(given: dict[str, int]) -> Counts:
    """As many weights per layer as another method keeps (name it: ``{name = "counts_of", method = "snip"}``)."""
    return Counts(given)
