"""Causal language models: a local folder or GGUF file that transformers can load, or a module built by Python code.

Nothing is downloaded, and code that lies beside a model's weights runs only where ``remote_code`` asks for it. torch
and transformers are imported when a model is opened: plans need neither.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecheck.errors import STOPS, ModelError
from prunecheck.models.external import build_external, code_of, is_external
from prunecheck.paths import neighbour
from prunecheck.text import printable, printable_error, printable_path

if TYPE_CHECKING:
    from torch import Tensor, nn

HF = "hf:"
BYTES = 256
"""vocabulary of a module that brings no ``encode``: it reads UTF-8 bytes"""
LIBRARIES = ("transformers", "tokenizers", "gguf")
"""whose versions the numbers of a ``hf:`` model depend on"""


@dataclass(frozen=True)
class ModelChoice:
    """Which model: ``hf:PATH`` or ``file.py:build``/``package.module:build``. *weights*: a .safetensors file for the
    latter; *blocks*: the name of its list of decoder blocks where it is not the largest one; *precision*: a dtype."""

    name: str
    folder: Path
    weights: str | None = None
    blocks: str | None = None
    precision: str = "float32"
    remote_code: bool = False

    @property
    def place(self) -> Path:
        """The folder or file of a ``hf:`` model. Raises ModelError if it is not there."""
        return _existing(self.folder / Path(self.name.removeprefix(HF)).expanduser(), "model")

    @property
    def weights_file(self) -> Path | None:
        return None if self.weights is None else _existing(self.folder / Path(self.weights).expanduser(), "weights")

    @property
    def bytes(self) -> int:
        """About what the weights take in memory; 0 for a module that code makes without a file."""
        place = self.place if self.name.startswith(HF) else self.weights_file
        if place is None:
            return 0
        files = (
            [place] if place.is_file() else [one for one in place.iterdir() if one.suffix in (".safetensors", ".bin")]
        )
        # quantised weights are decoded to the precision of the study
        return sum(one.stat().st_size * (8 if one.suffix == ".gguf" else 1) for one in files)

    def identity(self) -> dict[str, Any]:
        """What a key holds of the model: hashes of its files, of its code, and versions. Raises ModelError.

        Where the files lie is no part of it."""
        if self.name.startswith(HF):
            found: dict[str, Any] = {"files": _hash_of_files(self.place), "libraries": _versions()}
            return found | ({"remote_code": True} if self.remote_code else {})
        if not is_external(self.name):
            raise ModelError(
                f"model = {printable(self.name)!r}: a language model is hf:PATH (a local folder or .gguf file), "
                "file.py:build or package.module:build."
            )
        found = {"model": self.name, "model_code": code_of(self.name, self.folder)}
        found |= {} if self.blocks is None else {"blocks": self.blocks}
        return found if self.weights_file is None else found | {"files": _hash_of_files(self.weights_file)}


@dataclass
class LanguageModel:
    """An open model. ``encode``: text to tokens, without special ones. ``prefix``: the token from which the first of a
    document is predicted; None where the model has none, so that the first token is not scored. ``context``: the most
    tokens it reads at once, None if unlimited. ``blocks``: (name, module) of the decoder blocks, in order."""

    module: nn.Module
    encode: Callable[[str], list[int]]
    vocabulary: int
    prefix: int | None
    context: int | None
    blocks: tuple[tuple[str, nn.Module], ...]

    def logits(self, tokens: Tensor) -> Tensor:
        """float [N, L, V] of int64 [N, L]."""
        found = self.module(tokens)
        found = getattr(found, "logits", found)
        return found[0] if isinstance(found, tuple) else found  # type: ignore[no-any-return]


def open_language_model(choice: ModelChoice, device: str = "cpu", *, skeleton: bool = False) -> LanguageModel:
    """Load the model in evaluation mode onto *device*; with *skeleton* a ``hf:`` model without its weights, to look at
    its layers and to tokenize. Raises ModelError in one or two lines for all that can fail."""
    found = _from_folder(choice, skeleton) if choice.name.startswith(HF) else _from_code(choice)
    found.module.requires_grad_(False).eval()
    if not skeleton:
        found.module.to(device)
    return found


def _existing(path: Path, what: str) -> Path:
    if path.exists():
        return path.resolve()
    raise ModelError(f"{what}: {printable_path(path)} does not exist.{neighbour(path)}")


def is_loadable(name: str) -> bool:
    """False for a ``hf:`` model where transformers is not installed: its version is part of every key."""
    return not name.startswith(HF) or "transformers" in _versions()


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _hash_of_files(place: Path) -> str:
    """sha256 over the names and contents of the files a model is loaded from."""
    files = [place] if place.is_file() else sorted(path for path in place.iterdir() if _is_part(path))
    if not files:
        raise ModelError(f"model: {printable_path(place)} holds no model (no config.json, no .safetensors).")
    parts = [f"{path.name}\0{_sha256(path, path.stat().st_size, path.stat().st_mtime_ns)}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _is_part(path: Path) -> bool:
    return path.is_file() and path.suffix in (".json", ".safetensors", ".bin", ".model", ".txt", ".py", ".jinja")


@lru_cache(maxsize=256)
def _sha256(path: Path, _size: int, _mtime: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_folder(choice: ModelChoice, skeleton: bool) -> LanguageModel:
    try:
        import transformers
    except ImportError as error:
        raise ModelError(f"model = {printable(choice.name)!r} needs the extra prunecheck[llm] ({error}).") from None
    import torch

    place = choice.place
    folder, gguf = (place.parent, place.name) if place.is_file() else (place, None)
    how: dict[str, Any] = {"local_files_only": True, "trust_remote_code": choice.remote_code}
    how |= {} if gguf is None else {"gguf_file": gguf}
    auto: Any = transformers.AutoModelForCausalLM  # types are checked with and without transformers installed
    try:
        with _quiet(transformers.utils.logging):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **how)
            dtype = getattr(torch, choice.precision)
            if skeleton:
                config = transformers.AutoConfig.from_pretrained(folder, **how)
                with torch.device("meta"):
                    module = auto.from_config(config, dtype=dtype, trust_remote_code=choice.remote_code)
            else:
                module = auto.from_pretrained(folder, dtype=dtype, **how)
    except STOPS:
        raise
    except BaseException as error:
        what = printable_error(error, 300)
        raise ModelError(f"model = {printable(choice.name)!r}: transformers cannot load it: {what}") from error
    module.config.use_cache = False  # keys and values of earlier tokens would be kept for every sequence
    prefix = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    longest = getattr(module.config, "max_position_embeddings", None)
    vocabulary = min(len(tokenizer), int(module.config.vocab_size))

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    return LanguageModel(module, encode, vocabulary, prefix, longest, _blocks(module, choice))


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """No progress bars and no advice from transformers: the runner reports what happens."""
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _from_code(choice: ModelChoice) -> LanguageModel:
    import torch
    from safetensors.torch import load_file

    module = build_external(choice.name, {}, choice.folder)
    if choice.weights_file is not None:
        try:
            module.load_state_dict(load_file(choice.weights_file))
        except Exception as error:
            raise ModelError(f"weights = {printable(choice.weights)!r}: {printable_error(error, 300)}") from None
    module.to(getattr(torch, choice.precision))
    encode = getattr(module, "encode", None)
    vocabulary = next(
        (int(n) for name in ("vocabulary", "vocab_size") if (n := getattr(module, name, None)) is not None), BYTES
    )
    own: Callable[[str], list[int]] = _bytes if encode is None else lambda text: [int(one) for one in encode(text)]
    prefix, context = getattr(module, "prefix_token", None), getattr(module, "context", None)
    return LanguageModel(module, own, vocabulary, prefix, context, _blocks(module, choice))


def _bytes(text: str) -> list[int]:
    return list(text.encode())


def _blocks(module: nn.Module, choice: ModelChoice) -> tuple[tuple[str, nn.Module], ...]:
    """The list of decoder blocks: the one the study names, else the ``nn.ModuleList`` with the most weights."""
    from torch import nn

    lists = {name: one for name, one in module.named_modules() if isinstance(one, (nn.ModuleList, nn.Sequential))}
    if choice.blocks is not None:
        if choice.blocks not in lists:
            there = ", ".join(sorted(lists)) or "none"
            raise ModelError(f"blocks = {printable(choice.blocks)!r}: the model has no such list. It has: {there}.")
        name = choice.blocks
    else:
        plain = {name: one for name, one in lists.items() if isinstance(one, nn.ModuleList) and len(one)}
        if not plain:
            raise ModelError(f"{type(module).__name__} has no nn.ModuleList of decoder blocks: set `blocks`.")
        name = max(plain, key=lambda one: sum(p.numel() for p in plain[one].parameters()))
    return tuple((f"{name}.{own}" if name else own, block) for own, block in lists[name].named_children())


def windows(tokens: Sequence[int], prefix: int | None, length: int) -> Iterator[tuple[list[int], list[int]]]:
    """(tokens read, tokens predicted) such that every token is predicted once, with at most *length* read.

    Windows lie side by side; the last one reaches back as far as it can, as ``loglikelihood_rolling`` of
    lm-evaluation-harness does. The first token is predicted from *prefix*, or not at all where there is none.
    """
    known = [*([] if prefix is None else [prefix]), *tokens]
    done = 1
    while done < len(known):
        end = min(done + length, len(known))
        yield known[max(0, end - 1 - length) : end - 1], known[done:end]
        done = end


def described(choice: ModelChoice) -> str:
    """``SmolLM2-135M (hf)``: the model in a few words, for reports."""
    if not choice.name.startswith(HF):
        return choice.name
    kind = ""
    try:
        config = json.loads((choice.place / "config.json").read_text())
        kind = f", {config['architectures'][0]}" if config.get("architectures") else ""
    except (ModelError, OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return f"{Path(choice.name.removeprefix(HF)).name}{kind}"
