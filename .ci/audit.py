"""Known holes in what prunecheck stands on: asks a service of advisories about every locked version, extras included.

``uv run python .ci/audit.py [REQUIREMENTS]``. Exit 0: none known, or no service could be reached (which it says); 1:
some are, and are listed; 2: the question could not be asked. AUDIT_SERVICE is the address of another OSV service.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

EXPORT = ["uv", "export", "--quiet", "--locked", "--no-dev", "--all-extras", "--no-emit-project", "--no-header"]
SERVICE = os.environ.get("AUDIT_SERVICE", "https://api.osv.dev/v1/query")
UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ProxyError", "SSLError", "HTTPError")


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(arguments[0]) if arguments else Path(folder) / "requirements.txt"
        if not arguments:
            requirements.write_text(subprocess.run(EXPORT, check=True, capture_output=True, text=True).stdout)
        ask = [sys.executable, "-m", "pip_audit", "-r", str(requirements), "--disable-pip", "--no-deps"]
        ask += ["-s", "osv", "--osv-url", SERVICE, "--format", "json", "--progress-spinner", "off"]
        done = subprocess.run(ask, capture_output=True, text=True)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        if any(word in last for word in UNREACHABLE):
            print(f"audit: {SERVICE} cannot be reached from here, so nothing was audited.")
            return 0
        print(f"audit: {last}", file=sys.stderr)
        return 2
    asked = [package for package in answer["dependencies"] if "vulns" in package]
    holes = [(package, hole) for package in asked for hole in package["vulns"]]
    for package, hole in holes:
        fixed = ", ".join(hole["fix_versions"]) or "none yet"
        print(f"audit: {package['name']} {package['version']}: {hole['id']}, fixed in: {fixed}", file=sys.stderr)
    print(f"audit: {len(asked)} packages, {len(holes)} known holes.")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
