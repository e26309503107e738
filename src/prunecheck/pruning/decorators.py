"""``@method``, ``@allocation``, ``@check``: from a bare function to a registered plug-in."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, overload

from prunecheck.errors import PluginError
from prunecheck.pruning.plugins import (
    ALLOCATION_OFFERS,
    AT_POINT,
    CHECK_OFFERS,
    MASK_EPOCHS,
    METHOD_OFFERS,
    POINTS,
    UPDATE_OFFERS,
    Allocation,
    Check,
    Method,
    Point,
    read_signature,
)
from prunecheck.pruning.registry import ALLOCATIONS, CHECKS, METHODS, origin_and_code
from prunecheck.pruning.schedule import SCHEDULE_OPTIONS, Schedule
from prunecheck.text import unknown

Function = Callable[..., Any]


def summary_of(function: Function, given: str) -> str:
    text = given or inspect.getdoc(function) or ""
    return text.strip().splitlines()[0].strip() if text.strip() else ""


def one_of(plugin: str, word: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise PluginError(f"{plugin}: {word} = " + unknown(f"valid {word}", str(value), choices))


def _validate_mask_epochs(name: str, options: dict[str, Any]) -> None:
    """Raises PluginError where a method that learns its masks does not say how many epochs it takes."""
    epochs = options.get(MASK_EPOCHS)
    if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
        raise PluginError(
            f"method {name}() asks for 'train_loader', so it must say how many epochs of it it uses: add the option "
            f"{MASK_EPOCHS}: int = 10, or another whole number from 1."
        )


@overload
def method(function: Function, /) -> Method: ...


@overload
def method(
    *,
    name: str = ...,
    gives: Literal["scores", "masks"] = ...,
    allocate: str = ...,
    when: Literal["init", "trained", "during"] = ...,
    rewind: Literal["init", "epoch", "nothing"] = ...,
    retrain: Literal["full", "rest", "none"] = ...,
    rounds: int = ...,
    every: int = ...,
    until: float = ...,
    drop: float = ...,
    decay: Literal["cosine", "constant"] = ...,
    summary: str = ...,
    paper: str = ...,
    aliases: tuple[str, ...] = ...,
    version: int = ...,
) -> Callable[[Function], Method]: ...


def method(function: Function | None = None, /, **choices: Any) -> Any:
    """Register a function that scores weights (higher = keep) or, with ``gives="masks"``, chooses them itself.

    The function asks by name for any of ``weights, model, batches, loss, train_loader, layers, input_shape, counts,
    pattern, masks, sparsity, rng``; its other parameters need defaults and become options of the study file. With
    ``train_loader``, the whole training set, it must have the option ``mask_epochs``: the number of epochs it may use.
    Raises PluginError on anything else.

    With ``when="during"`` it is called while the network trains, ``every`` so many steps ``until`` that fraction of
    them, and asks for any of ``weights, gradients, momentum, masks, layers, fraction, progress, rng``. It returns two
    sets of scores: the kept weights with the lowest of the first are dropped, the weights with the highest of the
    second grow. With ``gives="masks"`` it returns the new masks, with as many kept weights as before.
    ``every, until, drop, decay`` are options of the study file too.
    """

    def lift(fn: Function) -> Method:
        name = choices.pop("name", "") or fn.__name__
        gives = choices.get("gives", "scores")
        during = choices.get("when") == "during"
        asks, options = read_signature(fn, UPDATE_OFFERS if during else METHOD_OFFERS, "method", name)
        one_of(name, "gives", gives, ("scores", "masks"))
        one_of(name, "when", choices.get("when", "init"), ("init", "trained", "during"))
        if during:
            options = _during(name, choices, options)
        elif timing := [option for option in SCHEDULE_OPTIONS if option in choices]:
            raise PluginError(f'method {name}: {timing[0]} is for methods with when="during".')
        one_of(name, "rewind", choices.get("rewind", "init"), ("init", "epoch", "nothing"))
        one_of(name, "retrain", choices.get("retrain", "full"), ("full", "none") if during else ("full", "rest"))
        if "train_loader" in asks:
            _validate_mask_epochs(name, options)
        for ask in ("counts", "pattern"):
            if gives == "scores" and ask in asks:
                raise PluginError(f'method {name}() asks for {ask!r}, which only a method with gives="masks" may.')
        if choices.get("when", "init") != "trained" and choices.get("rewind", "init") != "init":
            why = "it trains from the initial weights" if during else "nothing was trained"
            raise PluginError(f"method {name}: {why}, so rewind must be 'init'.")
        summary = summary_of(fn, choices.pop("summary", ""))
        origin, code = origin_and_code(fn)
        return METHODS.add(Method(name, fn, asks, options, summary=summary, code=code, origin=origin, **choices))

    return lift(function) if function is not None else lift


def _during(name: str, choices: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options of a method that changes its mask during training; completes its other *choices*."""
    if choices.get("rounds", 1) != 1:
        raise PluginError(f"method {name}: it changes its mask during one training, so rounds must be 1.")
    choices.setdefault("allocate", "erk")
    choices.setdefault("retrain", "none")
    timing = {option: choices.pop(option, default) for option, default in SCHEDULE_OPTIONS.items()}
    try:
        Schedule.of(timing | options)
    except PluginError as error:
        raise PluginError(f"method {name}: {error}") from None
    return timing | options


