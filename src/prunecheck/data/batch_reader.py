"""The python edition of CIFAR is made of pickles. This reads their data without unpickling anything.

A pickle is a program for a small stack machine, and some of its instructions call any function they name. ``genops``
only lists the instructions. Those that build lists, dictionaries, numbers and texts are carried out here on plain
values; a call is written down instead of made, and only if it is one of the three that make a numpy array. Every
other instruction is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prunecheck.data.types import Images
from prunecheck.errors import DataError
from prunecheck.text import printable

ARRAY_PARTS = {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}


@dataclass
class Call:
    """A call the pickle asks for: what it names, with which arguments, and the state set afterwards."""

    name: str
    arguments: Any = None
    state: Any = None


@dataclass
class Machine:
    """Stack, marks and memo of the pickle machine."""

    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def pop(self, n: int) -> list[Any]:
        start = len(self.stack) - n
        if start < 0:
            raise IndexError("the stack is empty")
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def pop_to_mark(self) -> list[Any]:
        return self.pop(len(self.stack) - self.marks.pop())


def read_batch(content: bytes, where: str) -> dict[str, Any]:
    """The dictionary in a pickled batch; an array is a ``Call``, see ``array_of``. Raises DataError; runs nothing."""
    machine = Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            _step(machine, opcode.name, argument, where)
        (batch,) = machine.stack
        if not isinstance(batch, dict):
            raise TypeError(f"it holds {type(batch).__name__}, not a dictionary")
        return batch
    except DataError:
        raise
    except Exception as error:
        # a torn or hostile pickle breaks the machine in any way it likes
        raise DataError(f"{where} is not a CIFAR batch, or torn: {type(error).__name__}: {error}.") from error


def array_of(value: Any, where: str) -> Images:
    """The table of bytes, uint8 ``[rows, columns]``, that a ``Call`` stands for. Raises DataError for all else."""
    try:
        _version, (rows, columns), dtype, is_fortran, content = value.state
        if dtype.arguments[0] != "u1":
            raise ValueError(f"its numbers are {dtype.arguments[0]!r}, not 'u1'")
        flat = np.frombuffer(content.encode("latin-1"), dtype=np.uint8)
        return flat.reshape((rows, columns), order="F" if is_fortran else "C")
    except (AttributeError, TypeError, ValueError, LookupError) as error:
        raise DataError(f"{where}: the pixels are not a table of bytes, or torn ({error}).") from error


def _step(machine: Machine, name: str, argument: Any, where: str) -> None:
    if name in LITERALS:
        machine.stack.append(argument)
    elif name in ACTIONS:
        ACTIONS[name](machine, argument)
    elif name == "GLOBAL" and argument in ARRAY_PARTS:
        machine.stack.append(Call(argument))
    elif name not in {"PROTO", "STOP"}:
        wish = f" {printable(argument)}" if isinstance(argument, str) else ""
        raise DataError(f"{where} is a pickle with the instruction {name}{wish}: refused, nothing of it was run.")


def _put(machine: Machine, slot: int) -> None:
    machine.memo[slot] = machine.stack[-1]


def _append(machine: Machine, items: list[Any]) -> None:
    machine.stack[-1].extend(items)


def _set(machine: Machine, items: list[Any]) -> None:
    machine.stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _call(machine: Machine) -> None:
    called, arguments = machine.pop(2)
    machine.stack.append(Call(called.name, arguments))


def _build(machine: Machine) -> None:
    (state,) = machine.pop(1)
    machine.stack[-1].state = state


LITERALS = {"BININT", "BININT1", "BININT2", "BINSTRING", "SHORT_BINSTRING", "BINUNICODE"}

ACTIONS: dict[str, Callable[[Machine, Any], None]] = {
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.pop(3))),
    "APPEND": lambda machine, _: _append(machine, machine.pop(1)),
    "APPENDS": lambda machine, _: _append(machine, machine.pop_to_mark()),
    "SETITEM": lambda machine, _: _set(machine, machine.pop(2)),
    "SETITEMS": lambda machine, _: _set(machine, machine.pop_to_mark()),
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "BINGET": lambda machine, slot: machine.stack.append(machine.memo[slot]),
    "LONG_BINGET": lambda machine, slot: machine.stack.append(machine.memo[slot]),
    "REDUCE": lambda machine, _: _call(machine),
    "BUILD": lambda machine, _: _build(machine),
}
