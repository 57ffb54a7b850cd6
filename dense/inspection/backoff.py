"""Pauses between attempts that grow, with a random part so that many do not retry in step."""

from __future__ import annotations

import random


class Backoff:
    """Exponential back-off with jitter.

    The n-th pause is drawn evenly from the upper half of ``first * 2**n``, at most `longest`.

    Args:
        first: Seconds of the first pause at most.
        longest: Seconds that no pause exceeds.
        seed: Of the jitter; ``None`` draws anew.
    """

    def __init__(
        self, *, first: float = 0.5, longest: float = 60.0, seed: int | None = None
    ) -> None:
        self.first, self.longest = first, longest
        self.attempts = 0
        self._random = random.Random(seed)  # nosec B311  # jitter of pauses

    def next(self) -> float:
        """The next pause in seconds."""
        bound = min(self.longest, self.first * 2.0 ** min(self.attempts, 60))
        self.attempts += 1
        return bound * self._random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin anew after a success."""
        self.attempts = 0
