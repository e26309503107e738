"""The arms of a trial as networks, for a training loop of one's own, and their accuracies in a file."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from prunecheck import tensors
from prunecheck.errors import StudyError
from prunecheck.interop.corruption import (
    RANDOM_TICKET,
    REARRANGE,
    State,
    TicketOfSeed,
    of_seed,
    one_sparsity,
    state_from,
    ticket_check,
    validate_name,
)
from prunecheck.interop.keep import keep
from prunecheck.interop.read import Source, read_masks
from prunecheck.interop.write import save_masks
from prunecheck.pruning import Check
from prunecheck.pruning.layers import ALSO, layers_of
from prunecheck.pruning.masks import Masks
from prunecheck.pruning.seeds import torch_stream
from prunecheck.statistics import StudyVerdict, verdict
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.store.durable import ensure_folder, write_file
from prunecheck.text import printable, printable_path

COLUMNS = ("method", "check", "sparsity", "seed", "accuracy", "n_test", "start")
ALIKE = "All arms of a seed must start alike: give `start`, or the trial another folder."
Masking: TypeAlias = "Source | Callable[[nn.Module], Source]"


@dataclass(frozen=True)
class Arm:
    """One network to be trained: ``method``, ``check``, ``sparsity`` (None for the dense network) and ``seed``."""

    method: str
    check: str
    sparsity: float | None
    seed: int
    _ticket: TicketOfSeed = field(repr=False)
    _corruption: Check | None = field(repr=False)
    _trial: Arms = field(repr=False)

    def masks(self) -> Masks | None:
        """``{parameter name: bool tensor}``, True = keep; None for the dense network."""
        if self.method == DENSE:
            return None
        if self.method == RANDOM_TICKET and self._trial.controls:
            return self._ticket.random_masks(*([] if self.check == CLEAN else [self.check]))
        if self._corruption is None or self._corruption.at == "weights":
            return self._ticket.masks
        return dict(self._ticket.corrupted(self._corruption))

    def network(self) -> nn.Module:
        """A new network at its starting weights, on the device where ``build`` puts it. Its pruned weights are 0 and
        stay 0 under every optimiser of ``torch.optim``, as with ``prunecheck.keep``.

        All arms of a seed start from the same weights, except where a check changes them. Raises StudyError where
        ``build`` gives another network than it gave for this seed before.
        """
        model = self._trial.network_of(self._ticket)
        if self._corruption is not None and self._corruption.at == "weights":
            started = TicketOfSeed(
                self.seed, self._ticket.masks, self._ticket.layers, self._ticket.build, model.state_dict()
            )
            model.load_state_dict(started.corrupted(self._corruption))
        masks = self.masks()
        if masks is not None:
            keep(model, masks)
        return model

    def record(self, accuracy: float, n_test: int | None = None) -> None:
        """Write the accuracy on the test set, a fraction in [0, 1], to disk. ``n_test``: the size of the test set, if
        it was not given before. Raises StudyError for other numbers and for an arm that is recorded already."""
        self._trial.add(self, accuracy, n_test)


class Arms:
    """The arms of a trial, in the order of their seeds; iterating gives those without a recorded accuracy."""

    def __init__(
        self,
        masks: Masking,
        build: Callable[[], nn.Module],
        *,
        seeds: int | Iterable[int] = 5,
        checks: Iterable[str] = (REARRANGE,),
        start: State | None = None,
        folder: str | Path = "arms",
        name: str = "mine",
        n_test: int | None = None,
        controls: bool = True,
    ) -> None:
        validate_name(name, controls)
        self.folder, self.table = Path(folder), Path(folder) / "records.csv"
        self.name, self.n_test, self.controls = name, n_test, controls
        self._build, self._start = build, start
        self._checks = [ticket_check(check, has_start=True) for check in checks]
        order = dict.fromkeys(range(seeds) if isinstance(seeds, int) else seeds)
        self._digests: dict[int, str] = {}
        self._tickets = [self._ticket(masks, seed) for seed in order]
        self.sparsity = one_sparsity({ticket.seed: ticket.masks for ticket in self._tickets})
        self._save_masks()
        self._arms = list(self._every_arm())
        self._validate_records()

    def __iter__(self) -> Iterator[Arm]:
        for arm in self._arms:
            if _place(arm) not in self._recorded():
                yield arm

    def __len__(self) -> int:
        """The number of all arms, recorded or not."""
        return len(self._arms)

    def __repr__(self) -> str:
        return f"<{len(self)} arms in {printable_path(self.folder)}, {len(self._recorded())} recorded>"

    def verdict(
        self,
        margin: float | str | None = None,
        *,
        chance: float | None = None,
        classes: int | None = None,
        against: str | Sequence[str] = (),
    ) -> StudyVerdict:
        """Judge the accuracies recorded so far; the options are those of ``prunecheck.verdict``.

        The number of seeds counts as chosen beforehand. Raises StudyError while nothing is recorded, and as
        ``prunecheck.verdict``.
        """
        if not self._recorded():
            raise StudyError(f"{printable_path(self.table)} holds no accuracy yet: call record() of every arm.")
        return verdict(self.table, margin, chance=chance, classes=classes, against=against)

    def network_of(self, ticket: TicketOfSeed) -> nn.Module:
        """The dense network of a seed at its starting weights. Raises StudyError where it is another than before."""
        model = self._started(ticket.seed)
        if _digest(model) != self._digests[ticket.seed]:
            raise StudyError(f"seed {ticket.seed}: build() gave two different networks. {ALIKE}")
        return model

    def add(self, arm: Arm, accuracy: float, n_test: int | None) -> None:
        """Add one accuracy to the table."""
        number, size = float(accuracy), n_test or self.n_test
        if not 0 <= number <= 1:
            remedy = "; divide percent by 100." if number > 1 else "."
            raise StudyError(f"accuracy {number} is no fraction in [0, 1]{remedy}")
        if size is None or size < 1:
            raise StudyError("the size of the test set is not known: give n_test to arms() or record().")
        rows = self._rows()
        if _place(arm) in map(_place_of, rows):
            raise StudyError(f"{arm!r} is recorded already in {printable_path(self.table)}.")
        values = (*_place(arm), repr(number), str(size), self._digests[arm.seed])
        rows.append(dict(zip(COLUMNS, values, strict=True)))
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        write_file(self.table, text.getvalue().encode())

    def _ticket(self, masks: Masking, seed: int) -> TicketOfSeed:
        model, saved = self._started(seed), self._mask_file(seed)
        self._digests[seed] = _digest(model)
        source: Any = of_seed(masks, seed)
        if callable(masks) and not isinstance(
            masks, nn.Module
        ):  # its masks may differ from run to run: kept ones count
            source = saved if saved.exists() else masks(model)
            model = self._started(seed)  # the function may have pruned the model it was given
        found = {name: mask.cpu() for name, mask in read_masks(source, model).items()}
        layers = tuple(layer for layer in layers_of(model, ALSO) if layer.name in found)
        return TicketOfSeed(seed, found, layers, self._build)

    def _started(self, seed: int) -> nn.Module:
        with torch_stream(seed, "arms", "init"):
            model = self._build()
        if self._start is not None:
            state = state_from(of_seed(self._start, seed), layers_of(model, ALSO))
            try:
                model.load_state_dict(state)
            except RuntimeError as error:
                raise StudyError(f"the starting weights do not fit the network: {printable(str(error))}") from None
        return model

    def _save_masks(self) -> None:
        ensure_folder(self.folder)
        for ticket in self._tickets:
            file = self._mask_file(ticket.seed)
            if not file.exists():
                save_masks(ticket.masks, file)
            elif not _equal(read_masks(file), ticket.masks):
                raise StudyError(f"{printable_path(file)} holds another mask. Give this trial another folder.")

    def _validate_records(self) -> None:
        """Raises StudyError for records of another trial: of other arms, or from other starting weights."""
        known = {_place(arm) for arm in self._arms}
        for number, row in enumerate(self._rows(), 2):
            where = f"{printable_path(self.table)}, line {number}"
            if _place_of(row) not in known:
                words = printable(f"{row['method']} x {row['check']}, seed {row['seed']}")
                raise StudyError(f"{where}: {words} is no arm of this trial. Give the trial another folder.")
            if row["start"] != self._digests[int(row["seed"])]:
                raise StudyError(f"{where}: this network started from other weights than build() gives now. {ALIKE}")

    def _mask_file(self, seed: int) -> Path:
        return self.folder / f"{CLEAN}-seed{seed}.safetensors"

    def _every_arm(self) -> Iterator[Arm]:
        for ticket in self._tickets:
            yield Arm(DENSE, CLEAN, None, ticket.seed, ticket, None, self)
            yield Arm(self.name, CLEAN, self.sparsity, ticket.seed, ticket, None, self)
            for check in self._checks:
                yield Arm(self.name, check.name, self.sparsity, ticket.seed, ticket, check, self)
            if self.controls:
                yield Arm(RANDOM_TICKET, CLEAN, self.sparsity, ticket.seed, ticket, None, self)
                yield Arm(RANDOM_TICKET, REARRANGE, self.sparsity, ticket.seed, ticket, None, self)

    def _rows(self) -> list[dict[str, str]]:
        try:
            text = self.table.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        reader = csv.DictReader(io.StringIO(text))
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise StudyError(f"{printable_path(self.table)} was not written by prunecheck.arms: give another folder.")
        return list(reader)

    def _recorded(self) -> set[tuple[str, ...]]:
        return {_place_of(row) for row in self._rows()}


def _place(arm: Arm) -> tuple[str, str, str, str]:
    return arm.method, arm.check, "" if arm.sparsity is None else repr(arm.sparsity), str(arm.seed)


def _place_of(row: Mapping[str, str]) -> tuple[str, str, str, str]:
    return row["method"], row["check"], row["sparsity"], row["seed"]


def _equal(some: Masks, other: Masks) -> bool:
    return some.keys() == other.keys() and all(torch.equal(some[name], other[name]) for name in some)


def _digest(model: nn.Module) -> str:
    return hashlib.sha256(tensors.to_bytes(model.state_dict())).hexdigest()[:16]
