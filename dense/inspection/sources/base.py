"""What sources give and what they remember."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mark:
    """Where a source stands, kept with the decision in one step.

    Attributes:
        place: What the mark is about, e.g. the name of a file in the watched folder.
        stamp: How it looked or how far it was read.
    """

    place: str
    stamp: str


@dataclass(frozen=True)
class Picture:
    """A picture to judge.

    Attributes:
        source: Where it came from, printable and without control characters.
        content_sha256: Of the file, or of the frame's size and pixels.
        image: (H, W, 3) uint8 RGB.
        mark: What to remember with the decision; ``None`` for cameras.
    """

    source: str
    content_sha256: str
    image: NDArray[np.uint8]
    mark: Mark | None = None


@dataclass(frozen=True)
class Unread:
    """A picture that is there but will not be decoded; it gets a decision, too.

    Attributes:
        source: As in `Picture`.
        content_sha256: As in `Picture`.
        reason: One sentence.
        mark: As in `Picture`.
    """

    source: str
    content_sha256: str
    reason: str
    mark: Mark | None = None


@dataclass(frozen=True)
class Seen:
    """A row of the ledger: the mark's stamp and the content that was decided."""

    place: str
    stamp: str
    content_sha256: str


class Ledger(Protocol):
    """What was decided before, across restarts."""

    def find(self, place: str) -> Seen | None:
        """What is known of a place."""

    def with_stamp(self, stamp: str) -> list[Seen]:
        """All places that looked like this."""

    def remember(self, mark: Mark, content_sha256: str) -> None:
        """Keep a mark without a decision: the content was decided before."""


class Source(Protocol):
    """Gives pictures one by one.

    Attributes:
        name: Names the source in messages and ties the state folder to it.
    """

    name: str

    def pictures(self, stop: threading.Event) -> Iterator[Picture | Unread]:
        """Yield until the source ends or `stop` is set; looks at `stop` at least every second."""

    def counts(self) -> dict[str, int]:
        """What else happened, e.g. refused links or reconnects; for the summary."""
