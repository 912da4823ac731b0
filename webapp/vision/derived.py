"""Bytes that are slow to derive, kept beside the compiled modules.

Unpacking dlib's frontal detector takes a quarter of a second of CPU, the result loads in two
milliseconds; a worker that died is back that much sooner. The file lies in ``__pycache__``,
because it is what a ``.pyc`` is: derived, safe to delete, and exactly as trusted as the code.
Where it cannot be written, everything works and is slower.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

CACHE_FOLDER = Path(__file__).parent / "__pycache__"
_DIGEST_BYTES = hashlib.sha256().digest_size


def derived(name: str, make: Callable[[], bytes], folder: Path | None = None) -> bytes:
    """What ``make`` gives, from the file ``name`` where an earlier call has left it whole.

    ``name`` must change with whatever the bytes depend on.
    """
    path = (folder or CACHE_FOLDER) / name
    try:
        stored = path.read_bytes()
    except OSError:
        stored = b""
    digest, value = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
    if value and hashlib.sha256(value).digest() == digest:
        return value
    value = make()
    _keep(path, hashlib.sha256(value).digest() + value)
    return value


def _keep(path: Path, content: bytes) -> None:
    # several workers may start at once: each writes its own file and the last rename stays
    try:
        path.parent.mkdir(exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
    except OSError:
        return
