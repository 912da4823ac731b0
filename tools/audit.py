"""``make audit``: known weaknesses of the pinned packages, Python's and the browser's.

Both need the network. Where it is not reachable that is said, and it is no failure: the audit is
repeated whenever somebody has a network, and nothing else may depend on one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNREACHABLE = (
    "ConnectionError",
    "Max retries",
    "ENOTFOUND",
    "ECONNREFUSED",
    "EAI_AGAIN",
    "Errno -",
)
TIMEOUT_S = 300


def ask(name: str, command: list[str]) -> int:
    """Run one audit; 1 where it found something, 0 otherwise."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"{name}: no answer within {TIMEOUT_S} s; not audited")
        return 0
    said = done.stdout + done.stderr
    if done.returncode == 0:
        print(f"{name}: no known weakness")
        return 0
    if any(word in said for word in UNREACHABLE) or not found_something(name, done.stdout):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{name}: not audited ({last[:200]})")
        return 0
    print(f"{name}:\n{said}")
    return 1


def found_something(name: str, output: str) -> bool:
    """Whether the report names a weakness, and is not only a failure to make one."""
    if name == "pip-audit":
        return "Found" in output or "ID" in output
    try:
        return bool(json.loads(output)["metadata"]["vulnerabilities"]["total"])
    except (ValueError, KeyError, TypeError):
        return False


def main() -> int:
    python = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off"]
    python += ["-r", "requirements.txt", "--disable-pip", "--no-deps"]
    npm = [sys.executable, "tools/node.py", "--npm", "audit", "--json"]
    return max(ask("pip-audit", python), ask("npm audit", npm))


if __name__ == "__main__":
    sys.exit(main())
