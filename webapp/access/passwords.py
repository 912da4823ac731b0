"""Password hashes (argon2id), computed in a process of their own.

One hash takes tens of milliseconds of processor time and 64 MB, and eventlet's loop would stand
still for it. ``python -m webapp.access.passwords`` reads one JSON object a call from
standard input:
``{"password": str}`` -> ``{"hash": str}``,
``{"password": str, "hash": str | null}`` -> ``{"ok": bool}``. A password
is never an argument, which other users could read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any, Final

from webapp import ROOT

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 1000  # characters; nobody types more, and hashing is not free
TIMEOUT_S: Final = 30
# Of a random text that was thrown away, with the parameters that hash_password uses.
DUMMY_HASH: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$"
    "2U14Y6ZysWtmmDRKqQgIQg$/AlbHmzGW1yollPeYugqTUkj7KKUrrwuf6N/9x2ZKsk"
)
# Each takes 64 MB; a flood of attempts waits here instead of filling the memory.
_AT_ONCE = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """An argon2id hash with its salt and parameters."""
    return str(_ask({"password": password})["hash"])


def password_fits(password: str, stored: str | None) -> bool:
    """Whether the password belongs to the hash.

    Without a hash (no such account, or none set) a hash of nothing that anyone knows is
    verified instead, so that the answer takes as long and tells nothing.
    """
    return bool(_ask({"password": password[: MAX_LENGTH + 1], "hash": stored})["ok"])


def _ask(question: dict[str, Any]) -> dict[str, Any]:
    with _AT_ONCE:
        done = subprocess.run(
            [sys.executable, "-m", "webapp.access.passwords"],
            input=json.dumps(question),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT_S,
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """What the child process computes."""
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    hasher = PasswordHasher()
    password = str(question["password"])
    if "hash" not in question:
        return {"hash": hasher.hash(password)}
    stored = question["hash"]
    try:
        fits: bool = hasher.verify(DUMMY_HASH if stored is None else stored, password)
    except (VerificationError, InvalidHashError):
        fits = False
    return {"ok": fits and stored is not None}


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)  # a flood of attempts must not take the processor from who is served
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
