"""``@post_training_method`` and ``@post_training_check``: from a bare function to a registered plug-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

from prunecheck.errors import PluginError
from prunecheck.pruning.decorators import one_of, summary_of
from prunecheck.pruning.plugins import read_signature
from prunecheck.pruning.post_training_plugins import (
    CORRUPTED,
    GRANULARITIES,
    POST_TRAINING_CHECK_OFFERS,
    POST_TRAINING_METHOD_OFFERS,
    POST_TRAINING_POINTS,
    Granularity,
    PostTrainingCheck,
    PostTrainingMethod,
    PostTrainingPoint,
)
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS, origin_and_code

Function = Callable[..., Any]


@overload
def post_training_method(function: Function, /) -> PostTrainingMethod: ...


@overload
def post_training_method(
    *,
    name: str = ...,
    gives: Literal["scores", "weights"] = ...,
    granularity: Granularity = ...,
    summary: str = ...,
    paper: str = ...,
    aliases: tuple[str, ...] = ...,
    version: int = ...,
) -> Callable[[Function], PostTrainingMethod]: ...


def post_training_method(function: Function | None = None, /, **choices: Any) -> Any:
    """Register a function that scores the weights of one linear layer (higher = keep), or prunes it itself.

    The function asks by name for any of ``weight, norms, gram, tokens, sparsity, rng``; its other parameters need
    defaults and become options of the study file. It returns scores of the shape of the weight. With
    ``gives="weights"`` it may also ask for ``select`` and returns ``(new weight, mask)``. ``granularity``: which
    weights compete where a study does not say so. Raises PluginError on anything else.
    """

    def lift(fn: Function) -> PostTrainingMethod:
        name = choices.pop("name", "") or fn.__name__
        gives, granularity = choices.get("gives", "scores"), choices.get("granularity", "layer")
        asks, options = read_signature(fn, POST_TRAINING_METHOD_OFFERS, "post-training method", name)
        one_of(name, "gives", gives, ("scores", "weights"))
        one_of(name, "granularity", granularity, GRANULARITIES)
        if gives == "scores" and "select" in asks:
            raise PluginError(f"post-training method {name}() asks for 'select', which needs gives=\"weights\".")
        if gives == "weights" and granularity == "global":
            raise PluginError(f"post-training method {name}: it prunes layer by layer, so granularity is row or layer.")
        summary = summary_of(fn, choices.pop("summary", ""))
        origin, code = origin_and_code(fn)
        return POST_TRAINING_METHODS.add(
            PostTrainingMethod(name, fn, asks, options, summary=summary, code=code, origin=origin, **choices)
        )

    return lift(function) if function is not None else lift


def post_training_check(
    *,
    at: PostTrainingPoint,
    name: str = "",
    needs_update: bool = False,
    summary: str = "",
    destroys: str = "",
    keeps: str = "",
    paper: str = "",
    aliases: tuple[str, ...] = (),
    version: int = 1,
) -> Callable[[Function], PostTrainingCheck]:
    """Register a corruption at ``tokens``, ``statistics``, ``masks``, ``weights`` or ``ratios``.

    The function asks for what it corrupts, ``tokens``, ``norms`` (with or without ``gram``), ``mask``, ``weight`` or
    ``ratios``, and returns it corrupted: as many weights stay in every layer. A check of statistics that asks for
    ``gram`` returns ``(norms, gram)``. ``needs_update``: it is about the change of kept weights, which only methods
    with ``gives="weights"`` make. Raises PluginError.
    """

    def lift(fn: Function) -> PostTrainingCheck:
        title = name or fn.__name__
        one_of(title, "at", at, POST_TRAINING_POINTS)
        asks, options = read_signature(fn, POST_TRAINING_CHECK_OFFERS[at], f"{at} check", title)
        if CORRUPTED[at] not in asks:
            raise PluginError(f"check {title}() is at {at!r} and must ask for {CORRUPTED[at]!r}; it asks for {asks}.")
        if needs_update and at != "weights":
            raise PluginError(f"check {title}: needs_update is for checks at 'weights'.")
        origin, code = origin_and_code(fn)
        return POST_TRAINING_CHECKS.add(
            PostTrainingCheck(
                title,
                fn,
                asks,
                at,
                options,
                needs_update,
                summary_of(fn, summary),
                destroys,
                keeps,
                paper,
                aliases,
                version,
                code,
                origin,
            )
        )

    return lift
