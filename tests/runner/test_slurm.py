"""Jobs of Slurm: the script, and a Slurm of one node on this machine where its daemons are installed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from prunecheck.cli import main
from prunecheck.errors import StudyError
from prunecheck.runner import slurm
from prunecheck.runner.slurm import Job, script, seconds_of

from . import tiny
from .slurm_daemons import Slurm, absent

STUDY = """
name = "slots"
model = "convnet"
data = { name = "mnist5k", size = 14 }
methods = ["snip"]
checks = ["layerwise_rearrange"]
sparsities = [0.8]
seeds = 1
controls = []
training = { epochs = 20, rewind_epoch = 0 }
"""

SLOW_MODEL = """
import os
import time

import torch


class Waits(torch.nn.Flatten):
    def forward(self, images):
        time.sleep(float(os.environ.get("SECONDS_PER_BATCH", "0")))
        return super().forward(images)


def network(num_classes, in_channels, image_size):
    first = torch.nn.Linear(in_channels * image_size**2, 16)
    return torch.nn.Sequential(Waits(), first, torch.nn.Linear(16, num_classes))
"""
"""the network of a study: with ``$SECONDS_PER_BATCH`` its training takes long and costs no processor time"""
SLOW_STUDY = """
name = "one_minute"
model = "waits.py:network"
data = { name = "digits", train_size = 100, test_size = 50 }
methods = ["random_ticket"]
checks = ["layerwise_rearrange"]
sparsities = [0.8]
seeds = 1
controls = []
training = { epochs = 12, rewind_epoch = 0, batch_size = 50 }
"""


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("90", 5400), ("1:30", 90), ("01:00:00", 3600), ("2-12", 216000), ("1-0:30", 88200), ("1-02:03:04", 93784)],
)
def test_times_are_read_as_slurm_reads_them(time: str, seconds: int) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize("time", ["", "4h", "1:2:3:4", "-1", "UNLIMITED", "1-"])
def test_another_time_is_refused(time: str) -> None:
    with pytest.raises(StudyError, match="is no time of Slurm"):
        seconds_of(time)


def test_every_word_of_the_command_is_quoted(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "seeds=[0, 1]", "it's; $HOME"]
    text = script(Job("s", words, tmp_path, time="1:0:0"))
    (line,) = [line for line in text.splitlines() if line.startswith("srun ")]
    done = subprocess.run(
        ["sh", "-c", line.partition(" timeout ")[2].join(["timeout ", ""])], capture_output=True, text=True
    )
    assert done.stdout.strip() == "['seeds=[0, 1]', \"it's; $HOME\"]"


@pytest.mark.parametrize("ray", [False, True])
def test_the_script_is_valid_shell(ray: bool, tmp_path: Path) -> None:
    text = script(Job("s", ["true", "a b"], tmp_path, 3, 4, 1, "10", ["7", "8"], ["--partition=x"], ray, {"A": "b c"}))
    assert subprocess.run(["sh", "-n"], input=text, text=True).returncode == 0
    options = re.findall("^#SBATCH (.*)$", text, re.MULTILINE)
    assert {"--cpus-per-task=4", "--gpus-per-node=1", "--time=10", "--dependency=afterok:7:8", "--partition=x"} <= {
        *options
    }
    assert ("--array=1-3" in options) != ray
    assert f"--nodes={3 if ray else 1}" in options
    assert "export A='b c'" in text


FAKE_PROGRAMS = {
    "scontrol": 'echo "scontrol $*" >> calls; [ "$1" = show ] && echo 10.0.0.1',
    "srun": 'while [ "$1" != sh ]; do shift; done; exec "$@"',
    "squeue": 'date -d "$SLOT" +%Y-%m-%dT%H:%M:%S',
    "ray": """