@overload
def allocation(function: Function, /) -> Allocation: ...


@overload
def allocation(
    *,
    name: str = ...,
    pool: tuple[str, ...] | None = ...,
    summary: str = ...,
    paper: str = ...,
    aliases: tuple[str, ...] = ...,
    version: int = ...,
) -> Callable[[Function], Allocation]: ...


def allocation(function: Function | None = None, /, **choices: Any) -> Any:
    """Register a function ``(layers, sparsity, scores, ...) -> {layer name: kept weights}`` with the exact total."""

    def lift(fn: Function) -> Allocation:
        name = choices.pop("name", "") or fn.__name__
        asks, options = read_signature(fn, ALLOCATION_OFFERS, "allocation", name)
        summary = summary_of(fn, choices.pop("summary", ""))
        origin, code = origin_and_code(fn)
        return ALLOCATIONS.add(
            Allocation(name, fn, asks, options, summary=summary, code=code, origin=origin, **choices)
        )

    return lift(function) if function is not None else lift


def check(
    *,
    at: Point,
    name: str = "",
    preserves: Literal["shapes", "counts", "values", "magnitudes"] = "shapes",
    changes: bool = True,
    summary: str = "",
    destroys: str = "",
    keeps: str = "",
    paper: str = "",
    aliases: tuple[str, ...] = (),
    version: int = 1,
    orders: bool = False,
) -> Callable[[Function], Check]:
    """Register a corruption at one intervention point: ``batches``, ``scores``, ``masks``, ``weights`` or ``updates``.

    The function must ask for what it declares to corrupt and return the corrupted version of it. ``orders``: its option
    ``shuffle = false`` also fixes the order of the images in trainings on what it returns.
    """

    def lift(fn: Function) -> Check:
        title = name or fn.__name__
        one_of(title, "at", at, POINTS)
        one_of(title, "preserves", preserves, ("shapes", "counts", "values", "magnitudes"))
        asks, options = read_signature(fn, {n: CHECK_OFFERS[n] for n in AT_POINT[at]}, f"{at} check", title)
        if at not in asks:
            raise PluginError(f"check {title}() sits at {at!r} and must ask for it; it asks for {list(asks)}.")
        of_masks, of_weights = ("masks", "updates"), ("values", "magnitudes")
        kept_there = [("shapes", at), *(("counts", p) for p in of_masks), *((kept, "weights") for kept in of_weights)]
        if (preserves, at) not in kept_there:
            raise PluginError(f"check {title}: it sits at {at!r}; only masks have counts and only weights values.")
        origin, code = origin_and_code(fn)
        return CHECKS.add(
            Check(
                title,
                fn,
                asks,
                at,
                preserves,
                changes,
                options,
                summary_of(fn, summary),
                destroys,
                keeps,
                paper,
                aliases,
                version,
                code,
                origin,
                orders,
            )
        )

    return lift
