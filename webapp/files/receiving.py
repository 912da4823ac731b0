"""A file as it arrives over HTTP: counted, looked at and written block by block."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from webapp.errors import InvalidRequest, ModelInvalid, PayloadTooLarge, StorageFull
from webapp.files.reserve import DiskReserve

BLOCK: Final = 1 << 18
_STARTS: Final = (b"\x89HDF\r\n\x1a\n", b"PK\x03\x04")
_PICKLES: Final = tuple(bytes([0x80, protocol]) for protocol in (2, 3, 4, 5))

_CONVERT: Final = (
    "Mien serves Keras models only, which can be checked. Upload the Keras model it was made from "
    "(.keras or .h5), or rebuild the network in Keras and copy its weights."
)
# what a file begins with, and what it is then
_OTHERS: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    # protobuf: the version first, then who wrote it, the graph or the operators
    (re.compile(rb"\x08[\x02-\x20][\x12\x1a\x22\x2a\x32\x3a\x42]", re.DOTALL), "an ONNX file"),
    (re.compile(rb"\x08\x01\x12", re.DOTALL), "the graph of a TensorFlow SavedModel"),
    (re.compile(rb"\x0a.{1,3}\x0a.{1,200}\x12.Placeholder", re.DOTALL), "a TensorFlow graph (.pb)"),
    (re.compile(rb"node\s*\{"), "a TensorFlow graph (.pbtxt)"),
    (re.compile(rb"\x00\x00.\x08\x01\x1a\x02\x08", re.DOTALL), "a TensorFlow checkpoint"),
    (re.compile(rb".{8}\{\s*\"", re.DOTALL), "a safetensors file"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array"),
    (re.compile(rb"GGUF"), "a GGUF file"),
    (re.compile(rb"<\?xml|<net "), "an OpenVINO description"),
)


class Source(Protocol):
    """Anything with ``read(size)``."""

    def read(self, size: int = -1, /) -> bytes: ...


def receive(
    source: Source,
    length: int | None,
    target: Path,
    limit: int,
    progress: Callable[[int], None],
    reserve: DiskReserve | None = None,
) -> int:
    """Write the body of a request to ``target`` and return its size in bytes.

    ``length`` is what the request announced; a body that is shorter was cut off and is refused.
    Memory never holds more than one block. Raises :class:`PayloadTooLarge`,
    :class:`InvalidRequest` and :class:`ModelInvalid` (of its first bytes), and
    :class:`StorageFull` for a full disk or one of which only ``reserve`` is left.
    """
    if length is None:
        raise InvalidRequest("Expected the file with its Content-Length. Received none.")
    if length > limit:
        raise PayloadTooLarge(
            f"Expected at most {limit:,} bytes. Received a file of {length:,} bytes; nothing of it "
            "was stored. MIEN_MODEL_MAX_UPLOAD_BYTES sets the limit.",
            limit=limit,
        )
    if reserve is not None:
        reserve.check(length)
    size = 0
    try:
        with target.open("wb") as stream:
            while size < length:
                block = source.read(min(BLOCK, length - size))
                if not block:
                    break
                if not size:
                    _look(block)
                size += len(block)
                stream.write(block)
                if reserve is not None:
                    reserve.check()
                progress(size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                "The disk of the server is full; nothing of the file was kept."
            ) from error
        raise InvalidRequest(
            f"The file stopped arriving after {size:,} bytes; send it again."
        ) from error
    if size != length:
        raise InvalidRequest(
            f"The file was cut off: {size:,} of {length:,} bytes arrived. Send it again.",
            received=size,
        )
    if not size:
        raise ModelInvalid("The file is empty.", check="format")
    return size


def _look(block: bytes) -> None:
    """Refuse by the first bytes what can be no model, before the rest of it is taken."""
    if block.startswith(_STARTS):
        return
    if block.startswith(_PICKLES):
        raise ModelInvalid(
            "This is a Python pickle, whatever its name says. A pickle runs program code when it "
            "is opened, so it is refused and was not opened.",
            check="format",
        )
    if block[4:8] == b"TFL3":
        raise ModelInvalid(
            "This is a LiteRT file. It cannot be checked against the Keras model it came from; "
            "upload that one.",
            check="format",
        )
    if block.lstrip()[:1] == b"{" and b"class_name" in block:
        raise ModelInvalid(
            "This is the description of a network without its weights. Put it into a ZIP together "
            'with the file of model.save_weights("weights.h5").',
            check="format",
        )
    for begins, name in _OTHERS:
        if begins.match(block):
            raise ModelInvalid(f"This is {name}. {_CONVERT}", check="format")
    if not block[:4096].strip(b"\x00"):
        raise ModelInvalid(
            "The file begins with zeros and is no model; the rest of it was not taken.",
            check="format",
        )
    raise ModelInvalid(
        f"The file is neither HDF5 nor a ZIP (it begins with {block[:8].hex(' ')}). Expected a "
        "Keras model (.keras or .h5), Keras weights, or a ZIP.",
        check="format",
    )
