"""Lists of names, counts of a model, presets, the schema of a study file, and what this machine offers."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from cyclopts import App

from prunecheck import api
from prunecheck.cli.console import open_store, print_columns, print_json
from prunecheck.cli.options import Allocation, AlsoPrune, Flag, Json, Model, Preset, StorePath
from prunecheck.resources import study_names, study_question
from prunecheck.text import byte_size, parse_sparsity

Kind = Literal[
    "methods",
    "checks",
    "models",
    "datasets",
    "allocations",
    "presets",
    "recipes",
    "studies",
    "post-training-methods",
    "post-training-checks",
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def list_(kind: Kind, *, json: Json = False) -> None:
    """List the names a study file can use, one per line.

    Example: prunecheck list methods

    Parameters
    ----------
    kind
        methods, checks, models, datasets, allocations, presets, recipes or studies; for studies of language models
        post-training-methods and post-training-checks.
    """
    entries = _entries(kind)
    if json:
        print_json({"schema_version": 1, kind: [{"name": name, "summary": text} for name, text in entries]})
    else:
        print_columns(entries)


def _entries(kind: Kind) -> list[tuple[str, str]]:
    from prunecheck import data, models
    from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS
    from prunecheck.pruning.presets import PRESETS
    from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS
    from prunecheck.training.recipe import RECIPES

    if kind == "models":
        return [(name, models.summary(name)) for name in models.names()]
    if kind == "datasets":
        return [(name, data.DATASETS[name].summary) for name in data.names()]
    if kind == "presets":
        return [(preset.name, preset.source) for preset in PRESETS.values()]
    if kind == "recipes":
        return [(name, f"{r.epochs} epochs, batch {r.batch_size}, lr {r.lr:g}") for name, r in RECIPES.items()]
    if kind == "studies":
        return [(name, study_question(name)) for name in study_names()]
    registries: dict[str, Iterable[Any]] = {
        "methods": METHODS,
        "checks": CHECKS,
        "allocations": ALLOCATIONS,
        "post-training-methods": POST_TRAINING_METHODS,
        "post-training-checks": POST_TRAINING_CHECKS,
    }
    return [(plugin.name, plugin.summary) for plugin in registries[kind]]


def counts(
    model: Model,
    *,
    sparsity: str,
    classes: int = 10,
    channels: int = 3,
    image_size: int = 32,
    allocate: Allocation | None = None,
    pattern: str | None = None,
    preset: Preset | None = None,
    also_prune: AlsoPrune = "",
    json: Json = False,
) -> None:
    """Show how many weights every layer of a model keeps. Needs no data and no training.

    Example: prunecheck counts resnet32 --sparsity 98% --preset official

    Parameters
    ----------
    sparsity
        Fraction of weights removed: 0.98 or 98%.
    classes
        Number of classes of the data set.
    channels
        Channels of its images.
    image_size
        Side of its images in pixels.
    allocate
        A name from `prunecheck list allocations`; by default smart_ratio.
    pattern
        Keep a structured pattern: 2:4, filters, rows, columns, kernels, or blocks such as 4x4.
    preset
        Count as a published implementation does, e.g. official.
    """
    from prunecheck.pruning.layers import validate_also
    from prunecheck.pruning.prune import dense_beside

    also = validate_also(also_prune)
    shape = {"classes": classes, "channels": channels, "image_size": image_size}
    layers = api.counts(model, sparsity, allocate=allocate, preset=preset, pattern=pattern, also_prune=also, **shape)
    dense = dense_beside(model, (classes, channels, image_size), also)
    weights, kept = sum(row[1] for row in layers), sum(row[2] for row in layers)
    if json:
        document = {
            "schema_version": 1,
            "model": model,
            "classes": classes,
            "allocate": allocate or "smart_ratio",
            **({} if pattern is None else {"pattern": pattern}),
            "preset": preset,
            "sparsity": parse_sparsity(sparsity),
            "weights": weights,
            "kept": kept,
            "also_prune": list(also),
            "stays_dense": None if dense is None else {"share": dense.share, "parameters": dense.parameters},
            "layers": [{"name": name, "weights": n, "kept": k} for name, n, k in layers],
        }
        print_json(document)
        return
    rows = [(name, f"{n}", f"{k}", f"{k / n:.4f}") for name, n, k in layers]
    total = ("total", f"{weights}", f"{kept}", f"{kept / weights:.4f}")
    print_columns([("name", "weights", "kept", "share"), *rows, total], frozenset({1, 2, 3}))
    if dense is not None:
        print(f"\n{dense.sentence([parse_sparsity(sparsity)])}")


def schema() -> None:
    """Print the JSON Schema of a study file, for editors.

    Example: prunecheck schema
    """
    from prunecheck.study import Study

    print(json.dumps(Study.model_json_schema(), indent=2))


presets = App(
    name="presets",
    help="Show and compare how published implementations count, break ties and score.",
    group_commands="Commands",
)


@presets.command
def show(name: Preset, *, json: Json = False) -> None:
    """Print every choice of one preset.

    Example: prunecheck presets show official

    Parameters
    ----------
    name
        A name from `prunecheck list presets`, or `none` for prunecheck without one.
    """
    from prunecheck.pruning.presets import choices_in_brief

    table = choices_in_brief(name)
    if json:
        print_json({"schema_version": 1, "preset": name, "choices": table})
    else:
        print_columns(list(table.items()))


@presets.command
def diff(first: Preset, second: Preset, *, json: Json = False) -> None:
    """Print the choices in which two presets differ.

    Example: prunecheck presets diff official none

    Parameters
    ----------
    first
        A name from `prunecheck list presets`, or `none` for prunecheck without one.
    second
        Another one.
    """
    from prunecheck.pruning.presets import difference

    rows = difference(first, second)
    if json:
        fields = [{"choice": choice, "first": one, "second": other} for choice, one, other in rows]
        print_json({"schema_version": 1, "first": first, "second": second, "different": fields})
    elif rows:
        print_columns([("", first, second), *rows])
    else:
        print(f"{first} and {second} make the same choices")


def doctor(*, torch: Flag = False, store: StorePath = None, json: Json = False) -> None:
    """Show versions, cores, GPUs, the store and its disk, and which optional packages are installed.

    Example: prunecheck doctor --torch

    Parameters
    ----------
    torch
        Also import torch (takes seconds) and list its devices.
    """
    facts = {**_software(), **_machine(store)}
    if torch:
        facts |= _devices()
    if json:
        print_json({"schema_version": 1, **facts})
    else:
        print_columns(list(facts.items()))


def _software() -> dict[str, str]:
    optional = {
        "numba": "no sparse backend",
        "pyarrow": "no parquet data sets",
        "torchvision": "no torchvision: models",
        "timm": "no timm: models",
    }
    browser = next((name for name in BROWSERS if shutil.which(name)), None)
    return {
        "prunecheck": _version("prunecheck") or "run from its source",
        "python": platform.python_version(),
        "torch": _version("torch") or "missing",
        "numpy": _version("numpy") or "missing",
        **{name: _version(name) or f"not installed ({without})" for name, without in optional.items()},
        "browser": browser or "none found (only the tests of the report's page use one)",
    }


def _machine(store: Path | None) -> dict[str, str]:
    from prunecheck.store import sizes
    from prunecheck.study import numerics
    from prunecheck.study.faster import bfloat16_here

    found = open_store(store)
    held = sizes(found)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(api.usable_cores()),
        "processor": f"{numerics.processor_name()} ({numerics.instruction_set()})",
        "bfloat16": bfloat16_here(),
        **_cards(),
        "store": str(found.root),
        "store holds": f"{held.artefacts} artefacts, {byte_size(held.artefact_bytes)}",
        "free on its disk": byte_size(found.free_bytes()),
    }


def _cards() -> dict[str, str]:
    """One entry for each GPU, as the driver describes it, and what would be faster on it."""
    from prunecheck.study import gpus
    from prunecheck.study.faster import UNREPEATABLE_ON_CUDA

    found = {}
    for i, card in enumerate(gpus.gpu_cards()):
        parts = [card.name]
        if card.memory:
            parts.append(byte_size(card.memory))
        if card.capability > (0, 0):
            parts.append("compute capability {}.{}".format(*card.capability))
            usual = 'precision = "bfloat16" (the default) is usually the fastest'
            parts.append(usual if card.has_bfloat16 else 'no units for bfloat16: precision = "float32" is faster')
        if (_version("torch") or "").endswith("+cpu"):
            parts.append("torch is installed without CUDA and cannot use it")
        parts.append(f"two runs may differ in the scores of {', '.join(sorted(UNREPEATABLE_ON_CUDA))}")
        found[f"cuda:{i}"] = ", ".join(parts)
    return found


def _devices() -> dict[str, str]:
    import torch

    if not torch.cuda.is_available():
        return {"devices": "cpu"}
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"devices": ", ".join(["cpu", *(f"cuda:{i} ({name})" for i, name in enumerate(names))])}


def _version(package: str) -> str | None:
    """Its installed version, without importing it."""
    if find_spec(package) is None:
        return None
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return None
