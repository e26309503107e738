"""The options that several commands share, each defined once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from prunecheck.cli import completers

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Json = Annotated[
    bool, Parameter(negative="", show_default=False, help="Print one JSON document on stdout instead of tables.")
]
Strict = Annotated[
    bool,
    Parameter(
        negative="", show_default=False, help="Exit with 1 when a method failed, with 4 when a verdict is still open."
    ),
]
Quiet = Annotated[
    bool, Parameter(name=["--quiet", "-q"], negative="", show_default=False, help="No progress and no remarks.")
]
Set = Annotated[
    tuple[str, ...],
    Parameter(
        consume_multiple=False,
        negative="",
        show_default=False,
        help="Override a field of the study, e.g. `--set training.epochs=5`; may be given several times.",
    ),
]
StorePath = Annotated[
    Path | None,
    Parameter(
        name="--store",
        help="Where trained artefacts are kept and shared between studies (default: $PRUNECHECK_HOME or the user's "
        "cache).",
    ),
]
Out = Annotated[Path | None, Parameter(help="Folder of the study's results (default: runs/NAME).")]
Workers = Annotated[
    int | None,
    Parameter(
        validator=Number(gte=1),
        help="Processes to train in, one thread each (default: one per core). The results do not depend on it.",
    ),
]
EngineName = Annotated[
    Literal["local", "ray"],
    Parameter(
        name="--engine",
        help="Where steps run: `local`, in processes of this machine, or `ray`, on the Ray cluster at $RAY_ADDRESS "
        "(else on one that is started here).",
    ),
]
Junit = Annotated[Path | None, Parameter(help="Write the verdicts as JUnit XML to this file.")]
Model = Annotated[
    str,
    Parameter(
        completer=completers.models,
        help="The network: a name from `prunecheck list models`, `torchvision:NAME`, `timm:NAME` or "
        "`package.module:function`.",
    ),
]
Allocation = Annotated[str, Parameter(completer=completers.allocations)]
Preset = Annotated[str, Parameter(completer=completers.presets)]
AlsoPrune = Annotated[
    str,
    Parameter(
        show_default=False,
        help="Prunable weights beside those of convolutions and linear layers: attention, recurrent or both, separated "
        "by a comma.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """The options of every command that takes a study file."""

    set: Set = ()
    store: StorePath = None
    json: Json = False


DEFAULTS = Options()


@Parameter(name="*")
@dataclass(frozen=True)
class Images:
    """The images a network is built for."""

    classes: int = 10
    """Number of classes."""
    channels: int = 3
    """Channels of an image."""
    image_size: int = 32
    """Side of an image in pixels."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.image_size, self.image_size


CIFAR = Images()