[ "$1" = stop ] && echo "ray $*" >> calls && exit
echo "token $RAY_AUTH_MODE $(cat "$RAY_AUTH_TOKEN_PATH") $(stat -c %a "$RAY_AUTH_TOKEN_PATH")" >> calls
read left < starts; echo $((left - 1)) > starts
[ "$left" -gt 1 ] && exit
while [ "$1" != -- ]; do shift; done; shift; exec "$@"
""",
}
"""Slurm and Ray: Ray does not start before as many tries as ``starts`` says, which its launcher ends with 0."""


def run_with_fakes(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    job: Job,
    starts: int = 1,
    slot: str = "1 hour",
    **variables: str,
) -> tuple[int, list[str]]:
    """The exit code of the script of *job*, and the calls of scontrol and ray."""
    (folder / "bin").mkdir()
    for name, text in FAKE_PROGRAMS.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setattr(slurm.sys, "executable", str(folder / "bin" / "python"))
    (folder / "starts").write_text(f"{starts}\n")
    environment = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "x"}
    environment |= {"SLOT": slot, **variables}
    done = subprocess.run(["sh"], input=script(job), text=True, env=environment, cwd=folder, timeout=60)
    return done.returncode, (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(("starts", "code"), [(1, 3), (3, 3), (4, 1)])
def test_a_ray_cluster_on_slurm_is_started_up_to_three_times(
    starts: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And has a token of its own: without one, a cluster runs the programs of every user."""
    job = Job("s", ["sh", "-c", "exit 3"], tmp_path, 2, ray=True)
    found, calls = run_with_fakes(tmp_path, monkeypatch, job, starts)
    assert found == code
    tokens = {call for call in calls if call.startswith("token")}
    assert len([call for call in calls if call.startswith("token")]) == min(starts, 3)
    assert len(tokens) == 1
    assert re.fullmatch("token token [0-9a-f]{64} 600", tokens.pop())
    assert not (tmp_path / "slurm-7.token").exists()


