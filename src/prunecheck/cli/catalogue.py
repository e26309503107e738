"""What there is: methods, checks, models, data sets, allocations, studies; counts of a model; the schema of a study."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from cyclopts import Parameter

from prunecheck.cli import completers
from prunecheck.cli.console import print_columns, print_json

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Model = Annotated[str, Parameter(completer=completers.models)]
Allocation = Annotated[str, Parameter(completer=completers.allocations)]
Preset = Annotated[str | None, Parameter(completer=completers.presets)]
Kind = Literal["methods", "checks", "models", "datasets", "allocations", "presets", "recipes", "studies"]


def list_(kind: Kind, *, json: Flag = False) -> None:
    """List what a study can name, one a line, the name first.

    Example: prunecheck list methods

    Parameters
    ----------
    kind
        methods, checks, models, datasets, allocations, presets, recipes or studies.
    json
        Print one JSON document instead.
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
    from prunecheck.resources import study_names, study_question
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
    plugins = {"methods": METHODS, "checks": CHECKS, "allocations": ALLOCATIONS}[kind]
    return [(plugin.name, plugin.summary) for plugin in plugins]  # type: ignore[attr-defined]


def counts(
    model: Model,
    *,
    sparsity: str,
    classes: int = 10,
    channels: int = 3,
    image_size: int = 32,
    allocate: Allocation = "smart_ratio",
    preset: Preset = None,
    json: Flag = False,
) -> None:
    """Show how many weights every layer of a model keeps, without data and without training.

    Example: prunecheck counts resnet32 --sparsity 98% --preset official

    Parameters
    ----------
    model
        A name from `prunecheck list models`, `torchvision:NAME`, `timm:NAME` or `package.module:function`.
    sparsity
        Fraction of weights removed: 0.98 or 98%.
    classes
        Number of classes of the data set.
    channels
        Channels of its images.
    image_size
        Side of its images in pixels.
    allocate
        A name from `prunecheck list allocations`.
    preset
        Count as a published code does, e.g. official.
    json
        Print one JSON document instead.
    """
    from prunecheck import api
    from prunecheck.text import parse_sparsity

    layers = api.counts(
        model, sparsity, allocate=allocate, classes=classes, channels=channels, image_size=image_size, preset=preset
    )
    weights, kept = sum(row[1] for row in layers), sum(row[2] for row in layers)
    if json:
        document = {
            "schema_version": 1,
            "model": model,
            "classes": classes,
            "allocate": allocate,
            "preset": preset,
            "sparsity": parse_sparsity(sparsity),
            "weights": weights,
            "kept": kept,
            "layers": [{"name": name, "weights": n, "kept": k} for name, n, k in layers],
        }
        print_json(document)
        return
    rows = [(name, f"{n}", f"{k}", f"{k / n:.4f}") for name, n, k in layers]
    total = ("total", f"{weights}", f"{kept}", f"{kept / weights:.4f}")
    print_columns([("name", "weights", "kept", "share"), *rows, total], frozenset({1, 2, 3}))


def schema() -> None:
    """Print the JSON Schema of a study file, for editors.

    Example: prunecheck schema
    """
    from prunecheck.study import Study

    print(json.dumps(Study.model_json_schema(), indent=2))
