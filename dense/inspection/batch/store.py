"""A local folder or an fsspec address such as ``s3://bucket/parts``, read and written."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dense.errors import InputError, MissingDependencyError
from dense.images import IMAGE_SUFFIXES
from dense.inspection.sources.untrusted import MAX_FILE_BYTES, printable_name, read_regular
from dense.outputs import write_bytes

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_LOG = logging.getLogger(__name__)


class Store:
    """Files below one place.

    Args:
        place: A folder or an fsspec address.

    Attributes:
        place: The same for other processes: a folder's whole path.

    Raises:
        InputError: If no such kind of address is known.
        MissingDependencyError: If its package is not installed.
    """

    def __init__(self, place: str) -> None:
        self.place = str(place)
        self._remote: AbstractFileSystem | None = None
        if "://" in self.place:
            self._remote, self._root = _open(self.place)
        else:
            self._root = self.place = str(Path(self.place).resolve())

    def pictures(self) -> list[str]:
        """Names of all pictures below, also in folders, sorted.

        Links are not followed; those that lead out are told.

        Raises:
            InputError: If the place does not exist or has no pictures.
        """
        found = self._local_files() if self._remote is None else self._remote_files()
        names = sorted(name for name in found if Path(name).suffix.lower() in IMAGE_SUFFIXES)
        if not names:
            kinds = " ".join(sorted(IMAGE_SUFFIXES))
            raise InputError(f"no pictures in {self.place}: expected files ending in {kinds}")
        return names

    def read_picture(self, name: str) -> bytes:
        """The bytes of a picture.

        Raises:
            InputError: If it is no regular file or too large.
            OSError: If it cannot be read.
        """
        if self._remote is None:
            path = Path(self._root, name)
            if not path.parent.resolve().is_relative_to(self._root):
                raise InputError(f"{printable_name(name)} leads out of the folder")
            return read_regular(path)[0]
        with self._remote.open(f"{self._root}/{name}", "rb") as stream:
            data: bytes = stream.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise InputError(
                f"{name} has more than the {MAX_FILE_BYTES / 1e6:.0f} MB that are read"
            )
        return data

    def read(self, name: str) -> bytes | None:
        """The bytes of one of our own files; ``None`` if there is none."""
        try:
            if self._remote is None:
                return Path(self._root, name).read_bytes()
            data: bytes = self._remote.cat_file(f"{self._root}/{name}")
            return data
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all.

        Raises:
            InputError: If the place cannot be written.
        """
        if self._remote is None:
            write_bytes(Path(self._root, name), data)
            return
        try:
            self._remote.pipe_file(f"{self._root}/{name}", data)
        except OSError as error:
            raise InputError(f"cannot write {name} into {self.place}: {error}") from error

    def names(self) -> set[str]:
        """Names of the files directly in it; empty if it does not exist."""
        try:
            if self._remote is None:
                return {entry.name for entry in os.scandir(self._root)}
            return {str(path).rpartition("/")[2] for path in self._remote.ls(self._root, False)}
        except FileNotFoundError:
            return set()

    def _local_files(self) -> list[str]:
        root = Path(self._root)
        if not root.is_dir():
            raise InputError(f"no such folder: {self.place}")
        found = []
        for folder, _, names in os.walk(root):
            for name in names:
                path = Path(folder, name)
                if not path.is_symlink():
                    found.append(path.relative_to(root).as_posix())
                elif not path.resolve().is_relative_to(root):
                    _LOG.warning("refused: %s is a link out of the folder", printable_name(name))
        return found

    def _remote_files(self) -> list[str]:
        if self._remote is None:
            return []
        try:
            paths = self._remote.find(self._root)
        except OSError as error:
            raise InputError(f"cannot list {self.place}: {error}") from error
        return [str(path)[len(self._root) :].lstrip("/") for path in paths]


def _open(place: str) -> tuple[AbstractFileSystem, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingDependencyError(
            "addresses need fsspec: pip install 'dense-clip[batch]'"
        ) from error
    try:
        system, root = fsspec.url_to_fs(place)
    except ImportError as error:
        raise MissingDependencyError(f"{place} needs another package: {error}") from error
    except ValueError as error:
        raise InputError(f"cannot open {place}: {error}") from error
    return system, str(root).rstrip("/")