@pytest.mark.parametrize("time", ["1", "00:01:00", ""])
def test_a_run_on_ray_is_stopped_before_the_slot_ends_and_requeued(
    time: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long Ray needed to start (here: longer than the slot), and with the time limit of the partition, too."""
    monkeypatch.setattr(slurm, "_RAY_STOP_SECONDS", 60)
    job = Job("s", ["sh", "-c", "trap 'exit 75' TERM; sleep 50 & wait"], tmp_path, time=time, ray=True)
    code, calls = run_with_fakes(tmp_path, monkeypatch, job, slot="1 minute")
    assert code in {75, 143}  # 143: before the trap
    assert calls[-1] == "scontrol requeue 7"


@pytest.mark.parametrize("restarts", ["0", "2"])
def test_a_requeued_job_ends_the_ray_that_its_last_slot_left_behind(
    restarts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job("s", ["true"], tmp_path, ray=True)
    code, calls = run_with_fakes(tmp_path, monkeypatch, job, SLURM_RESTART_COUNT=restarts)
    assert code == 0
    assert ("ray stop --force" in calls) == (restarts != "0")


def test_the_signal_of_slurm_is_not_sent_to_the_processes_of_ray(tmp_path: Path) -> None:
    assert "#SBATCH --signal" not in script(Job("s", ["true"], tmp_path, ray=True))
    assert "#SBATCH --signal=TERM@120" in script(Job("s", ["true"], tmp_path))


def test_dry_run_prints_the_script_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(STUDY)
    words = ["submit", "s.toml", "--store", "store", "--out", "out", "--set", "seeds=[0, 1]"]
    assert main([*words, "--dry-run", "--cpus", "2"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("#!/bin/sh\n#SBATCH --job-name=prunecheck-slots\n")
    assert f"run {tmp_path}/s.toml --quiet --engine local --workers 2 --set 'seeds=[0, 1]'" in text
    assert f"--store {tmp_path}/store --out {tmp_path}/out" in text
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]
    monkeypatch.setattr(slurm, "which", lambda _name: None)
    assert main(words) == 2
    assert "sbatch is not found" in capsys.readouterr().err


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Slurm]:
    if reason := absent():
        pytest.skip(reason)
    (tmp_path / "slurm").mkdir()
    made = Slurm(tmp_path / "slurm")
    yield made
    made.stop()


def submit(cluster: Slurm, folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "prunecheck", "submit", "s.toml", "--store", "store", "--out", "out", *words]
    done = subprocess.run(command, cwd=folder, env=cluster.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[1]


def write(folder: Path, study: str) -> None:
    folder.mkdir()
    (folder / "s.toml").write_text(study)
    (folder / "waits.py").write_text(SLOW_MODEL)


def undisturbed(folder: Path, study: str) -> dict[str, str]:
    command = [sys.executable, "-m", "prunecheck", "run", "s.toml", "--store", "store", "--out", "out", "-q"]
    write(folder, study)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return tiny.objects(folder)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_an_array_of_short_slots_survives_preemption_and_the_loss_of_its_node(
    cluster: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs on one store; slots end, a job of higher priority comes, and the node dies with all its processes. The
    first training sleeps for 36 seconds, so that it writes a checkpoint before its end on a machine of any speed."""
    folder = tmp_path / "study"
    write(folder, SLOW_STUDY)
    monkeypatch.setitem(cluster.env, "SECONDS_PER_BATCH", "1.5")
    number = submit(cluster, folder, "--jobs", "2", "--time", "00:02:00")
    events = ["preempt", "lose node"]
    deadline = time.monotonic() + 900
    while cluster.states(number) != {"COMPLETED"}:
        assert time.monotonic() < deadline, cluster("scontrol", "show", "job", number)
        assert not cluster.states(number) & {"FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL"}, log(folder) + cluster(
            "scontrol", "show", "job", number
        )
        cluster.start_requeued()
        if events and list((folder / "store").glob("partial/*")) and cluster.states(number) == {"RUNNING"}:
            if events.pop(0) == "preempt":
                cluster("sbatch", "--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap", "sleep 3")
            else:
                cluster.kill_node()
                kill_jobs(folder)
                time.sleep(6)
                cluster.restart_node()
        time.sleep(0.5)
    assert not events
    assert int(cluster.job(number)["Restarts"]) >= 1
    assert tiny.objects(folder) == undisturbed(tmp_path / "undisturbed", SLOW_STUDY)
    assert (folder / "out" / "verdicts.json").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_slots_of_one_minute_finish_trainings_that_are_longer_together(
    cluster: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three trainings sleep for 78 seconds together (52 batches), more than the forty seconds that the script uses
    of a slot of a minute, on a machine of any speed."""
    folder = tmp_path / "study"
    write(folder, SLOW_STUDY)
    monkeypatch.setitem(cluster.env, "SECONDS_PER_BATCH", "1.5")
    number = submit(cluster, folder, "--time", "00:01:00")
    deadline = time.monotonic() + 900
    while cluster.states(number) != {"COMPLETED"}:
        assert time.monotonic() < deadline, log(folder)
        assert not cluster.states(number) & {"FAILED", "TIMEOUT", "CANCELLED"}, log(folder)
        cluster.start_requeued()
        time.sleep(0.5)
    assert int(cluster.job(number)["Restarts"]) >= 1
    assert tiny.objects(folder) == undisturbed(tmp_path / "undisturbed", SLOW_STUDY)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_a_preempted_ray_cluster_continues_and_writes_the_bytes_of_one_process(
    cluster: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    write(folder, SLOW_STUDY)
    monkeypatch.setitem(cluster.env, "SECONDS_PER_BATCH", "1")
    number = submit(cluster, folder, "--engine", "ray", "--cpus", "2", "--time", "01:00:00")
    preempted = False
    deadline = time.monotonic() + 1500
    while cluster.states(number) != {"COMPLETED"}:
        if cluster.states(number) == {"FAILED"} and log(folder).count("Failed to start Ray") == 3:
            pytest.skip("Ray needs more than its 15 seconds to start here, three times")
        assert time.monotonic() < deadline, log(folder)
        assert not cluster.states(number) & {"FAILED", "TIMEOUT", "CANCELLED"}, log(folder)
        cluster.start_requeued()
        if not preempted and list((folder / "store").glob("partial/*")):
            cluster("sbatch", "--partition=high", "--ntasks=2", "--output=/dev/null", "--wrap", "sleep 3")
            preempted = True
        time.sleep(0.5)
    assert preempted
    assert int(cluster.job(number)["Restarts"]) >= 1
    assert not list((folder / "out").glob("*.token"))
    assert tiny.objects(folder) == undisturbed(tmp_path / "undisturbed", SLOW_STUDY)


def log(folder: Path) -> str:
    return "\n".join(path.read_text() for path in (folder / "out").glob("slurm-*.log"))


def kill_jobs(folder: Path) -> None:
    """SIGKILL to all processes of the jobs in *folder*: first to Slurm's own above them, which would report the end."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (path / "cmdline").read_bytes().decode(errors="replace")
            if f"{folder}/s.toml" in words and "pytest" not in words:
                found[int(path.name)] = above(int(path.name))
    for process in [*(process for chain in found.values() for process in reversed(chain)), *found]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def above(process: int) -> list[int]:
    """The parents of *process*, up to slurmstepd; none where there is no slurmstepd."""
    chain = []
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        chain.append(process)
        if process > 1 and Path(f"/proc/{process}/comm").read_text().startswith("slurmstepd"):
            return chain
    return []
