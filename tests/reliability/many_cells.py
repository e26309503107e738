"""Runs small studies one after the other in this process, and says after each what memory and open files it has.

``python -m tests.reliability.many_cells FOLDER ROUNDS CELLS``
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

from tests.runner import tiny


def main(folder: Path, rounds: int, cells: int) -> None:
    for number in range(rounds):
        seeds = list(range(number * cells // 2, (number + 1) * cells // 2))
        done = tiny.run(folder, methods=["random_ticket"], seeds=seeds)
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        seen = {"trained": done.trained, "memory": pages * os.sysconf("SC_PAGE_SIZE")}
        print(json.dumps(seen | {"files": len(os.listdir("/proc/self/fd"))}), flush=True)  # noqa: PTH208


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
