"""What a post-training method and a check of one are, and what each may ask for.

They prune a trained network layer by layer, from what each linear layer receives on a few calibration sequences, and
nothing is trained afterwards: how language models are pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Granularity = Literal["row", "layer", "global"]
GRANULARITIES: tuple[Granularity, ...] = ("row", "layer", "global")
"""which weights compete with each other: those of one output, of one layer, of the network"""
PostTrainingPoint = Literal["tokens", "statistics", "masks", "weights", "ratios"]
POST_TRAINING_POINTS: tuple[PostTrainingPoint, ...] = ("tokens", "statistics", "masks", "weights", "ratios")
UNIFORM = "uniform"
"""the ratios under which every block loses the same share"""

POST_TRAINING_METHOD_OFFERS: dict[str, str] = {
    "weight": "float32 [outputs, inputs]: the weight of one linear layer, not yet pruned",
    "norms": "float32 [inputs]: the L2 norm of each input over the calibration tokens, divided by the square root of "
    "the number of sequences",
    "gram": "float32 [inputs, inputs]: 2 x x^T, summed over the calibration tokens, divided by the number of sequences",
    "tokens": "how many calibration tokens the layer has received",
    "select": "select(scores, start=0) -> bool mask of the columns from start on, scores [outputs, any number of "
    "columns], higher = keep, with the exact counts of the study; select.group is the M of N:M, else None (only for "
    "gives='weights')",
    "sparsity": "the share of this layer that is removed",
    "rng": "numpy Generator of this layer: the only source of randomness a plug-in may use",
}
STATISTICS = frozenset({"norms", "gram", "tokens"})
"""what only calibration sequences can tell"""
POST_TRAINING_CHECK_OFFERS: dict[PostTrainingPoint, dict[str, str]] = {
    "tokens": {
        "tokens": "int64 [sequences, length]: the calibration sequences",
        "vocabulary": "how many different tokens there are",
        "other": "int64 [sequences, length]: sequences of another text",
        "rng": "numpy Generator: the only source of randomness a plug-in may use",
    },
    "statistics": {
        "norms": POST_TRAINING_METHOD_OFFERS["norms"],
        "gram": POST_TRAINING_METHOD_OFFERS["gram"] + "; None where the method does not ask for it",
        "rng": POST_TRAINING_METHOD_OFFERS["rng"],
    },
    "masks": {
        "mask": "bool [outputs, inputs] of one linear layer, True = keep",
        "pattern": "the pattern of the mask, such as '2:4', or None",
        "rng": POST_TRAINING_METHOD_OFFERS["rng"],
    },
    "weights": {
        "weight": "float32 [outputs, inputs]: the weight of one linear layer after pruning, 0 where pruned",
        "original": "float32 [outputs, inputs]: the weight before",
        "mask": "bool [outputs, inputs], True = keep",
        "rng": POST_TRAINING_METHOD_OFFERS["rng"],
    },
    "ratios": {
        "ratios": "float64 numpy array: the share that each block keeps",
        "rng": "numpy Generator: the only source of randomness a plug-in may use",
    },
}
CORRUPTED: dict[PostTrainingPoint, str] = {
    "tokens": "tokens",
    "statistics": "norms",
    "masks": "mask",
    "weights": "weight",
    "ratios": "ratios",
}
"""what a check at each intervention point must ask for"""


@dataclass(frozen=True)
class PostTrainingMethod:
    """A method that prunes one linear layer at a time.

    ``gives``: ``scores`` of the weights, from which the masks are selected, or new ``weights`` with the mask.
    ``granularity``: which weights compete where a study does not say so: what was published.
    """

    name: str
    function: Callable[..., Any]
    asks: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    gives: Literal["scores", "weights"] = "scores"
    granularity: Granularity = "layer"
    summary: str = ""
    paper: str = ""
    aliases: tuple[str, ...] = ()
    version: int = 1
    code: str = ""
    origin: str = "built-in"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def is_calibrated(self) -> bool:
        """Whether it sees anything of the calibration sequences."""
        return bool(STATISTICS & set(self.asks))


class NotTested(NamedTuple):
    """Why a check tests nothing of a method. ``reason``: about ``method``, or a whole sentence where that is empty;
    without a full stop."""

    reason: str
    method: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.method!r} {self.reason}." if self.method else f"{self.reason}."


@dataclass(frozen=True)
class PostTrainingCheck:
    """One corruption at one intervention point of pruning without training.

    ``tokens``, ``statistics`` and ``ratios`` are corrupted before a layer is pruned, so that later blocks see the
    consequences. ``masks`` and ``weights`` are corrupted in the finished network: no later block was calibrated on the
    corruption. ``needs_update``: only for methods that change the weights they keep.
    """

    name: str
    function: Callable[..., Any]
    asks: tuple[str, ...]
    at: PostTrainingPoint
    options: Mapping[str, Any] = field(default_factory=dict)
    needs_update: bool = False
    summary: str = ""
    destroys: str = ""
    keeps: str = ""
    paper: str = ""
    aliases: tuple[str, ...] = ()
    version: int = 1
    code: str = ""
    origin: str = "built-in"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def why_not(self, method: PostTrainingMethod, ratios: str = UNIFORM) -> NotTested | None:
        """Why this check tests nothing of that method under those ratios; None where it does."""
        if self.at == "ratios" and ratios == UNIFORM:
            return NotTested("every block already keeps the same share: choose other ratios, such as ratios = 'owl'")
        if self.at == "statistics" and not {"norms", "gram"} & set(method.asks):
            return NotTested("does not ask for statistics of the calibration tokens", method.name)
        if self.at == "tokens" and not method.is_calibrated and ratios == UNIFORM:
            return NotTested("does not look at calibration tokens", method.name)
        if self.needs_update and method.gives != "weights":
            return NotTested("does not change the weights it keeps", method.name)
        return None
