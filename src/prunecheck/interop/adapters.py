"""``keep`` for two training frameworks. Neither is needed, nor imported before one of these is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import Tensor

from prunecheck.errors import StudyError
from prunecheck.interop.keep import Hold, keep


def lightning_callback(masks: Mapping[str, Tensor], submodule: str = "") -> Any:
    """A ``Callback`` for ``Trainer(callbacks=[...])`` of Lightning 2: holds the masks from the start of training to its
    end. ``submodule``: where the pruned network is in the LightningModule, e.g. ``"net"``; empty: it is the module.

    Raises StudyError where Lightning is not installed.
    """

    class KeepMasks(_base(("lightning.pytorch", "pytorch_lightning"), "Callback")):  # type: ignore[misc]
        held: Hold | None = None

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
            self.held = keep(pl_module.get_submodule(submodule), masks)

        def on_train_batch_end(self, *_args: Any, **_kwargs: Any) -> None:
            _zero(self.held)  # for strategies whose optimiser is not torch's

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
            _remove(self.held)

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ARG002
            _remove(self.held)

    return KeepMasks()


def hugging_face_callback(masks: Mapping[str, Tensor], submodule: str = "") -> Any:
    """A ``TrainerCallback`` for ``Trainer(callbacks=[...])`` of Hugging Face; as ``lightning_callback``."""

    class KeepMasks(_base(("transformers",), "TrainerCallback")):  # type: ignore[misc]
        held: Hold | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_kwargs: Any) -> None:  # noqa: ARG002
            self.held = keep(model.get_submodule(submodule), masks)

        def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
            _zero(self.held)  # for optimisers that are not torch's

        def on_train_end(self, *_args: Any, **_kwargs: Any) -> None:
            _remove(self.held)

    return KeepMasks()


def _base(packages: tuple[str, ...], name: str) -> Any:
    for package in packages:
        try:
            return getattr(import_module(package), name)
        except ImportError:
            continue
    raise StudyError(f"{packages[0].split('.')[0]} is not installed, and its callback needs it.")


def _zero(held: Hold | None) -> None:
    if held is not None:
        held.zero()


def _remove(held: Hold | None) -> None:
    if held is not None:
        held.remove()
