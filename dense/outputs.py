"""Files that the package writes: whole or not at all, with one clear error when a place refuses."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dense.errors import InputError


def write_bytes(path: str | Path, data: bytes, *, durable: bool = False) -> Path:
    """Write a file whole or not at all; parents are made.

    Args:
        path: Its place.
        data: Its content.
        durable: Return when it would survive a power failure.

    Raises:
        InputError: If the place cannot be written.
    """
    return write_parts(path, (data,), durable=durable)


def write_parts(path: str | Path, parts: Iterable[bytes], *, durable: bool = False) -> Path:
    """Write a file that does not fit into memory, part by part, see `write_bytes`."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.writelines(parts)
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
            if durable:
                _sync_folder(path.parent)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text, see `write_bytes`."""
    return write_bytes(path, text.encode())


def write_json(path: str | Path, content: Mapping[str, object]) -> Path:
    """Write indented UTF-8 JSON, see `write_bytes`; non-finite numbers become ``null``."""
    return write_text(path, json.dumps(plain_values(content), indent=2, ensure_ascii=False) + "\n")


def write_index_mask(
    path: str | Path,
    class_map: NDArray[np.integer],
    *,
    num_classes: int,
    palette: NDArray[np.uint8] | None = None,
) -> Path:
    """Write class indices (H, W) as PNG: 8 bits (with a palette, if given) or 16 bits.

    Args:
        path: Where the PNG goes.
        class_map: (H, W) indices; pixels without a class are 255 in 8 bits, 65535 in 16.
        num_classes: More than 255 classes need 16 bits.
        palette: (256, 3) RGB colours for viewers; ignored for 16-bit masks.
    """
    wide = num_classes > 255
    picture = Image.fromarray(class_map.astype(np.uint16 if wide else np.uint8))
    if palette is not None and not wide:
        picture.putpalette(palette.astype(np.uint8).tobytes())
    stream = io.BytesIO()
    picture.save(stream, format="PNG")
    return write_bytes(path, stream.getvalue())


def check_writable(directory: str | Path, option: str = "--out") -> Path:
    """Make the output directory now, so that a bad place is refused before the work starts.

    Args:
        directory: The place.
        option: What to change, for the sentence.

    Raises:
        InputError: If it cannot be made or written to.
    """
    directory = Path(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise InputError(
            f"cannot write into {directory}: {error.strerror or error}; choose another {option}"
        ) from error
    return directory


def check_file(path: str | Path, option: str) -> None:
    """Refuse now a file that could not be written later; its folder is made.

    Args:
        path: The file.
        option: What to change, for the sentence.

    Raises:
        InputError: If it is a folder, or lies where nothing can be written.
    """
    if Path(path).is_dir():
        raise InputError(f"cannot write {path}: it is a folder; choose another {option}")
    check_writable(Path(path).parent, option)


def output_names(paths: Sequence[Path]) -> list[str]:
    """Name the outputs of each input by its stem; stems that meet get their suffix and folder."""
    names = [path.stem for path in paths]
    for spell in (_with_suffix, _with_parent):
        count = Counter(name.casefold() for name in names)
        names = [
            spell(path, name) if count[name.casefold()] > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):
        seen[name.casefold()] += 1
        if seen[name.casefold()] > 1:
            names[place] = f"{name}_{seen[name.casefold()]}"
    return names


def _with_suffix(path: Path, name: str) -> str:
    return f"{name}_{path.suffix.lstrip('.')}"


def _with_parent(path: Path, name: str) -> str:
    return f"{path.resolve().parent.name}_{name}"


def plain_values(value: object) -> object:
    """What JSON can hold: arrays as lists, paths as text, non-finite numbers as ``None``."""
    if isinstance(value, Mapping):
        return {str(key): plain_values(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return plain_values(value.tolist())
    if isinstance(value, np.generic):
        return plain_values(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Path):
        return value.as_posix()
    return value
