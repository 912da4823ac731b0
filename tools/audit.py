"""``make audit``: known weaknesses of the pinned packages, Python's and the browser's.

Both need the network. Where it is not reachable that is said, and it is no failure: the audit is
repeated whenever somebody has a network, and nothing else may depend on one. A weakness that has
been mended in another version is a failure; one that nobody has mended yet is told.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 120


def ask(command: list[str]) -> Any:
    """What an audit says as JSON, or None where it says nothing that can be read."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        return json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None


def audit_python() -> int:
    """Weaknesses of the packages in requirements.txt that an update mends; -1 where none could be
    looked up.
    """
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "-f", "json"]
    answer = ask([*command, "-r", "requirements.txt", "--disable-pip", "--no-deps"])
    rows = answer["dependencies"] if answer else []
    known = [row for row in rows if "skip_reason" not in row]
    if not known:
        print("Python: not looked up")
        return -1
    weak = [(row, one) for row in known for one in row["vulns"]]
    for row, one in weak:
        mended = ", ".join(one["fix_versions"]) or "no version yet"
        print(f"  {row['name']} {row['version']}: {one['id']}, mended in {mended}")
    print(f"Python: {len(known)} of {len(rows)} packages looked up, {len(weak)} weaknesses")
    return sum(bool(one["fix_versions"]) for _, one in weak)


def audit_browser() -> int:
    """Weak packages of package-lock.json that an update mends; -1 where they were not looked up."""
    answer = ask([sys.executable, "tools/node.py", "--npm", "audit", "--json"])
    try:
        rows = answer["vulnerabilities"]
        total = int(answer["metadata"]["vulnerabilities"]["total"])
    except (KeyError, TypeError):
        print("Browser: not looked up")
        return -1
    for name, row in rows.items():
        mended = "mended" if row.get("fixAvailable") else "not mended yet"
        print(f"  {name}: {row['severity']}, in {row['range']}, {mended}")
    print(f"Browser: {total} weaknesses")
    return sum(bool(row.get("fixAvailable")) for row in rows.values())


def main() -> int:
    found = (audit_python(), audit_browser())
    if min(found) < 0:
        print("What was not looked up needs a network that reaches PyPI's and npm's advisories.")
    return int(max(found) > 0)


if __name__ == "__main__":
    sys.exit(main())
