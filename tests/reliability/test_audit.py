"""The audit of dependencies fails if a vulnerability is known, and only then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parent.parent.parent / ".ci" / "audit.py"
HOLE = {
    "id": "PYSEC-2026-1",
    "summary": "it can be made to fall over",
    "affected": [
        {
            "package": {"name": "numpy", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}],
            "versions": ["2.0.0"],
        }
    ],
}


@contextmanager
def service(answers: dict[str, Any]) -> Iterator[str]:
    """The address of an OSV service that knows vulnerabilities in the packages of *answers*."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answers.get(asked["package"]["name"], {})).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    requirements = folder / "requirements.txt"
    requirements.write_text("numpy==2.0.0\npillow==11.0.0\n")
    env = {**os.environ, "AUDIT_SERVICE": address, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return subprocess.run([sys.executable, AUDIT, requirements], env=env, capture_output=True, text=True)


@pytest.fixture(autouse=True)
def _has_pip_audit() -> None:
    pytest.importorskip("pip_audit")


def test_known_vulnerability_fails(tmp_path: Path) -> None:
    with service({"numpy": {"vulns": [HOLE]}}) as address:
        done = audit(address, tmp_path)
    assert (done.returncode, done.stdout) == (1, "audit: 2 packages, 1 known holes.\n")
    assert done.stderr == "audit: numpy 2.0.0: PYSEC-2026-1, fixed in: 9.9\n"


@pytest.mark.slow
def test_no_known_vulnerability_passes(tmp_path: Path) -> None:
    with service({}) as address:
        done = audit(address, tmp_path)
    assert (done.returncode, done.stdout) == (0, "audit: 2 packages, 0 known holes.\n"), done.stderr


@pytest.mark.slow
def test_unreachable_service_passes_with_a_message(tmp_path: Path) -> None:
    with service({}) as address:
        pass
    done = audit(address, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "nothing was audited" in done.stdout


@pytest.mark.slow
def test_invalid_request_fails(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, AUDIT, tmp_path / "nowhere.txt"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("audit: ")
