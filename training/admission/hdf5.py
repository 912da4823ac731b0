"""HDF5 files looked at before Keras opens them: links, storage, types, sizes and the numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from webapp.errors import ModelInvalid

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
MAX_OBJECTS: Final = 20_000
MAX_DEPTH: Final = 40
_FILTERS: Final = frozenset({1, 2, 3})  # deflate, shuffle, checksum: built in, no plug-in is loaded
_BLOCK: Final = 4_000_000


def read_hdf5(path: Path, limit_bytes: int) -> str | None:
    """Check every object of a file and every weight in it; the ``model_config`` text, or None.

    ``limit_bytes`` is the most that all datasets together may hold in memory. Raises
    :class:`ModelInvalid` for anything that reaches outside of the file, is no plain number, is
    larger than it may be, or is not finite.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            walk = _Walk(limit_bytes)
            walk.group(file, "", 0)
            return _model_config(file)
    except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
        # h5py raises all of these for damaged files
        raise ModelInvalid(
            f"The HDF5 part of the file is damaged or cut short: {str(error)[:200]}.", check="file"
        ) from error


def _model_config(file: Any) -> str | None:
    text = file.attrs.get("model_config")
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    if text is None or isinstance(text, str):
        return text
    raise ModelInvalid("The attribute model_config is no text.", check="description")


class _Walk:
    """One pass over a file; counts what it has seen."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._bytes = 0
        self._objects = 0
        self._seen: set[tuple[int, int]] = set()

    def group(self, group: Any, path: str, depth: int) -> None:
        import h5py

        if depth > MAX_DEPTH:
            raise ModelInvalid("The HDF5 groups are nested too deeply.", check="file")
        info = h5py.h5o.get_info(group.id)
        if (info.fileno, info.addr) in self._seen:
            return  # a second hard link to the same group, perhaps to one above itself
        self._seen.add((info.fileno, info.addr))
        for name in group:
            here = f"{path}/{name}"
            self._objects += 1
            if self._objects > MAX_OBJECTS:
                raise ModelInvalid(f"The HDF5 file has over {MAX_OBJECTS} objects.", check="file")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ModelInvalid(
                    f"{here} is an HDF5 {type(link).__name__}: it points elsewhere, also into "
                    "other files of this server. Save the model with its weights inside.",
                    check="links",
                )
            item = group[name]
            if isinstance(item, h5py.Group):
                self.group(item, here, depth + 1)
            elif isinstance(item, h5py.Dataset):
                self._dataset(item, here)
            else:
                raise ModelInvalid(f"{here} is neither a group nor a dataset.", check="file")

    def _dataset(self, data: Any, path: str) -> None:
        if data.external or data.is_virtual:
            raise ModelInvalid(
                f"{path} keeps its numbers in another file of this server (external storage). "
                "Save the model with its weights inside.",
                check="links",
            )
        created = data.id.get_create_plist()
        filters = {created.get_filter(i)[0] for i in range(created.get_nfilters())}
        if filters - _FILTERS:
            raise ModelInvalid(
                f"{path} is compressed by a plug-in ({sorted(filters - _FILTERS)}), which is not "
                "loaded here. Save the model without it.",
                check="file",
            )
        if data.dtype.kind not in "fiub":
            if data.dtype.kind in "SOU" and data.size <= 16:
                return  # a small text such as a vocabulary's header; nothing of it is loaded
            raise ModelInvalid(
                f"{path} holds {data.dtype} instead of numbers; objects are never loaded.",
                check="file",
            )
        size = int(np.prod(data.shape, dtype=object)) * data.dtype.itemsize if data.shape else 8
        self._bytes += size
        if self._bytes > self._limit:
            raise ModelInvalid(
                f"{path} declares the shape {list(data.shape)}: with it the weights take over "
                f"{self._limit:,} bytes in memory, more than is allowed here. It was not read.",
                check="shapes",
            )
        if data.dtype.kind == "f" and data.shape is not None:
            self._finite(data, path)

    @staticmethod
    def _finite(data: Any, path: str) -> None:
        if not data.shape:
            blocks: Any = [data[()]]
        else:
            row = max(1, int(np.prod(data.shape[1:], dtype=object)))
            step = max(1, _BLOCK // row)
            blocks = (data[start : start + step] for start in range(0, data.shape[0], step))
        for block in blocks:
            if not np.isfinite(np.asarray(block, np.float64)).all():
                raise ModelInvalid(
                    f"The weights {path} hold numbers that are not finite (NaN or infinity). The "
                    "training diverged; take an earlier checkpoint.",
                    check="weights",
                )
