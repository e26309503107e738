"""A Slurm of one node on this machine, in a folder of its own: munged, slurmctld and slurmd on private ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={control}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdTimeout=5
ReturnToService=2
KillWait=30
MinJobAge=300
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=high Nodes={host} PriorityTier=2 MaxTime=INFINITE State=UP
"""


def absent() -> str:
    """Why Slurm cannot be started here; "" if it can."""
    missing = [name for name in DAEMONS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        return f"{', '.join(missing)} not installed (slurm-wlm)"
    return "" if os.geteuid() == 0 else "Slurm's daemons run as root here"


class Slurm:
    def __init__(self, folder: Path, cpus: int = 2) -> None:
        self.folder, self.cpus = folder, cpus
        self._running: list[subprocess.Popen[bytes]] = []
        self._pending: dict[str, float] = {}
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        names = {"host": socket.gethostname().split(".")[0], "control": _free_port(), "node": _free_port()}
        (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, cpus=cpus, **names))
        self.env = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        files = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
        self._start("munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}", *files)
        self._until(lambda: (folder / "munge.socket").exists())
        self._start("slurmctld", "-D")
        self.node = self._start("slurmd", "-D")
        self._until(lambda: "idle" in self("sinfo", "-h", "-o", "%t"))

    def __call__(self, *words: str) -> str:
        return subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=30).stdout

    def job(self, number: str) -> dict[str, str]:
        """The fields of ``scontrol show job``, of the last task of an array."""
        text = self("scontrol", "show", "job", number)
        return dict(word.partition("=")[::2] for word in text.split() if "=" in word)

    def states(self, number: str) -> set[str]:
        text = self("scontrol", "show", "job", number)
        return {word.partition("=")[2] for word in text.split() if word.startswith("JobState=")}

    def start_requeued(self) -> None:
        """A requeued job waits for two minutes; tests wait for five seconds, in which its last processes end."""
        waiting = self("squeue", "-h", "-t", "PD", "-r", "-o", "%A").split()
        now = time.monotonic()
        self._pending = {number: self._pending.get(number, now) for number in waiting}
        for number, since in self._pending.items():
            if now - since > 5:
                self("scontrol", "update", f"JobId={number}", "StartTime=now")

    def kill_node(self) -> None:
        """SIGKILL to slurmd, and to the processes of its jobs."""
        self.node.kill()
        self.node.wait()

    def restart_node(self) -> None:
        self.node = self._start("slurmd", "-D")
        self._until(lambda: any(state in self("sinfo", "-h", "-o", "%t") for state in ("idle", "mix", "alloc")))

    def stop(self) -> None:
        self("scancel", "--user=root", "--signal=KILL", "--full")
        self("scancel", "--user=root")
        time.sleep(1)
        for daemon in reversed(self._running):
            with suppress(ProcessLookupError):
                daemon.send_signal(signal.SIGTERM)
        for daemon in self._running:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        path = shutil.which(words[0], path=f"{os.environ['PATH']}:/usr/sbin")
        assert path is not None
        with (self.folder / f"{words[0]}.out").open("ab") as out:
            process = subprocess.Popen([path, *words[1:]], env=self.env, stdout=out, stderr=out)
        self._running.append(process)
        return process

    def _until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"Slurm does not start, see {self.folder}"
            time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
