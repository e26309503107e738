"""What a method, an allocation and a check are, and what each may ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prunecheck.errors import PluginError
from prunecheck.text import nearest

Point = Literal["batches", "scores", "masks", "weights", "updates"]
POINTS: tuple[Point, ...] = ("batches", "scores", "masks", "weights", "updates")

METHOD_OFFERS: dict[str, str] = {
    "weights": "{parameter name: tensor} of the prunable weights, as they stand when the method is called",
    "model": "the module, holding those weights, in training mode with batch statistics",
    "batches": "list of (inputs, targets): the scoring batches, normalised floats and integer targets",
    "loss": "loss(weights, temperature=1) -> scalar, summed over the scoring batches; differentiable",
    "train_loader": "the whole training set, in the study's batches and augmentation: every iteration is one epoch of "
    "len(train_loader) batches (inputs, targets), and there are at most as many as the option mask_epochs, which the "
    "method must have; train_loader.loss(outputs, targets) is the loss the study trains with",
    "layers": "tuple of Layer(name, kind, shape) in module order",
    "input_shape": "of one input, e.g. (channels, height, width)",
    "counts": "{parameter name: kept weights} from the method's allocation (only for gives='masks')",
    "pattern": "the structured pattern the study asks for, such as '2:4', or None (only for gives='masks')",
    "masks": "{parameter name: bool tensor} of the previous round; all True before the first",
    "sparsity": "the target, fraction removed in (0, 1)",
    "rng": "numpy Generator: the only source of randomness a plug-in may use",
}
MASK_EPOCHS = "mask_epochs"
"""option of every method that asks for train_loader: how many epochs of the training set it may use to learn a mask"""
UPDATE_OFFERS: dict[str, str] = {
    "weights": "{parameter name: tensor} of the prunable weights at this step, 0 where pruned",
    "gradients": "{parameter name: tensor}: the gradient of this step's batch, of pruned weights too",
    "momentum": "{parameter name: tensor}: SGD's momentum, 0 where pruned and before the first step",
    "masks": "{parameter name: bool tensor}: the mask that is to be updated",
    "layers": METHOD_OFFERS["layers"],
    "fraction": "the fraction of each layer's kept weights that is due to be dropped, in [0, 1]",
    "progress": "the fraction of the training that is done, in [0, 1)",
    "rng": METHOD_OFFERS["rng"],
}
"""What a method that changes its mask during training may ask for at an update."""
ALLOCATION_OFFERS: dict[str, str] = {
    "layers": METHOD_OFFERS["layers"],
    "scores": "{parameter name: tensor}, higher = keep",
    "sparsity": METHOD_OFFERS["sparsity"],
    "given": "{parameter name: kept weights} of the method whose counts are to be taken",
    "family": "'vgg' for VGG networks, else 'resnet' (the smart ratio differs)",
}
CHECK_OFFERS: dict[str, str] = {
    "batches": "(inputs, targets): the whole training set, uint8 [N, C, H, W] and int64 [N]",
    "scores": ALLOCATION_OFFERS["scores"],
    "masks": "{parameter name: bool tensor}, True = keep",
    "patterns": "{parameter name: the structured pattern of its mask, such as '2:4' or 'filters', or None}",
    "weights": "{parameter name: tensor}: the ticket's start weights, 0 where pruned",
    "updates": "{parameter name: bool tensor}: the masks after an update of a method that changes them in training",
    "kept": "{parameter name: bool tensor}: the masks after the drop and before the growth of that update",
    "before": "{parameter name: bool tensor}: the masks before that update",
    "classes": "number of classes",
    "layers": METHOD_OFFERS["layers"],
    "initial": "{parameter name: tensor}: a fresh initialisation drawn from a stream of its own",
    "rng": METHOD_OFFERS["rng"],
}
AT_POINT: dict[Point, tuple[str, ...]] = {
    "batches": ("batches", "classes", "rng"),
    "scores": ("scores", "layers", "classes", "initial", "rng"),
    "masks": ("masks", "patterns", "layers", "classes", "initial", "rng"),
    "weights": ("weights", "masks", "layers", "classes", "initial", "rng"),
    "updates": ("updates", "kept", "before", "layers", "rng"),
}
"""What of CHECK_OFFERS there is for a check at each intervention point."""


@dataclass(frozen=True)
class Method:
    """score x allocate x when x rewind x rounds x retrain: a pruning method as a product of independent choices.

    ``when``: scored at initialisation or after pretraining, or called again and again ``during`` the training, from a
    random mask on (see ``Schedule``). ``rewind``: the ticket starts from the initial weights,
    from those of the rewind epoch, or from the trained ones (nothing is rewound). ``retrain``: the full schedule, or
    the rest of it from the rewind epoch; ``none``, for ``during`` alone: the network that was trained is judged.
    ``rounds``: 1 is one-shot; more remove the same share of the survivors each.
    """

    name: str
    function: Callable[..., Any]
    asks: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    gives: Literal["scores", "masks"] = "scores"
    allocate: str = "global"
    when: Literal["init", "trained", "during"] = "init"
    rewind: Literal["init", "epoch", "nothing"] = "init"
    retrain: Literal["full", "rest", "none"] = "full"
    rounds: int = 1
    summary: str = ""
    paper: str = ""
    aliases: tuple[str, ...] = ()
    version: int = 1
    code: str = ""
    origin: str = "built-in"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def takes_pattern(self) -> bool:
        """Whether a study's structured pattern applies: to scores of a network before or after its training, to masks
        where the method asks for it."""
        return (self.gives == "scores" and self.when != "during") or "pattern" in self.asks

    @property
    def learns(self) -> bool:
        """Whether it learns its masks from the whole training set, within a budget of epochs."""
        return "train_loader" in self.asks


@dataclass(frozen=True)
class Allocation:
    """How many weights each layer keeps. ``pool`` is set where one threshold over the named kinds of layers decides
    (all other layers stay whole): the form the selection rules of published codes apply to."""

    name: str
    function: Callable[..., Any]
    asks: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    pool: tuple[str, ...] | None = None
    summary: str = ""
    paper: str = ""
    aliases: tuple[str, ...] = ()
    version: int = 1
    code: str = ""
    origin: str = "built-in"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def is_known_ahead(self) -> bool:
        """Whether the counts follow from the network alone, before any score or other mask is there."""
        return not {"scores", "given"} & set(self.asks)


@dataclass(frozen=True)
class Check:
    """One corruption at one intervention point.

    ``preserves``: what the framework verifies is kept: ``counts`` (kept weights of every layer), ``values`` (the
    multiset of kept weights of every layer), ``magnitudes`` (every single weight's absolute value),
    ``shapes`` (nothing beyond names and shapes). ``changes``: whether the result must differ from the input; only a
    control may declare False. ``orders``: whether its option ``shuffle = false`` makes trainings on what it returns see
    the images in their stored order.
    """

    name: str
    function: Callable[..., Any]
    asks: tuple[str, ...]
    at: Point
    preserves: Literal["shapes", "counts", "values", "magnitudes"] = "shapes"
    changes: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    destroys: str = ""
    keeps: str = ""
    paper: str = ""
    aliases: tuple[str, ...] = ()
    version: int = 1
    code: str = ""
    origin: str = "built-in"
    orders: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


Plugin = Method | Allocation | Check


def read_signature(
    function: Callable[..., Any], offers: Mapping[str, str], kind: str, name: str
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """``(asks, options)``: parameters without a default are asked for, those with one are the plug-in's own options.

    Raises PluginError naming the parameter that is not offered and the nearest one that is.
    """
    asks: list[str] = []
    options: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise PluginError(f"{kind} {name}: *{parameter.name} is not allowed; ask for what you need by name.")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise PluginError(f"{kind} {name}: {parameter.name} is positional-only; drop the / after it.")
        if parameter.name in offers:
            asks.append(parameter.name)
        elif parameter.default is not parameter.empty:
            options[parameter.name] = parameter.default
        else:
            guess = nearest(parameter.name, offers)
            hint = f"Did you mean {guess!r}? " if guess else ""
            raise PluginError(
                f"{kind} {name}() asks for {parameter.name!r}, which is not offered. {hint}"
                f"It may ask for: {', '.join(offers)}; its own options need a default."
            )
    return tuple(asks), options
