"""Pruning a network block by block: every block is calibrated on what the blocks before it, already pruned, pass on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from prunecheck.errors import InfeasibleError, PluginError, PrunecheckError
from prunecheck.pruning.call_plugin import call_plugin
from prunecheck.pruning.counts import apportion, kept_total
from prunecheck.pruning.masks import global_counts, keep_top
from prunecheck.pruning.patterns import ROUNDED, Pattern, parse_pattern
from prunecheck.pruning.post_training.blocks import BlockInputs, Blocks, run_block
from prunecheck.pruning.post_training.ends import Embedding, End, why_not_embedding
from prunecheck.pruning.post_training.layers import Layer, layers_of
from prunecheck.pruning.post_training.ratios import outliers, owl_shares
from prunecheck.pruning.post_training.selection import Select, Selected
from prunecheck.pruning.post_training.statistics import LayerInputs, Recorder
from prunecheck.pruning.post_training.validation import validate_mask, validate_tensor
from prunecheck.pruning.post_training_plugins import (
    CORRUPTED,
    STATISTICS,
    UNIFORM,
    Granularity,
    PostTrainingCheck,
    PostTrainingMethod,
)
from prunecheck.pruning.seeds import stream
from prunecheck.text import unknown

if TYPE_CHECKING:
    from prunecheck.pruning.seeds import Rng

RATIOS: dict[str, Mapping[str, float]] = {UNIFORM: {}, "owl": {"threshold": 5.0, "spread": 0.08}}
"""how the sparsity is spread over the blocks, with the options of each and their defaults"""
Prunable = Callable[[str, nn.Module], bool]


@dataclass(frozen=True)
class BlockResult:
    """A pruned block. ``masks``: ``{parameter name in the model: bool tensor}``, as they are in the block. ``tied``:
    kept weights preferred to others of the same score by position alone. ``share``: of the block's weights, kept."""

    name: str
    masks: dict[str, Tensor]
    tied: int

    @property
    def share(self) -> float:
        return sum(int(m.sum()) for m in self.masks.values()) / sum(m.numel() for m in self.masks.values())


@torch.no_grad()
def prune_blocks(
    blocks: Blocks,
    inputs: list[BlockInputs],
    method: PostTrainingMethod,
    sparsity: float,
    *,
    options: Mapping[str, Any] | None = None,
    granularity: Granularity | None = None,
    pattern: str | None = None,
    ratios: str = UNIFORM,
    ratio_options: Mapping[str, float] | None = None,
    check: PostTrainingCheck | None = None,
    check_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    prunable: Prunable | None = None,
    dense_activations: bool = False,
) -> Iterator[BlockResult]:
    """Prune the linear layers of *blocks* in place, one block after the other, and those of ``with_ends``.

    Every block is run on *inputs* (of ``capture_inputs``; the list is emptied), its layers are pruned from what they
    received, and the pruned block is run again: its outputs calibrate the next one, as in the published codes, or with
    *dense_activations* the outputs from before. In memory are the model, the hidden states of one block, and the
    statistics of its layers; with granularity ``global`` the scores of all layers too, which all come from the dense
    network then, and with *ratios* the hidden states twice.

    ``granularity``: which weights compete, the method's own for None. ``pattern``: ``N:M``. ``ratios``: a name of
    ``RATIOS``; embedding and head lose *sparsity* under each. ``prunable(name, layer)``: which linear layers are
    pruned, all for None. ``check``: a corruption at ``statistics``, ``ratios``, ``masks`` or ``weights``; after one of
    masks or weights the walk goes on with the outputs of the uncorrupted block, so that nothing else changes. ``seed``:
    each layer draws from a stream of its name, so that an arm with a check draws for its method what the arm without it
    draws.

    Raises PluginError, and InfeasibleError where no layer can be pruned so.
    """
    walk = _Walk(
        blocks,
        method,
        sparsity,
        options=dict(options or {}),
        granularity=granularity or method.granularity,
        pattern=None if pattern is None else parse_pattern(pattern),
        ratios=ratios,
        ratio_options=dict(ratio_options or {}),
        check=check,
        check_options=dict(check_options or {}),
        seed=seed,
        prunable=prunable,
    )
    if not inputs and (walk.needs & STATISTICS or ratios != UNIFORM):
        raise PluginError(f"method {method.name!r} needs calibration sequences, and there are none.")
    sequences, rest = [one.hidden for one in inputs], [one.rest for one in inputs]
    inputs.clear()
    for _, block in blocks:
        block.eval()
    if walk.granularity == "global":
        yield from walk.prune_together(sequences, rest)
    else:
        yield from walk.prune_in_turn(sequences, rest, dense_activations)
    walk.validate_effect()


