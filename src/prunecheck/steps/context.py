"""The surroundings of a step: the store, the data, fresh models. Caches what is costly to create and never changes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from prunecheck import data, models
from prunecheck import tensors as tree
from prunecheck.errors import DataError, ModelError
from prunecheck.models.language import LanguageModel, open_language_model
from prunecheck.pruning import Method
from prunecheck.pruning.partial import apply_data_check
from prunecheck.pruning.plugins import MASK_EPOCHS
from prunecheck.pruning.scoring_inputs import Batch, balanced_samples
from prunecheck.pruning.seeds import stream, torch_stream
from prunecheck.pruning.streamed_checks import corrupt_samples
from prunecheck.pruning.task import Task, task_named
from prunecheck.pruning.train_loader import TrainLoader
from prunecheck.store import Store
from prunecheck.study.language_study import LanguageFiles
from prunecheck.text import printable
from prunecheck.training.feed import AnyFeed, Feed
from prunecheck.training.parallel import Group
from prunecheck.training.recipe import Recipe
from prunecheck.training.stream_feed import StreamFeed
from prunecheck.training.together import Together

Params = Mapping[str, Any]
PACKED = "packed_masks"
"""file of masks of eight weights a byte, in the order of memory, with the shapes in result.json"""


@dataclass
class Context:
    """``root``: where the data set's files are; ``folder``: where the file of an external network is looked for first.
    Neither is part of a key, but the fingerprints of their files are."""

    store: Store
    root: str | None = None
    folder: Path | None = None
    tickets_per_gpu: int | None = None
    language: LanguageFiles | None = None
    """of a study of a language model: where its model and its texts are"""
    on_gpu: Together | None = None
    """trains on the GPU of this process; made when the first training asks for one"""
    loader_threads: int | None = None
    """threads that decode streamed images, which change no byte; None for ``default_loader_threads``"""
    group: Group | None = None
    """the processes that do the trainings of this one together with it"""
    _pool: ThreadPoolExecutor | None = None
    _pixels: dict[str, Any] = field(default_factory=dict)
    _feeds: dict[str, tuple[AnyFeed, AnyFeed]] = field(default_factory=dict)

    def images(self, params: Params) -> data.ImageData | data.StreamedData:
        """The data set of a step, loaded once per process. Raises DataError where another version of the library that
        decodes its images is installed here than where the study was planned."""
        described = {name: value for name, value in params["data"].items() if name not in ("fingerprint", "decoder")}
        spec = data.DataSpec(root=self.root, **described)
        if spec.is_streamed and params["data"].get("decoder") not in (None, data.decoder()):
            raise DataError(
                f"images are decoded by {data.decoder()} here, the study was planned with "
                f"{params['data']['decoder']}. Install that, or plan the study here."
            )
        return data.load_once(spec, params["data"].get("fingerprint"))

    def training_set(self, params: Params) -> tuple[Tensor, Tensor]:
        """(inputs uint8 [N, C, H, W], targets int64 [N]) in memory, corrupted if the step says so."""
        images = self.images(params)
        assert isinstance(images, data.ImageData), "streamed images are never all in memory"
        clean = torch.from_numpy(images.train_inputs), torch.from_numpy(images.train_targets)
        corruption = params.get("corruption")
        if corruption is None:
            return clean
        name = json.dumps([params["data"], corruption, params["seed"]], sort_keys=True)
        if name not in self._pixels:
            self._pixels.clear()  # one corrupted copy of a data set at a time
            self._pixels[name] = apply_data_check(clean, corruption, params["seed"], images.num_classes)
        inputs, targets = self._pixels[name]
        return inputs, targets

    def train_feed(self, params: Params, pad: int) -> AnyFeed:
        """Training feed, corrupted if the step says so, on the step's device."""
        images = self.images(params)
        if isinstance(images, data.StreamedData):
            return self._stream_feed(images, images.train, params, pad, params.get("corruption"))
        inputs, targets = self.training_set(params)
        return Feed(inputs, targets, images.mean, images.std, pad=pad, device=params["device"])

    def test_feed(self, params: Params) -> AnyFeed:
        """The clean test images on the step's device."""
        images = self.images(params)
        if isinstance(images, data.StreamedData):
            return self._stream_feed(images, images.test, params)
        test = torch.from_numpy(images.test_inputs), torch.from_numpy(images.test_targets)
        return Feed(*test, images.mean, images.std, device=params["device"])

    def _stream_feed(
        self,
        images: data.StreamedData,
        part: data.EncodedImages,
        params: Params,
        pad: int = 0,
        corruption: Mapping[str, Any] | None = None,
    ) -> StreamFeed:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.loader_threads or default_loader_threads(), "loader")
        changed: dict[str, Any] = {}
        if corruption is not None:
            clean = torch.from_numpy(part.targets)
            found = corrupt_samples(clean, corruption, params["seed"], images.num_classes)
            changed = {"positions": found.positions.numpy(), "targets": found.targets, "change": found.change}
        return StreamFeed(
            part,
            images.mean,
            images.std,
            size=images.size,
            center_crop=images.center_crop,
            pool=self._pool,
            pad=pad,
            device=params["device"],
            **changed,
        )

    def feeds(self, params: Params, pad: int) -> tuple[AnyFeed, AnyFeed]:
        """Training feed (corrupted if the step says so) and clean test feed on the step's device."""
        # On a GPU several trainings share one copy; a corrupted set belongs to one training.
        if not params["device"].startswith("cuda") or params.get("corruption") is not None:
            return self._new_feeds(params, pad)
        name = json.dumps([params["data"], pad])
        if name not in self._feeds:
            self._feeds = {name: self._new_feeds(params, pad)}
        return self._feeds[name]

    def together(self, params: Params) -> Together | None:
        """What trains several at a time on the step's GPU; None where the step is for another device."""
        if self.on_gpu is None and params["device"].startswith("cuda"):
            from prunecheck.training.cuda import CudaGpu  # makes streams, which need a GPU

            self.on_gpu = Together(CudaGpu(), self.tickets_per_gpu)
        return self.on_gpu

    def _new_feeds(self, params: Params, pad: int) -> tuple[AnyFeed, AnyFeed]:
        return self.train_feed(params, pad), self.test_feed(params)

    def build(self, params: Params, shape: tuple[int, int, int] | None = None) -> nn.Module:
        """A fresh network of the step, its weights drawn from torch's global generator. ``shape``: (classes, channels,
        side), by default those of the step's data set. Raises ModelError if its code is not that of the step."""
        if shape is None:
            images = self.images(params)
            shape = images.num_classes, images.channels, images.size
        return models.build(params["model"], *shape, folder=self.folder, code=params.get("model_code"))

    def skeleton(self, params: Params, shape: tuple[int, int, int] | None = None) -> nn.Module:
        """The network of a step, for its layers and operations only, not its weights."""
        with torch_stream(0, "skeleton"):
            return self.build(params, shape)

    def model(self, params: Params) -> nn.Module:
        """A fresh network with the initial weights of the step's seed, in channels-last memory on its device."""
        with torch_stream(params["seed"], "init"):
            model = self.build(params)
        return model.to(device=params["device"], memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def input_shape(self, params: Params) -> tuple[int, int, int]:
        """(channels, height, width) of one image of the step's data set."""
        images = self.images(params)
        return images.channels, images.size, images.size

    def language_model(self, params: Params) -> LanguageModel:
        """The model of a step, freshly loaded. Raises ModelError if its files or code have changed since the plan."""
        assert self.language is not None
        choice = self.language.model
        if choice.identity() != params["model"]:
            raise ModelError(
                f"model {printable(choice.name)!r} changed since the study was planned. Run the study again."
            )
        with torch_stream(0, "init"):  # a module that code builds without weights must be the same in every step
            return open_language_model(choice, params["device"])

    def tree(self, key: str, file: str) -> tree.Tree:
        """Tensors of an earlier step. Raises Damaged for an artefact that no step wrote: without them, or with masks
        that are not those its result describes."""
        name, entries = f"{file}.safetensors", self.store.entries(key)
        if file == "masks" and name not in entries and f"{PACKED}.safetensors" in entries:
            return dict(self._unpacked(key))
        if name not in entries:
            raise self.store.reject(key, f"it has no {name}")
        try:
            tensors = tree.from_bytes(self.store.read(key, name))
        except SafetensorError as error:
            raise self.store.reject(key, f"its {name} cannot be read ({printable(error, 100)})") from None
        if file == "masks":
            self._validate_masks(key, tensors)
        return tensors

    def _unpacked(self, key: str) -> Mapping[str, Tensor]:
        """Masks that were stored as bits."""
        shapes = {name: shape for name, _, shape, _ in self.result(key)["layers"]}
        packed = self.tree(key, PACKED)
        try:
            masks = {name: unpacked(packed[name], shape) for name, shape in shapes.items()}
        except (KeyError, ValueError, RuntimeError):
            raise self.store.reject(key, f"its {PACKED}.safetensors contradicts its result.json") from None
        self._validate_masks(key, masks)
        return masks

    def _validate_masks(self, key: str, masks: Mapping[str, Tensor]) -> None:
        """Raises Damaged where the result of the step that wrote *masks* describes others."""
        if "result.json" not in self.store.entries(key):
            raise self.store.reject(key, "it has no result.json")
        try:
            difference = _contradiction(masks, self.result(key))
        except (KeyError, TypeError, ValueError, RecursionError):
            difference = "it describes no masks"
        if difference:
            raise self.store.reject(key, f"its masks.safetensors contradicts its result.json: {difference}")

    def result(self, key: str) -> dict[str, Any]:
        """The results of an earlier step."""
        facts: dict[str, Any] = json.loads(self.store.read(key, "result.json"))
        return facts


def default_loader_threads() -> int:
    """The cores of this process, or its share of them where each GPU has a process."""
    return max(1, min(16, (os.cpu_count() or 1) // max(1, torch.cuda.device_count())))


def packed(mask: Tensor) -> Tensor:
    """uint8, eight weights of a bool mask each."""
    return torch.from_numpy(np.packbits(mask.cpu().numpy().reshape(-1)))


def unpacked(bits: Tensor, shape: Sequence[int]) -> Tensor:
    """The bool mask of *shape* that ``packed`` gave. Raises ValueError for another number of bits."""
    n = math.prod(shape)
    if len(bits) != -(-n // 8):
        raise ValueError(f"{len(bits)} bytes for {n} weights")
    return torch.from_numpy(np.unpackbits(bits.numpy(), count=n).astype(bool)).reshape(tuple(shape))


def _contradiction(masks: Mapping[str, Tensor], result: Mapping[str, Any]) -> str:
    """How *masks* differ from the layers, shapes and counts of a mask step's result; empty if they do not."""
    described = {name: (tuple(shape), kept) for name, _, shape, kept in result["layers"]}
    if described.keys() != masks.keys():
        return "other layers"
    for name, mask in masks.items():
        shape, kept = described[name]
        if mask.dtype != torch.bool:
            return f"{printable(name)} holds {mask.dtype}, not bool"
        if tuple(mask.shape) != shape:
            return f"{printable(name)} has the shape {tuple(mask.shape)}, not {printable(shape)}"
        if (found := int(mask.sum())) != kept:
            return f"{printable(name)} keeps {found} weights, not {printable(kept)}"
    return ""


def scoring_batches(context: Context, params: Params) -> list[Batch]:
    """The study's scoring batches: class-balanced, without augmentation, from the (perhaps corrupted) training set."""
    feed = context.train_feed(params, 0)
    targets = feed.targets.cpu()
    how, rng = params["scoring"], stream(params["seed"], "scoring batches")
    amount = how["samples_per_class"], how["batches"]
    return [feed.select(i) for i in balanced_samples(targets.numpy(), *amount, rng, how.get("classes"))]


def train_loader(context: Context, params: Params, method: Method) -> TrainLoader | None:
    """The (perhaps corrupted) training set for a method that learns its masks; None for any other.

    Batches and augmentation are those of the study's recipe, order and augmentation a stream of their own for every
    epoch of every round, so that clean and corrupted arms of a seed see the images in the same order.
    """
    if not method.learns:
        return None
    how, phase = params["train_loader"], f"mask round {params.get('round', 1)}"
    recipe = Recipe(**how)
    feed = context.train_feed(params, recipe.pad)

    def epoch(number: int) -> Iterator[Batch]:
        return feed.epoch(recipe, params["seed"], phase, number, shuffle=params.get("shuffle", True))

    budget = params["method"]["options"][MASK_EPOCHS]
    loss = task_of(params).training_loss(recipe.label_smoothing)
    return TrainLoader(epoch, recipe.steps_per_epoch(feed.samples), loss, budget, method.name)


def epochs_learning(context: Context, inputs: Mapping[str, str], own: TrainLoader | None = None) -> dict[str, float]:
    """``mask_epochs``: epochs in which masks were learned, by the steps that a mask comes from and by its *own*; empty
    where no method learned any."""
    # Counts of another method are numbers that it lends: its epochs are not those of this mask.
    roles = [key for role, key in inputs.items() if role in ("scores", "masks", "previous")]
    found = [used for key in roles if (used := context.result(key).get("mask_epochs")) is not None]
    found += [] if own is None else [own.epochs_used]
    return {"mask_epochs": sum(found)} if found else {}


def weights_and_model(context: Context, params: Params, inputs: Mapping[str, str]) -> nn.Module:
    """The network a method prunes: initial, or trained by an earlier step; pruned weights of an earlier round are 0.

    Raises ModelError if that training diverged.
    """
    model = context.model(params)
    if "weights" in inputs:
        model.load_state_dict(context.tree(inputs["weights"], "final"))
        if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
            raise ModelError("the network to prune is not finite: its training diverged. Lower training.lr.")
    return model


def task_of(params: Params) -> Task:
    return task_named(params["task"])


def as_json(facts: Mapping[str, Any]) -> bytes:
    """JSON with stable bytes; non-finite numbers are refused."""
    return json.dumps(facts, sort_keys=True, indent=1, allow_nan=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not a plain fact")
