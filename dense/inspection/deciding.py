"""From what a source gives to a decision, whatever the picture or the judge do."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dense.errors import DenseError
from dense.inspection.decision import Decision, Reason, refuse
from dense.inspection.sources.base import Picture, Unread

_LOG = logging.getLogger(__name__)
_FAILURES = 5
"""Unexpected failures in a row after which the judge is broken, not the pictures."""


class JudgeLike(Protocol):
    """What is needed of a `dense.inspection.judge.Judge`."""

    product: str
    version: int

    def judge(self, image: NDArray[np.uint8], source: str, content_sha256: str) -> Decision:
        """Judge one picture (H, W, 3) uint8 RGB."""

    def judge_batch(
        self,
        images: Sequence[NDArray[np.uint8]],
        sources: Sequence[str],
        content_sha256: Sequence[str],
    ) -> list[Decision]:
        """Judge pictures; the same decisions as one by one."""


class Decider:
    """Gives every picture a decision: one that cannot be judged is refused, with the reason.

    Args:
        judge: Judges what can be judged.
    """

    def __init__(self, judge: JudgeLike) -> None:
        self.judge = judge
        self._failures = 0

    def decide(self, found: Picture | Unread) -> Decision:
        """Decide on one picture.

        Raises:
            Exception: What the judge raises, if it fails on five pictures in a row: then something
                else is broken.
        """
        if isinstance(found, Unread):
            return self._refuse(found, Reason("unreadable", found.reason))
        try:
            decision = self.judge.judge(found.image, found.source, found.content_sha256)
            self._failures = 0
            return decision
        except DenseError as error:
            reason = Reason("unreadable", str(error))
        except Exception as error:  # one odd picture must not end the line
            self._failures += 1
            if self._failures >= _FAILURES:
                raise
            reason = Reason("other", f"judging failed: {type(error).__name__}: {error}")
        _LOG.warning("%s: %s", found.source, reason.text)
        return self._refuse(found, reason)

    def decide_batch(self, found: Sequence[Picture | Unread]) -> list[Decision]:
        """Decide on pictures together; if that fails, one by one."""
        pictures = [entry for entry in found if isinstance(entry, Picture)]
        try:
            judged = iter(
                self.judge.judge_batch(
                    [entry.image for entry in pictures],
                    [entry.source for entry in pictures],
                    [entry.content_sha256 for entry in pictures],
                )
                if pictures
                else []
            )
        except Exception:  # finds out which one it was
            return [self.decide(entry) for entry in found]
        return [next(judged) if isinstance(e, Picture) else self.decide(e) for e in found]

    def _refuse(self, found: Picture | Unread, reason: Reason) -> Decision:
        judge = self.judge
        return refuse(
            judge.product, judge.version, found.source, found.content_sha256, [reason]
        ).without_evidence()
