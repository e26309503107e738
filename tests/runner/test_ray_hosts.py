"""A study on Ray whose two nodes are hosts with networks of their own, and share the store.

Hosts are network namespaces of the kernel, joined by a cable (``veth``). Skipped where Ray is not installed, or no
namespace can be made.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from prunecheck.study.toml import to_toml

from . import tiny

HEAD, PORT = "10.77.0.1", 6379
ADDRESSES = {"head": HEAD, "other": "10.77.0.2"}
RAY = Path(sys.executable).with_name("ray")
PATIENCE_SECONDS = 240


def name_of(host: str) -> str:
    return f"prunecheck-{os.getpid()}-{host}"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def on(host: str, *words: str) -> list[str]:
    return ["ip", "netns", "exec", name_of(host), *words]


def absent() -> str:
    """Why there can be no hosts; "" if there can."""
    if find_spec("ray") is None:
        return "Ray is not installed"
    if shutil.which("ip") is None:
        return "ip is not installed (iproute2)"
    made = subprocess.run(["ip", "netns", "add", name_of("probe")], capture_output=True)
    if made.returncode != 0:
        return "network namespaces need root"
    ip("netns", "del", name_of("probe"))
    return ""


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of commands on two hosts, on which Ray runs with one core each."""
    if reason := absent():
        pytest.skip(reason)
    environment = {**os.environ, "HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    try:
        for host in ADDRESSES:
            ip("netns", "add", name_of(host))
        ends = {host: f"pc{os.getpid()}{host[0]}" for host in ADDRESSES}
        one, other = (["name", end, "netns", name_of(host)] for host, end in ends.items())
        ip("link", "add", *one[1:], "type", "veth", "peer", *other)
        for host, address in ADDRESSES.items():
            ip("-n", name_of(host), "addr", "add", f"{address}/24", "dev", ends[host])
            ip("-n", name_of(host), "link", "set", "lo", "up")
            ip("-n", name_of(host), "link", "set", ends[host], "up")
        for host, other_address in zip(ADDRESSES, reversed(ADDRESSES.values()), strict=True):
            # Ray finds its own address by the default route
            ip("-n", name_of(host), "route", "add", "default", "via", other_address)
        subprocess.run([RAY, "get-auth-token", "--generate"], env=environment, check=True, capture_output=True)
        environment["RAY_AUTH_MODE"] = "token"
        for host, address in ADDRESSES.items():
            place = ["--head", "--port", f"{PORT}", "--include-dashboard=false"]
            place = place if host == "head" else ["--address", f"{HEAD}:{PORT}"]
            words = [str(RAY), "start", *place, "--node-ip-address", address, "--num-cpus", "1"]
            start = on(host, *words, "--object-store-memory", "80000000")
            done = subprocess.run(start, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
            assert done.returncode == 0, done.stderr
        yield environment
    finally:
        for host in ADDRESSES:
            left = subprocess.run(["ip", "netns", "pids", name_of(host)], capture_output=True, text=True).stdout
            for process in left.split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name_of(host)], capture_output=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_hosts_that_share_a_store_write_the_bytes_of_one_process(hosts: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(to_toml(tiny.study(seeds=3)))
    for name, where, engine in (("local", [], "local"), ("hosts", on("head"), "ray")):
        words = [*where, sys.executable, "-m", "prunecheck", "run", "s.toml", "--quiet", "--engine", engine]
        words += ["--store", f"{name}/store", "--out", f"{name}/out", *(["--workers", "1"] if not where else [])]
        environment = hosts | ({"RAY_ADDRESS": f"{HEAD}:{PORT}"} if where else {})
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        assert done.returncode == 0, done.stderr
    assert tiny.objects(tmp_path / "hosts") == tiny.objects(tmp_path / "local")
    for file in ("results.csv", "verdicts.json"):
        assert (tmp_path / "hosts/out" / file).read_bytes() == (tmp_path / "local/out" / file).read_bytes()
