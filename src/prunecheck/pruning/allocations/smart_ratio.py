"""Smart ratio (Su et al. 2020, section 5): deeper layers keep less, whatever the data says.

With the layers numbered l = 1..L in module order, linear layers included in the numbering, layer l keeps a share
proportional to ``(L-l+1)^2 + (L-l+1)``, in VGG networks divided by ``l^2``; the linear classifier keeps a fixed 0.3.

The default here is exact where the official code (pruner/SmartRatio.py) is not: the total is
``round(n * (1 - sparsity))``, layers that would overflow are kept whole and *all* of their surplus goes to the layers
behind them, and an impossible target is refused with the largest possible one. Only the classifier, that is a linear
last layer, has the fixed share; further linear layers take part in the decay. ``official_counts`` reproduces the
official numbers to the last weight.

The paper's ablations are the option ``decay``: ``linear`` (L-l+1), ``cubic`` (L-l+1)^3, ``uniform`` (one share for all)
and ``ascending`` l^2 + l. The official code divides by ``l^2`` in VGG networks there too, which turns its "ascending"
shares into slightly descending ones; here they ascend in every network, and the preset shows the published ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from prunecheck.errors import InfeasibleError
from prunecheck.pruning.built_in import allocation
from prunecheck.pruning.counts import Counts, budget_beside, round_to
from prunecheck.pruning.layers import Layer, total
from prunecheck.text import percent, unknown

if TYPE_CHECKING:
    import numpy as np

PAPER = "Su et al. 2020"


DECAYS: dict[str, Callable[[int, int], int]] = {
    "quadratic": lambda length, i: (length - i) ** 2 + (length - i),
    "linear": lambda length, i: length - i,
    "cubic": lambda length, i: (length - i) ** 3,
    "ascending": lambda _, i: (i + 1) ** 2 + (i + 1),
    "uniform": lambda _length, _i: 1,
}
"""unscaled share of the layer with index i = l - 1, before the division for VGG networks"""
FORMS = ("resnet", "vgg")
UNDIVIDED = ("ascending", "uniform")
"""what a division by l^2 would turn into something else than its name says"""


def raw_shares(length: int, family: str, decay: str | None = None) -> list[int | float]:
    """The unscaled share of every layer: ``(L-l+1)^2 + (L-l+1)`` or another *decay*, divided by ``l^2`` in the VGG
    family unless that would contradict its name. Raises InfeasibleError for an unknown decay."""
    form = _form(decay)
    if family == "vgg" and decay not in UNDIVIDED:
        return [form(length, i) / (i + 1) ** 2 for i in range(length)]
    return [form(length, i) for i in range(length)]


def _form(decay: str | None) -> Callable[[int, int], int]:
    if decay is not None and decay not in DECAYS:
        raise InfeasibleError("smart_ratio: decay = " + unknown("decay", str(decay), DECAYS))
    return DECAYS[decay or "quadratic"]


def _family(form: str | None, family: str) -> str:
    if form is not None and form not in FORMS:
        raise InfeasibleError("smart_ratio: form = " + unknown("form", str(form), FORMS))
    return form or family


@allocation(paper=PAPER, aliases=("smart-ratio",))
def smart_ratio(
    layers: tuple[Layer, ...],
    sparsity: float,
    family: str,
    linear: float = 0.3,
    decay: str | None = None,
    form: str | None = None,
) -> Counts:
    """Quadratic decay with depth, the classifier at a fixed 0.3: the random ticket's layer ratios.

    ``form``: ``resnet`` (the decay as it is) or ``vgg`` (divided by l^2). By default ``vgg`` for networks whose name
    begins with vgg and ``resnet`` for all others; the official code takes its VGG form for whatever is no ResNet.
    ``linear``: the fixed fraction of the classifier that is kept, in [0, 1].
    """
    family = _family(form, family)
    if not 0 <= linear <= 1:
        raise InfeasibleError(f"smart_ratio: linear = {linear:g} must lie in [0, 1].")
    weights, last = total(layers), layers[-1]
    fixed = {last.name: int(linear * last.size)} if last.kind == "linear" and len(layers) > 1 else {}
    budget = budget_beside(fixed, weights, sparsity)
    shares = raw_shares(len(layers), family, decay)
    free = [(layer, share) for layer, share in zip(layers, shares, strict=True) if layer.name not in fixed]
    sizes = [layer.size for layer, _ in free]
    if budget > sum(sizes):
        least = math.ceil(Fraction(weights - sum(sizes) - sum(fixed.values()), weights) * 10000) / 10000
        raise InfeasibleError(
            f"sparsity {percent(sparsity)} is too low for linear = {linear:g}: every other layer is whole already "
            f"at {percent(least)}."
        )
    scale = budget / sum(share * size for (_, share), size in zip(free, sizes, strict=True))
    wanted = [scale * share * size for (_, share), size in zip(free, sizes, strict=True)]
    kept = round_to(pass_overflow_on(wanted, sizes), sizes, budget)
    counts = fixed | {layer.name: k for (layer, _), k in zip(free, kept, strict=True)}
    return Counts({layer.name: counts[layer.name] for layer in layers})


def pass_overflow_on(wanted: list[float], sizes: list[int]) -> list[float]:
    """Cap every layer at its size and hand the surplus to the next layers in order, as the paper's code means to;
    what is left after the last layer goes round again from the first. Needs ``sum(wanted) <= sum(sizes)``."""
    carry, kept = 0.0, list(wanted)
    for _ in range(2):
        for i, size in enumerate(sizes):
            filled = min(kept[i] + carry, float(size))
            carry += kept[i] - filled
            kept[i] = filled
    return kept


def official_counts(
    layers: tuple[Layer, ...],
    sparsity: float,
    family: str,
    linear: float = 0.3,
    decay: str | None = None,
    form: str | None = None,
) -> Counts:
    """The kept counts of the official code, bit for bit: float32 ratios, a floor at every term, every linear layer at
    ``linear``, and an overflow walk that stops at the first layer with nothing to carry (so later overflow is lost).

    Raises InfeasibleError where the official code crashes: on a negative count, and without convolutions.
    """
    import numpy as np

    family = _family(form, family)
    if not any(layer.kind == "conv" for layer in layers):
        raise InfeasibleError(
            "smart_ratio as the official code computes it needs a convolution: it divides by their weights. "
            "Leave out the preset."
        )

    f32 = np.float32
    shares = [_form(decay)(len(layers), i) for i in range(len(layers))]
    divisors = [(i + 1) ** 2 if family == "vgg" else 1 for i in range(len(layers))]
    conv = [i for i, layer in enumerate(layers) if layer.kind == "conv"]
    sizes = [f32(layer.size) for layer in layers]
    weights = f32(total(layers))
    in_linear = f32(sum(layer.size for layer in layers if layer.kind == "linear"))
    goal = int(weights * f32(1 - sparsity)) - int(in_linear * f32(linear))
    if goal < 0:
        budget_beside({la.name: int(linear * la.size) for la in layers if la.kind == "linear"}, total(layers), sparsity)
    if decay == "uniform":
        even = f32(goal) / (weights - in_linear)
        return Counts({la.name: int((f32(linear) if la.kind == "linear" else even) * f32(la.size)) for la in layers})
    scale = f32(goal / sum(int(sizes[i] * f32(shares[i]) / f32(divisors[i])) for i in conv))
    ratios = {i: f32(shares[i]) * scale / f32(divisors[i]) for i in conv}
    _official_overflow({i: sizes[i] for i in conv}, ratios)
    counts = Counts()
    for i, layer in enumerate(layers):
        share = ratios[i] if i in ratios else f32(linear)
        counts[layer.name] = layer.size if share >= 1 else int(share * sizes[i])
    return counts


def _official_overflow(sizes: dict[int, np.float32], ratios: dict[int, np.float32]) -> None:
    import numpy as np

    extra, one = 0, np.float32(1)
    for i, size in sizes.items():
        if ratios[i] >= 1:
            extra += int((ratios[i] - one) * size)
            ratios[i] = one
        else:
            room = int((one - ratios[i]) * size)
            ratios[i] = ratios[i] + np.float32(extra) / size if room >= extra else one
            extra = max(0, extra - room)
        if extra == 0:
            return