class _Walk:
    """One pruning: the choices, the layers, and how many weights each keeps."""

    def __init__(self, blocks: Blocks, method: PostTrainingMethod, sparsity: float, **choices: Any) -> None:
        self.blocks, self.method, self.sparsity = blocks, method, sparsity
        self.options: dict[str, Any] = choices["options"]
        self.granularity: Granularity = choices["granularity"]
        self.pattern: Pattern | None = choices["pattern"]
        self.ratios: str = choices["ratios"]
        self.check: PostTrainingCheck | None = choices["check"]
        self.check_options: dict[str, Any] = choices["check_options"]
        self.seed: int = choices["seed"]
        self.changed = False
        self.layers = [_chosen_layers(name, block, choices["prunable"]) for name, block in blocks]
        self.ratio_options = _validate(self, choices["ratio_options"])
        self.sizes = {name: layer.numel for of_block in self.layers for name, layer in of_block.items()}
        self.kept = {name: self._kept(layer) for of_block in self.layers for name, layer in of_block.items()}

    def _kept(self, layer: Layer) -> int:
        outputs, inputs = layer.shape
        if self.pattern is not None:
            n, m = self.pattern.size
            return outputs * inputs // m * n
        if self.granularity == "row":
            return outputs * kept_total(inputs, self.sparsity)
        return kept_total(outputs * inputs, self.sparsity)

    def at(self, *points: str) -> PostTrainingCheck | None:
        return self.check if self.check is not None and self.check.at in points else None

    @property
    def needs(self) -> set[str]:
        if self.at("statistics"):
            return {"norms", *self.method.asks}
        return set(self.method.asks)

    def rng(self, name: str, plugin: PostTrainingMethod | PostTrainingCheck) -> Rng:
        return stream(self.seed, "post-training", plugin.name, name)

    def prune_in_turn(
        self, sequences: list[Tensor], rest: Sequence[Sequence[Any]], dense_activations: bool
    ) -> Iterator[BlockResult]:
        if self.ratios != UNIFORM:
            self._spread(list(sequences), rest)
        for place, (name, block) in enumerate(self.blocks):
            recorder = Recorder(self.layers[place], self.needs)
            outputs = self._recorded(place, recorder, sequences, rest, keep=dense_activations) if self._runs else []
            clean = {layer: self._prune(layer, linear, recorder.read(layer)) for layer, linear in self._of(place)}
            del recorder
            originals = self._write(place, {layer: answer.weight for layer, answer in clean.items()})
            if dense_activations:
                sequences[:] = outputs
            elif self._runs and place + 1 < len(self.blocks):
                for i, hidden in enumerate(sequences):
                    sequences[i] = run_block(block, hidden, rest[i][place])
            yield self._result(name, place, clean, originals)

    def prune_together(self, sequences: list[Tensor], rest: Sequence[Sequence[Any]]) -> Iterator[BlockResult]:
        scores: dict[str, Tensor] = {}
        for place in range(len(self.blocks)):
            recorder = Recorder(self.layers[place], self.needs)
            if self._runs:
                sequences[:] = self._recorded(place, recorder, sequences, rest, keep=True)
            for layer, linear in self._of(place):
                scores[layer] = self._scores(layer, linear, self._statistics(layer, recorder.read(layer)))
        counts = global_counts(scores, kept_total(sum(self.sizes.values()), self.sparsity))
        tied = counts.tied
        for place, (name, _) in enumerate(self.blocks):
            clean = {}
            for layer, linear in self._of(place):
                chosen = keep_top({layer: scores.pop(layer)}, counts)
                mask = chosen.masks[layer].to(linear.device)
                clean[layer] = _Answer(linear.weight * mask, mask, 0, None)
            originals = self._write(place, {layer: answer.weight for layer, answer in clean.items()})
            yield replace(self._result(name, place, clean, originals), tied=tied)
            tied = 0  # of all layers together: in the first result, so that the sum is right

    def validate_effect(self) -> None:
        """Raises PluginError where a check has left everything as it was."""
        if self.check is not None and self.check.at != "tokens" and not self.changed:
            raise PluginError(f"check {self.check.name!r} left everything at {self.check.at!r} unchanged.")

    def _of(self, place: int) -> list[tuple[str, Layer]]:
        return list(self.layers[place].items())

    def _recorded(
        self, place: int, recorder: Recorder, sequences: list[Tensor], rest: Sequence[Sequence[Any]], *, keep: bool
    ) -> list[Tensor]:
        """Run a block on every sequence while *recorder* records; the outputs, where they are to be kept."""
        block, outputs = self.blocks[place][1], []
        for i, hidden in enumerate(sequences):
            with recorder.recording():
                output = run_block(block, hidden, rest[i][place])
            if keep:
                outputs.append(output)
        return outputs

    def _spread(self, sequences: list[Tensor], rest: Sequence[Sequence[Any]]) -> None:
        """Divide the total over the blocks by the outliers of the dense network."""
        found = []
        blocks = [place for place, (_, block) in enumerate(self.blocks) if not isinstance(block, End)]
        for place in blocks:
            recorder = Recorder(self.layers[place], {"norms"})
            sequences[:] = self._recorded(place, recorder, sequences, rest, keep=True)
            parts = []
            for layer, linear in self._of(place):
                norms = recorder.read(layer).norms
                assert norms is not None
                parts.append(linear.weight.float().abs() * norms)
            found.append(outliers(parts, self.ratio_options["threshold"]))
        shares = owl_shares(found, self.sparsity, self.ratio_options["spread"])
        if (check := self.at("ratios")) is not None:
            offer = {"ratios": shares.copy(), "rng": self.rng("ratios", check)}
            corrupted = np.asarray(call_plugin(check, offer, self.check_options), dtype=np.float64)
            if corrupted.shape != shares.shape or not ((corrupted > 0) & (corrupted <= 1)).all():
                raise PluginError(
                    f"check {check.name!r} must return one share in (0, 1] for each of {len(shares)} blocks."
                )
            self.changed = not np.array_equal(corrupted, shares)
            shares = corrupted
        wanted = {layer: share for place, share in zip(blocks, shares, strict=True) for layer in self.layers[place]}
        total = sum(self.kept[layer] for layer in wanted)
        counts = apportion(list(wanted.values()), [self.sizes[layer] for layer in wanted], total)
        self.kept |= dict(zip(wanted, counts, strict=True))

    @property
    def _runs(self) -> bool:
        """Whether blocks are run at all: a method that sees no calibration tokens needs no hidden states."""
        return bool(self.needs & STATISTICS)

    def _statistics(self, layer: str, received: LayerInputs) -> LayerInputs:
        check = self.at("statistics")
        if check is None:
            return received
        offer = {"norms": received.norms, "gram": received.gram, "rng": self.rng(layer, check)}
        answer = call_plugin(check, offer, self.check_options)
        norms, gram = answer if "gram" in check.asks else (answer, received.gram)
        for what, before, after in (("norms", received.norms, norms), ("gram", received.gram, gram)):
            if before is None:
                continue
            validate_tensor(f"check {check.name!r}", what, layer, after, before.shape)
            if isinstance(after, Tensor):
                self.changed |= not torch.equal(before, after.to(before.dtype))
        return replace(received, norms=norms, gram=gram)

    def _offer(self, layer: str, linear: Layer, received: LayerInputs, select: Any) -> dict[str, Any]:
        return {
            "weight": linear.weight.float(),
            "norms": received.norms,
            "gram": received.gram,
            "tokens": received.tokens,
            "select": select,
            "sparsity": 1 - self.kept[layer] / self.sizes[layer],
            "rng": self.rng(layer, self.method),
        }

    def _scores(self, layer: str, linear: Layer, received: LayerInputs) -> Tensor:
        answer = self._call(layer, self._offer(layer, linear, received, None))
        validate_tensor(f"method {self.method.name!r}", "scores", layer, answer, linear.shape)
        scores: Tensor = answer.detach()
        return scores if scores.is_floating_point() else scores.double()

    def _call(self, layer: str, offer: dict[str, Any]) -> Any:
        try:
            return call_plugin(self.method, offer, self.options)
        except PrunecheckError as error:
            raise type(error)(f"{layer}: {error}") from None

    def _prune(self, layer: str, linear: Layer, received: LayerInputs) -> _Answer:
        received = self._statistics(layer, received)
        select = Select(linear.shape, self.kept[layer], self.granularity, self.pattern)
        if self.method.gives == "scores":
            mask = select(self._scores(layer, linear, received)).to(linear.device)
            return _Answer(linear.weight * mask, mask, select.tied, None)
        weight, mask = self._new_weight(layer, linear, received, select, self.kept[layer])
        other = None
        if (check := self.at("masks")) is not None:
            mask_of_check = self._other_mask(layer, mask, check)
            chosen = Selected(mask_of_check, self.pattern)
            other = self._new_weight(layer, linear, received, chosen, int(mask_of_check.sum()))
        return _Answer(weight, mask, select.tied, other)

    def _new_weight(
        self, layer: str, linear: Layer, received: LayerInputs, select: Any, kept: int
    ) -> tuple[Tensor, Tensor]:
        answer, who = self._call(layer, self._offer(layer, linear, received, select)), f"method {self.method.name!r}"
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise PluginError(f"{who} returned {type(answer).__name__}; it must return (new weight, mask).")
        weight, mask = answer
        validate_tensor(who, "the new weight", layer, weight, linear.shape)
        validate_mask(who, layer, mask, linear.shape, kept)
        if bool(weight[~mask].any()):
            raise PluginError(f"{who}: the new weight of {layer} is not 0 where the mask removes it.")
        return weight.detach().to(linear.dtype), mask

    def _other_mask(self, layer: str, mask: Tensor, check: PostTrainingCheck) -> Tensor:
        pattern = None if self.pattern is None else str(self.pattern)
        offer = {"mask": mask, "pattern": pattern, "rng": self.rng(layer, check)}
        other = call_plugin(check, offer, self.check_options)
        validate_mask(f"check {check.name!r}", layer, other, mask.shape, int(mask.sum()))
        self.changed |= not torch.equal(other, mask)
        answer: Tensor = other.to(mask.device)
        return answer

    def _write(self, place: int, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Put *weights* into a block. Returns those from before, where a check still needs them."""
        before = {}
        for layer, linear in self._of(place):
            if self.at("masks", "weights"):
                before[layer] = linear.weight.clone()
            linear.write(weights[layer])
        return before

    def _result(
        self, name: str, place: int, clean: Mapping[str, _Answer], originals: Mapping[str, Tensor]
    ) -> BlockResult:
        masks, check = {}, self.check
        for layer, linear in self._of(place):
            answer = clean[layer]
            mask, weight = answer.mask, None
            if check is not None and check.at == "masks":
                if answer.other is not None:
                    weight, mask = answer.other
                else:
                    mask = self._other_mask(layer, mask, check)
                    weight = originals[layer] * mask
            elif check is not None and check.at == "weights":
                weight = self._other_weight(layer, originals[layer], answer, check)
            if weight is not None:
                linear.write(weight)
            masks[f"{layer}.weight"] = linear.as_stored(mask)
        return BlockResult(name, masks, sum(answer.tied for answer in clean.values()))

    def _other_weight(self, layer: str, original: Tensor, answer: _Answer, check: PostTrainingCheck) -> Tensor:
        offer = {
            "weight": answer.weight.float(),
            "original": original.float(),
            "mask": answer.mask,
            "rng": self.rng(layer, check),
        }
        weight = call_plugin(check, offer, self.check_options)
        validate_tensor(f"check {check.name!r}", "the weight", layer, weight, original.shape)
        if bool(weight[~answer.mask].any()):
            raise PluginError(f"check {check.name!r}: the weight of {layer} is not 0 where the mask removes it.")
        self.changed |= not bool((weight == answer.weight).all())
        other: Tensor = weight.detach()
        return other


@dataclass(frozen=True)
class _Answer:
    """A pruned layer; ``other``: weight and mask as a check of masks has them, where the method made them."""

    weight: Tensor
    mask: Tensor
    tied: int
    other: tuple[Tensor, Tensor] | None


def _chosen_layers(name: str, block: nn.Module, prunable: Prunable | None) -> dict[str, Layer]:
    """``{name in the model: layer}`` of a block's layers that are pruned, in module order."""
    found = {name: Layer(block.layer)} if isinstance(block, End) else layers_of(name, block)
    chosen = {own: layer for own, layer in found.items() if prunable is None or prunable(own, layer.module)}
    if not chosen:
        raise InfeasibleError(f"block {name} has no linear layer to prune.")
    return chosen


def _validate(walk: _Walk, ratio_options: Mapping[str, float]) -> dict[str, float]:
    """The options of the ratios, complete. Raises PluginError for choices that do not go together."""
    method, check = walk.method, walk.check
    if walk.ratios not in RATIOS:
        raise PluginError(unknown("kind of ratios", walk.ratios, RATIOS))
    for option in ratio_options:
        if option not in RATIOS[walk.ratios]:
            raise PluginError(unknown(f"option of ratios {walk.ratios!r}", option, RATIOS[walk.ratios]))
    if walk.granularity == "global":
        if method.gives == "weights":
            raise PluginError(f"method {method.name!r} prunes layer by layer: granularity must be 'row' or 'layer'.")
        if walk.ratios != UNIFORM or walk.pattern is not None:
            raise PluginError(
                "granularity 'global' decides itself how much each layer keeps: leave ratios and pattern."
            )
    if any(isinstance(block, Embedding) for _, block in walk.blocks) and (why := why_not_embedding(method)):
        raise InfeasibleError(why)
    if walk.pattern is not None:
        _validate_pattern(walk, walk.pattern)
    if check is not None:
        if check.at == "tokens":
            raise PluginError(f"check {check.name!r} corrupts tokens: apply it with corrupt_tokens() before the walk.")
        if untested := check.why_not(method, walk.ratios):
            raise PluginError(f"check {check.name!r} tests nothing here: {untested.sentence}")
    return {**RATIOS[walk.ratios], **ratio_options}


def _validate_pattern(walk: _Walk, pattern: Pattern) -> None:
    if pattern.kind != "n:m":
        raise PluginError(f"pattern {str(pattern)!r}: without training only N:M, such as '2:4', is offered.")
    n, m = pattern.size
    if abs(walk.sparsity - (1 - n / m)) > ROUNDED:
        raise PluginError(f"{n}:{m} removes {1 - n / m:.4g} itself: the sparsity cannot be {walk.sparsity:g}.")
    if walk.ratios != UNIFORM:
        raise PluginError(f"{n}:{m} says itself how much each layer keeps: leave ratios out.")
    for of_block in walk.layers:
        for name, layer in of_block.items():
            if layer.in_features % m:
                raise InfeasibleError(
                    f"{n}:{m} does not fit {name}: {layer.in_features} inputs are no multiple of {m}."
                )


def corrupt_tokens(
    check: PostTrainingCheck,
    tokens: Tensor,
    *,
    vocabulary: int,
    other: Tensor | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Tensor:
    """The calibration sequences, int64 [sequences, length], as a check at ``tokens`` corrupts them.

    *other*: sequences of another text, for a check that asks for it. Raises PluginError.
    """
    if check.at != "tokens":
        raise PluginError(f"check {check.name!r} is at {check.at!r}, not at 'tokens'.")
    if "other" in check.asks and other is None:
        raise PluginError(f"check {check.name!r} needs sequences of another text.")
    rng = stream(seed, "post-training", check.name, "tokens")
    offer = {CORRUPTED["tokens"]: tokens, "vocabulary": vocabulary, "other": other, "rng": rng}
    answer = call_plugin(check, offer, dict(options or {}))
    who = f"check {check.name!r}"
    if not isinstance(answer, Tensor) or answer.dtype != torch.int64 or answer.ndim != 2 or not len(answer):
        raise PluginError(f"{who} must return int64 tokens [sequences, length].")
    if answer.shape[1] != tokens.shape[1] or len(answer) > len(tokens):
        raise PluginError(f"{who} returned {tuple(answer.shape)} tokens; {tuple(tokens.shape)} were drawn.")
    if int(answer.min()) < 0 or int(answer.max()) >= vocabulary:
        raise PluginError(f"{who} returned tokens outside of 0..{vocabulary - 1}.")
    if torch.equal(answer, tokens):
        raise PluginError(f"{who} left the tokens unchanged: it tests nothing here.")
    return answer
