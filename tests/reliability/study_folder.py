"""A study in its own folder, processes that run it, and the files they write."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

RESULTS = ("results.csv", "verdicts.json", "index.html", "report.md")
STUDY = """
model = "convnet"
data = { name = "digits", train_size = 100, test_size = 50 }
methods = METHODS
checks = ["random_labels", "layerwise_rearrange"]
sparsities = [0.8]
seeds = SEEDS
controls = []
[training]
epochs = 1
rewind_epoch = 0
batch_size = 50
[scoring]
samples_per_class = 1
"""


@dataclass
class Zygote:
    """See ``zygote.py``."""

    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "tests.reliability.zygote"]
        root = Path(__file__).parent.parent.parent
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, bufsize=1
        )
        assert self.answer() == "ready"

    def start(self, folder: Path, *words: str, limit: int | None = None) -> int:
        """The process id of a run in *folder*; *limit*: the largest file it may write, in bytes."""
        return int(self.tell({"run": words, "folder": str(folder), "limit": limit}))

    def wait(self, process_id: int) -> int:
        return int(self.tell({"wait": process_id}))

    def run(self, folder: Path, *words: str, limit: int | None = None) -> int:
        return self.wait(self.start(folder, *words, limit=limit))

    def tell(self, order: dict[str, object]) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def stop(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


RUN = ("run", "s.toml", "--workers", "1")


def new_study_folder(folder: Path, methods: tuple[str, ...] = ("snip", "random_ticket"), seeds: int = 1) -> Path:
    """A folder with a study file. The command line in it does not contain the name of the folder."""
    folder.mkdir(parents=True)
    text = STUDY.replace("METHODS", json.dumps(list(methods))).replace("SEEDS", str(seeds))
    (folder / "s.toml").write_text(text)
    return folder


def results(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "runs" / "s" / name).read_bytes() for name in RESULTS}


def artefacts(folder: Path) -> dict[str, str]:
    """Every file of every artefact: path inside the store -> SHA-256."""
    root = folder / "store" / "objects"
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def commits(folder: Path) -> dict[str, tuple[int, int]]:
    """When each artefact was written, and as which file, to detect a step that was done again."""
    root = folder / "store" / "objects"
    manifests = {path.parent.name: path.stat() for path in root.glob("*/*/manifest.json")}
    return {key: (stat.st_mtime_ns, stat.st_ino) for key, stat in manifests.items()}


def computed(folder: Path) -> list[str]:
    """The key of every step that was computed, once for every time."""
    lines = (folder / "store" / "timings.jsonl").read_text().splitlines()
    return [json.loads(line)["key"] for line in lines]
