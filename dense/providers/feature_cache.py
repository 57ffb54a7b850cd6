"""Image features by content, in bounded memory and, if asked, in a bounded folder."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from dense.errors import InputError
from dense.outputs import check_writable, write_bytes

MEMORY_BYTES = 256 << 20
FOLDER_BYTES = 4 << 30
_SUFFIX = ".features.safetensors"


class FeatureCache:
    """The tensors used last; older ones go when their sum exceeds the bound.

    Args:
        memory: Bytes in memory.
        folder: Where they are kept, too, for the next run; nowhere if ``None``.
        on_disk: Bytes of the folder's files.

    Raises:
        InputError: If a bound is negative or the folder cannot be written.
    """

    def __init__(
        self,
        *,
        memory: int = MEMORY_BYTES,
        folder: str | Path | None = None,
        on_disk: int = FOLDER_BYTES,
    ) -> None:
        if memory < 0 or on_disk < 0:
            raise InputError(f"cache bounds must be 0 or more bytes, got {memory} and {on_disk}")
        self.memory, self.on_disk = memory, on_disk
        self.folder = None if folder is None else check_writable(folder)
        self._kept: OrderedDict[str, Tensor] = OrderedDict()

    @property
    def bytes(self) -> int:
        """Held in memory."""
        return sum(value.nbytes for value in self._kept.values())

    def get(self, key: str) -> Tensor | None:
        """What was put under a key, or ``None``; a broken file counts as none."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if self.folder is None:
            return None
        path = self._path(key)
        try:
            value = load_file(path)["features"]
            os.utime(path)
        except (OSError, SafetensorError, KeyError):
            return None
        self._keep(key, value)
        return value

    def put(self, key: str, value: Tensor) -> None:
        """Keep a tensor, copied to the CPU."""
        value = value.detach().cpu().contiguous()
        self._keep(key, value)
        if self.folder is not None and value.nbytes <= self.on_disk:
            write_bytes(self._path(key), save({"features": value}))
            self._sweep(self.folder)

    def _keep(self, key: str, value: Tensor) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        while self._kept and self.bytes > self.memory:
            self._kept.popitem(last=False)

    def _path(self, key: str) -> Path:
        return Path(self.folder or ".") / f"{key}{_SUFFIX}"

    def _sweep(self, folder: Path) -> None:
        """Remove the files used longest ago until the rest fits; other files are not touched."""
        files = []
        for path in folder.glob(f"*{_SUFFIX}"):
            try:
                state = path.stat()
            except OSError:  # another process was faster
                continue
            files.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.on_disk:
                return
            path.unlink(missing_ok=True)
            total -= size
