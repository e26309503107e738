"""The command line in a real terminal: a pseudo-terminal of a given size, typed into and read from."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = "import sys; from prunecheck.cli import main; sys.exit(main())"
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-B0-2])")


@dataclass
class Terminal:
    """``shown``: all that was written so far, escapes included."""

    child: int
    handle: int
    shown: str = field(default="")

    def wait_for(self, text: str, seconds: float = 200) -> None:
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, f"{text!r} did not come: {self.shown!r}"
            assert self.read(), f"{text!r} did not come: {self.shown!r}"

    def read(self, seconds: float = 0.5) -> bool:
        """Take what is there; False once the other side is gone."""
        if not select.select([self.handle], [], [], seconds)[0]:
            return True
        try:
            new = os.read(self.handle, 65536)
        except OSError:  # Linux says so where others send nothing
            return False
        self.shown += new.decode(errors="replace")
        return bool(new)

    def type(self, text: str) -> None:
        """As if at the keyboard: ``"\\x03"`` is Ctrl-C and reaches all that runs in the terminal."""
        os.write(self.handle, text.encode())

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.handle, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def wait(self, seconds: float = 200) -> int:
        """The exit code; negative for a signal."""
        end = time.monotonic() + seconds
        while self.read():
            assert time.monotonic() < end, f"still running: {self.shown!r}"
        code = os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])
        os.close(self.handle)
        self.child = 0
        return code

    @property
    def text(self) -> str:
        """Without escapes."""
        return ESCAPES.sub("", self.shown).replace("\r\n", "\n")

    def end(self) -> None:
        if self.child:
            os.killpg(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            os.close(self.handle)


def open_terminal(*words: object, folder: Path, columns: int = 100, program: str = PROGRAM, **env: str) -> Terminal:
    """``prunecheck`` with *words* in a terminal of its own. *program*: the Python code that starts it."""
    around = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    around |= {"TERM": "xterm-256color", "PRUNECHECK_HOME": str(folder / "store")} | env
    child, handle = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, "-c", program, *map(str, words)], around)
    terminal = Terminal(child, handle)
    terminal.resize(columns)
    return terminal
