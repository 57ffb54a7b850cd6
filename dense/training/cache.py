"""Features of frozen parts on disk: computed once, read at every epoch.

Memory-mapped arrays with one row an item. A build that was interrupted goes on where it stopped:
rows count only after `commit` has put their number, atomically, beside the arrays. The folder's
name is a hash of everything that the features depend on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dense.errors import InputError, unknown_name

_NUMPY: dict[str, np.dtype[np.generic]] = {
    "fp16": np.dtype(np.float16),
    "bf16": np.dtype(np.int16),
    "fp32": np.dtype(np.float32),
}
_TORCH = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Field:
    """One array of a cache.

    Attributes:
        shape: Of one row.
        dtype: ``"bf16"``, ``"fp16"`` or ``"fp32"``.
    """

    shape: tuple[int, ...]
    dtype: str = "bf16"

    def __post_init__(self) -> None:
        if self.dtype not in _NUMPY:
            raise unknown_name("cache dtype", self.dtype, _NUMPY)


def content_key(*parts: str | bytes | Iterable[str]) -> str:
    """Hash of everything that cached features depend on; order matters."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        rows = [part] if isinstance(part, str | bytes) else list(part)
        digest.update(f"{len(rows)}:".encode())
        for row in rows:
            data = row if isinstance(row, bytes) else row.encode()
            digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()


class FeatureCache:
    """Rows of named tensors on disk.

    Args:
        folder: Where the arrays lie; made if missing.
        count: Number of rows.
        fields: Arrays by name.

    Raises:
        InputError: If the folder holds a cache of another form, or cannot be written.
    """

    def __init__(self, folder: str | Path, count: int, fields: Mapping[str, Field]) -> None:
        self.folder = Path(folder)
        self.count = count
        self.fields = dict(fields)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_form()
            self.arrays = {name: self._open(name, field) for name, field in fields.items()}
        except OSError as error:
            raise InputError(f"cannot keep features in {self.folder}: {error.strerror}") from error

    @property
    def done(self) -> int:
        """Rows that count, from the first."""
        try:
            return int(json.loads((self.folder / "progress.json").read_text())["rows"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    @property
    def complete(self) -> bool:
        """Whether all rows are there."""
        return self.done >= self.count

    def write(self, start: int, rows: Mapping[str, Tensor]) -> None:
        """Write rows from `start` on; they count after `commit`.

        Raises:
            InputError: If a field is missing or has another shape.
        """
        for name, field in self.fields.items():
            value = rows.get(name)
            if value is None or tuple(value.shape[1:]) != field.shape:
                got = None if value is None else tuple(value.shape)
                raise InputError(f"cache field {name} needs rows of shape {field.shape}, got {got}")
            value = value.detach().cpu().to(_TORCH[field.dtype])
            if field.dtype == "bf16":
                value = value.view(torch.int16)
            self.arrays[name][start : start + len(value)] = value.numpy()

    def commit(self, rows: int) -> None:
        """Declare the first `rows` rows finished."""
        for array in self.arrays.values():
            array.flush()
        _write_json(self.folder / "progress.json", {"rows": rows})

    def read(self, index: int, name: str) -> Tensor:
        """One row of a field, fp32.

        Raises:
            InputError: If the row does not exist or is not finished.
        """
        if not 0 <= index < self.count:
            raise InputError(f"the cache has rows 0 to {self.count - 1}, not {index}")
        value = torch.from_numpy(np.array(self.arrays[name][index]))
        if self.fields[name].dtype == "bf16":
            value = value.view(torch.bfloat16)
        return value.float()

    def fill(
        self, compute: Callable[[int, int], Mapping[str, Tensor]], *, batch: int, every: int = 20
    ) -> FeatureCache:
        """Compute the rows that are missing.

        Args:
            compute: (start, stop) → the rows of all fields.
            batch: Rows at once.
            every: Batches between commits.
        """
        start = self.done
        log = logging.getLogger(__name__)
        for step, begin in enumerate(range(start, self.count, batch), 1):
            stop = min(self.count, begin + batch)
            self.write(begin, compute(begin, stop))
            if step % every == 0 or stop == self.count:
                self.commit(stop)
                log.info("features %d of %d in %s", stop, self.count, self.folder)
        return self

    def _check_form(self) -> None:
        form = {"count": self.count, "fields": {k: _form(f) for k, f in self.fields.items()}}
        place = self.folder / "form.json"
        if not place.is_file():
            _write_json(place, form)
        elif json.loads(place.read_text()) != json.loads(json.dumps(form)):
            raise InputError(
                f"{self.folder} holds features of another form; remove it or choose another folder"
            )

    def _open(self, name: str, field: Field) -> np.memmap:
        path = self.folder / f"{name}.bin"
        shape = (self.count, *field.shape)
        size = int(np.prod(shape)) * _NUMPY[field.dtype].itemsize
        if not path.is_file() or path.stat().st_size != size:
            (self.folder / "progress.json").unlink(missing_ok=True)
            with path.open("wb") as file:
                file.truncate(size)
        return np.memmap(path, _NUMPY[field.dtype], "r+", shape=shape)


def _form(field: Field) -> list[object]:
    return [list(field.shape), field.dtype]


def _write_json(path: Path, content: object) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file)
    Path(temporary).replace(path)
