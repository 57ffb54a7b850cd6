"""A watched folder: every new picture once, also across restarts.

What "once" means: a name with a content is decided once.

- A file is read when its size and time have not changed for `settle` seconds; one that cannot be
  decoded yet gets `patience` seconds more before it is refused.
- Overwritten with other content: decided again, it is another part. Touched or copied over with
  the same content: not decided again.
- Renamed or moved inside the folder (same file, same content, old name gone): not decided again.
  A copy under another name is another part.
- Links are never followed: one that leads out of the folder is refused with a warning, one that
  stays inside is left out, as its target is judged itself.

The folder is listed again and again instead of asking the system for events, which network shares
do not send.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dense.errors import InputError
from dense.images import IMAGE_SUFFIXES
from dense.inspection.sources.base import Ledger, Mark, Picture, Unread
from dense.inspection.sources.untrusted import (
    MAX_LINE_PIXELS,
    UnfinishedError,
    decode_untrusted,
    hash_file,
    looks_whole,
    printable_name,
    read_regular,
)

_LOG = logging.getLogger(__name__)


@dataclass
class _Sighting:
    """A file that is not decided yet: how it looks and since when."""

    stamp: str
    since: float
    tried: bool = False


class FolderSource:
    """Yield the pictures of a folder as they come, the oldest first.

    Args:
        folder: Watched; names that begin with a full stop are left out.
        ledger: Remembers what was decided.
        recursive: Look into folders of the folder, too.
        settle: Seconds without a change before a file is read.
        patience: Seconds without a change before a file that cannot be decoded is refused.
        poll: Seconds between two looks.
        once: End when all files that are there are decided.
        max_pixels: Larger pictures are refused.
        clock: Rising seconds, for tests.

    Raises:
        InputError: If it is no folder.
    """

    def __init__(
        self,
        folder: str | Path,
        ledger: Ledger,
        *,
        recursive: bool = False,
        settle: float = 1.0,
        patience: float = 10.0,
        poll: float = 0.5,
        once: bool = False,
        max_pixels: int = MAX_LINE_PIXELS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = Path(folder).resolve()
        if not self.folder.is_dir():
            raise InputError(f"no such folder: {folder}")
        self.name = f"folder {printable_name(str(self.folder))}"
        self.ledger, self.recursive, self.once = ledger, recursive, once
        self.settle, self.patience, self.poll = settle, max(patience, settle), poll
        self.max_pixels, self.clock = max_pixels, clock
        self._decided: dict[str, str] = {}
        self._waiting: dict[str, _Sighting] = {}
        self._refused: set[str] = set()
        self._lost = False
        self._counts = {"refused_links": 0, "renamed": 0, "unchanged": 0}

    def counts(self) -> dict[str, int]:
        """Links refused, files renamed, files written anew with the same content."""
        return dict(self._counts)

    def pictures(self, stop: threading.Event) -> Iterator[Picture | Unread]:
        """Yield pictures until `stop`, or with `once` until nothing is left to decide."""
        while not stop.is_set():
            for place in self._look():
                if stop.is_set():
                    return
                found = self._take(place)
                if found is not None:
                    yield found
            if self.once and not self._waiting and not self._lost:
                return
            stop.wait(self.poll)

    def _look(self) -> list[str]:
        """List the folder and return the places that have settled, the oldest first."""
        now, ready, present = self.clock(), [], set()
        for place, status in self._files():
            present.add(place)
            stamp = _stamp(status)
            if self._is_decided(place, stamp):
                continue
            sighting = self._waiting.get(place)
            if sighting is None or sighting.stamp != stamp:
                sighting = self._waiting[place] = _Sighting(stamp, now)
            wait = self.patience if sighting.tried else self.settle
            if now - sighting.since >= wait:
                ready.append((status.st_mtime_ns, place))
        if not self._lost:
            for known in (self._decided, self._waiting):
                for gone in known.keys() - present:
                    del known[gone]
        return [place for _, place in sorted(ready)]

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """All regular picture files; a folder that is away (a share) is waited for."""
        folders, was_lost, self._lost = [self.folder], self._lost, False
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as listing:
                    entries = list(listing)
            except FileNotFoundError:
                self._lost = self._lost or folder == self.folder
                continue
            except OSError:
                self._lost = True
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_symlink():
                    self._refuse_link(Path(entry.path))
                elif self.recursive and entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                    status = _status(entry)
                    if status is not None:
                        yield Path(entry.path).relative_to(self.folder).as_posix(), status
        if self._lost and not was_lost:
            _LOG.warning("%s cannot be listed; waiting until it is back", self.name)

    def _is_decided(self, place: str, stamp: str) -> bool:
        if place not in self._decided:
            seen = self.ledger.find(printable_name(place))
            if seen is not None:
                self._decided[place] = seen.stamp
        return self._decided.get(place) == stamp

    def _refuse_link(self, link: Path) -> None:
        if str(link) in self._refused:
            return
        with contextlib.suppress(OSError, RuntimeError):  # a link to itself leads nowhere
            if link.resolve().is_relative_to(self.folder):
                return
        self._refused.add(str(link))
        self._counts["refused_links"] += 1
        _LOG.warning("refused: %s is a link out of the folder", printable_name(link.name))

    def _take(self, place: str) -> Picture | Unread | None:
        """Read one settled file; ``None`` if it is not its time or it was decided before."""
        path, sighting = self.folder / place, self._waiting[place]
        if not path.parent.resolve().is_relative_to(self.folder):
            return None
        name = printable_name(place)
        try:
            data, status = read_regular(path)
            digest = hashlib.sha256(data).hexdigest()
            if _stamp(status) != sighting.stamp or _stamp(path.lstat()) != sighting.stamp:
                return None  # written meanwhile: the next look sees it with its new stamp
        except InputError as error:
            digest = hash_file(path)
            return self._unread(place, Mark(name, sighting.stamp), digest, str(error))
        except OSError:
            return None
        mark = Mark(name, sighting.stamp)
        if self._known(place, mark, digest):
            return None
        return self._decode(place, mark, data, digest)

    def _decode(self, place: str, mark: Mark, data: bytes, digest: str) -> Picture | Unread | None:
        sighting = self._waiting[place]
        try:
            if not sighting.tried and not looks_whole(data, mark.place):
                raise UnfinishedError(f"{mark.place} has no end yet")
            image = decode_untrusted(data, mark.place, max_pixels=self.max_pixels)
        except UnfinishedError as error:
            if not sighting.tried:
                sighting.tried = True
                return None
            return self._unread(place, mark, digest, str(error))
        except InputError as error:
            return self._unread(place, mark, digest, str(error))
        self._settle(place, mark)
        return Picture(mark.place, digest, image, mark)

    def _known(self, place: str, mark: Mark, digest: str) -> bool:
        """Whether this content was decided under this name, or under one it was renamed from."""
        seen = self.ledger.find(mark.place)
        same = seen is not None and seen.content_sha256 == digest
        moved = not same and any(
            old.content_sha256 == digest and old.place != mark.place and self._is_gone(old.place)
            for old in self.ledger.with_stamp(mark.stamp)
        )
        if same or moved:
            self._counts["unchanged" if same else "renamed"] += 1
            self.ledger.remember(mark, digest)
            self._settle(place, mark)
        return same or moved

    def _is_gone(self, name: str) -> bool:
        """Whether no file has this printable name; names with escaped letters count as there."""
        return "%" not in name and not os.path.lexists(self.folder / name)

    def _unread(self, place: str, mark: Mark, digest: str, reason: str) -> Unread | None:
        if self._known(place, mark, digest):
            return None
        _LOG.warning("refused: %s", reason)
        self._settle(place, mark)
        return Unread(mark.place, digest, reason, mark)

    def _settle(self, place: str, mark: Mark) -> None:
        self._decided[place] = mark.stamp
        self._waiting.pop(place, None)


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """The status of a regular file, ``None`` for anything else and what just went away."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_dev}:{status.st_ino}"
