"""What was refused for security's sake goes into the log, but never floods it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from dense.errors import DenseError
from dense.inspection.ledger import Ledger
from dense.inspection.sources.untrusted import printable_name
from dense.service import metrics

_LOG = logging.getLogger(__name__)
PAUSE = 10.0
"""Seconds between two entries of one kind from one address; those between are counted."""
_MOST = 1024


@dataclass
class _Seen:
    until: float
    count: int = 0


class Guard:
    """Notes refused requests.

    Args:
        ledger: The log.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._lock = threading.Lock()

    def note(self, what: str, *, path: str, address: str, request_id: str, actor: str = "") -> None:
        """Note a refused request.

        Args:
            what: A few fixed words, e.g. ``"wrong key"``.
            path: What was asked for.
            address: Of the client.
            request_id: Of the request.
            actor: Whose key it was, "" if nobody's.
        """
        metrics.REFUSED.labels(what).inc()
        count = self._count(what, address)
        if not count:
            return
        body = {
            "what": what,
            "path": printable_name(path[:200]),
            "address": address,
            "count": count,
            "request_id": request_id,
        }
        try:
            self.ledger.append("refused-request", "", body, actor)
        except DenseError as error:
            _LOG.error("a refused request cannot be logged: %s", error)

    def _count(self, what: str, address: str) -> int:
        """How many this entry stands for; 0 if it is too early for one."""
        now = time.monotonic()
        with self._lock:
            if len(self._seen) >= _MOST:
                self._seen = {key: seen for key, seen in self._seen.items() if seen.until > now}
                if len(self._seen) >= _MOST:
                    address = "many"
            seen = self._seen.setdefault((what, address), _Seen(0.0))
            seen.count += 1
            if seen.until > now:
                return 0
            count, seen.count, seen.until = seen.count, 0, now + PAUSE
            return count
