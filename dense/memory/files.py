"""Memories as files: safetensors with the rows, their pictures, and what they were made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dense.errors import InputError
from dense.outputs import write_bytes

NOTE = "dense_memory"
FORMAT = 1


@dataclass(frozen=True)
class Remembered:
    """Rows (M, C), the index (M,) of each row's picture, and the pictures' names."""

    rows: Tensor
    owners: Tensor
    images: tuple[str, ...]


Memories = Mapping[tuple[str, int], Remembered]


def write_memories(
    path: str | Path,
    memories: Memories,
    identity: Mapping[str, object],
    *,
    measures: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write memories by (category, place).

    Args:
        path: The file.
        memories: What to write.
        identity: What a reader must share (weights, settings), plain values.
        measures: Further tensors by name, see `read_measures`.

    Raises:
        InputError: If the place cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    entries = []
    for number, ((category, place), part) in enumerate(memories.items()):
        tensors[f"{number}.rows"] = part.rows.cpu().contiguous()
        tensors[f"{number}.owners"] = part.owners.cpu().contiguous()
        entries.append({"category": category, "place": place, "images": list(part.images)})
    tensors.update({f"measure.{name}": value for name, value in (measures or {}).items()})
    note = {"format": FORMAT, "identity": dict(identity), "memories": entries}
    return write_bytes(path, save(tensors, metadata={NOTE: json.dumps(note)}))


def read_measures(path: str | Path) -> dict[str, Tensor]:
    """Further tensors of a file that `read_memories` has accepted, by name."""
    with safe_open(path, framework="pt") as file:
        mark = "measure."
        return {
            name.removeprefix(mark): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118
            if name.startswith(mark)
        }


def read_memories(
    path: str | Path, identity: Mapping[str, object]
) -> dict[tuple[str, int], Remembered]:
    """Read memories by (category, place), in the order they were written.

    Raises:
        InputError: If the file is missing or broken, or made with other weights or settings.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such memory file: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads((file.metadata() or {})[NOTE])
            made, entries = dict(note["identity"]), list(note["memories"])
            memories = {
                (str(entry["category"]), int(entry["place"])): Remembered(
                    file.get_tensor(f"{number}.rows"),
                    file.get_tensor(f"{number}.owners"),
                    tuple(str(image) for image in entry["images"]),
                )
                for number, entry in enumerate(entries)
            }
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a memory file of this package: {error}") from error
    for key, value in identity.items():
        if made.get(key) != value:
            raise InputError(
                f"{path} was made with other {key}: expected {value!r}, got {made.get(key)!r}; "
                "fit anew or load the model and settings it was made with"
            )
    for part in memories.values():
        sound = part.rows.ndim == 2 and part.owners.shape == part.rows.shape[:1]
        if not sound or not part.owners.numel() or int(part.owners.max()) >= len(part.images):
            raise InputError(f"{path} is not a memory file of this package: its parts disagree")
    return memories
