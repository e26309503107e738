"""Jobs of the scheduler Slurm that run a study: an array of runs on one store, or one run on a Ray cluster of nodes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from prunecheck.errors import StudyError
from prunecheck.text import printable

_TIME = re.compile(r"(?:(?P<days>\d+)-(?=\d))?(?P<rest>\d+(?::\d{1,2}){0,2})")
_REQUEUE = """\
# 75: stopped before the time limit; 143: by SIGTERM while it was starting. The next slot continues.
if [ "$code" -eq 75 ] || [ "$code" -eq 143 ]; then
    # The last task of an array has the number of the array, and requeueing that would requeue all of them.
    scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
fi
exit "$code"
"""

_MOST_SECONDS_TO_STOP = 120
"""between SIGTERM and the time limit"""
_RAY_STOP_SECONDS = 20
"""which Ray itself needs to end"""
_RAY_STARTS = "1 2 3"
_RAY_WAIT_SECONDS = 600
"""how long nodes wait for each other; Ray's default is 30"""


@dataclass(frozen=True)
class Job:
    """``command``: the words of ``prunecheck run``, with absolute paths. ``jobs`` runs share the store, each with
    ``cpus`` workers and ``gpus`` GPUs; with ``ray`` they are the nodes of one Ray cluster instead. ``time``: of one
    slot, as Slurm writes it, or "" for the partition's. ``after``: jobs that must have succeeded. ``extra``: further
    options of sbatch."""

    name: str
    command: Sequence[str]
    log: Path
    jobs: int = 1
    cpus: int = 1
    gpus: int = 0
    time: str = ""
    after: Sequence[str] = ()
    extra: Sequence[str] = ()
    ray: bool = False
    variables: Mapping[str, str] | None = None


def script(job: Job) -> str:
    """The batch script. Raises StudyError for a time that Slurm does not know."""
    array = job.jobs > 1 and not job.ray
    options = [
        f"--job-name=prunecheck-{job.name}",
        f"--output={job.log}/slurm-{'%A_%a' if array else '%j'}.log",
        "--open-mode=append",
        "--requeue",
        *([f"--array=1-{job.jobs}"] if array else []),
        f"--nodes={job.jobs if job.ray else 1}",
        "--ntasks-per-node=1",
        f"--cpus-per-task={job.cpus}",
        *([f"--gpus-per-node={job.gpus}"] if job.gpus else []),
        *([f"--time={job.time}"] if job.time else []),
        # Not with Ray: the signal would reach its processes, too.
        *([] if job.time or job.ray else [f"--signal=TERM@{_MOST_SECONDS_TO_STOP}"]),
        *([f"--dependency=afterok:{':'.join(job.after)}"] if job.after else []),
        *job.extra,
    ]
    lines = ["#!/bin/sh", *(f"#SBATCH {option}" for option in options), ""]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in (job.variables or {}).items()]
    launch = ["srun", f"--cpus-per-task={job.cpus}"]
    if job.ray:
        lines += _ray_lines(job, launch)
    else:
        # Slurm may send its signal up to a minute early, which is too coarse for short slots.
        limit = str(_until_term(seconds_of(job.time))) if job.time else ""
        timeout = ["timeout", "--preserve-status", "--signal=TERM", limit] if limit else []
        lines += [shlex.join([*launch, *timeout, *job.command]), "code=$?"]
    return "\n".join(lines) + "\n" + _REQUEUE


def _ray_lines(job: Job, launch: list[str]) -> list[str]:
    """Ray's own launcher starts Ray in every task, runs the command on the first node, and hides its exit status, which
    therefore goes through a file."""
    seconds = seconds_of(job.time) if job.time else 0
    margin = _RAY_STOP_SECONDS + (seconds - _until_term(seconds) if seconds else _MOST_SECONDS_TO_STOP)
    programs = shlex.quote(str(Path(sys.executable).parent))
    inner = (
        f"left=$((RUN_END - $(date +%s) - {margin})); RAY_ADDRESS=$RAY_HEAD "
        f'timeout --preserve-status --signal=TERM "$((left > 0 ? left : 1))" {shlex.join(job.command)}; '
        'echo $? > "$RUN_STATUS"'
    )
    options = f"--min-nodes {job.jobs} --num-cpus {job.cpus} --include-dashboard false"
    start = f'ray symmetric-run --address "$RAY_HEAD" {options} -- sh -c "$RUN_COMMAND"'
    # A preempted job leaves the processes of Ray behind where Slurm does not find daemons (proctrack/linuxproc).
    clean = '[ "${SLURM_RESTART_COUNT:-0}" -eq 0 ] || ray stop --force'
    tries = f'{clean}; for n in {_RAY_STARTS}; do {start}; [ -e "$RUN_STATUS" ] && exit; done; exit 1'
    task = [*launch, "--kill-on-bad-exit=1", "--wait=60", "sh", "-c", tries]
    if seconds:
        end = f"$(($(date +%s) + {seconds}))"
    else:
        end = '$(date -d "$(squeue -h -j "$SLURM_JOB_ID" -o %e)" +%s || echo 9999999999)'
    return [
        f"export RUN_END={end}",
        'head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        "export RAY_HEAD=$head:$((20000 + SLURM_JOB_ID % 20000))",
        f"export RUN_STATUS={shlex.quote(str(job.log))}/slurm-$SLURM_JOB_ID.status",
        "export RAY_USAGE_STATS_ENABLED=0",
        f"export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT={_RAY_WAIT_SECONDS}",
        "# Without a token, any user who reaches its port can run programs on the cluster.",
        f"export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={shlex.quote(str(job.log))}/slurm-$SLURM_JOB_ID.token",
        '(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d " \\n" > "$RAY_AUTH_TOKEN_PATH")',
        'rm -f "$RUN_STATUS"',
        f"export PATH={programs}:$PATH",  # the launcher calls `ray` by its name
        "# Ray gives up where its own processes need more than 15 seconds to start, as they do on a slow file system.",
        "# At the next try their files are in memory.",
        f"export RUN_COMMAND={shlex.quote(inner)}",
        shlex.join(task),
        'rm -f "$RAY_AUTH_TOKEN_PATH"',
        'code=$(cat "$RUN_STATUS" 2>/dev/null || echo 1)',
    ]


def submit(text: str) -> str:
    """Submit the batch script *text* and return the number of the job. Raises StudyError where Slurm refuses it."""
    if which("sbatch") is None:
        raise StudyError("sbatch is not found. Run this on a login node of the cluster, or add --dry-run.")
    done = subprocess.run(["sbatch", "--parsable"], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        reason = done.stderr.strip().removeprefix("sbatch: ").removeprefix("error: ")
        raise StudyError(f"Slurm refuses the job: {printable(reason, 400)}")
    return done.stdout.strip().partition(";")[0]


def seconds_of(time: str) -> int:
    """A time of Slurm in seconds: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    found = _TIME.fullmatch(time)
    if found is None:
        raise StudyError(
            f"--time {printable(time)!r} is no time of Slurm. Write HOURS:MINUTES:SECONDS, such as 04:00:00."
        )
    parts = [int(part) for part in found["rest"].split(":")]
    if found["days"] is not None:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        return int(found["days"]) * 86400 + hours * 3600 + minutes * 60 + seconds
    if len(parts) == 1:
        return parts[0] * 60
    total = 0
    for part in parts:
        total = total * 60 + part
    return total


def _until_term(seconds: int) -> int:
    """When SIGTERM comes: trainings save within 20 seconds; a tenth of the slot, if that is more, up to two minutes."""
    return max(seconds - min(_MOST_SECONDS_TO_STOP, max(20, seconds // 10)), seconds // 2)
