"""Pictures that wait together are judged together.

One thread works. When it is free it takes the oldest ticket and all others of the same kind that
wait, up to a number, so that batches grow by themselves with the load and a lone picture waits for
nobody but `wait`.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dense.service.errors import BusyError, TooManyError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class Ticket(Generic[Item, Answer]):
    """What waits.

    Attributes:
        kind: Only tickets of one kind are worked on together.
        item: For the work.
        holder: Who counts for it.
        alone: It is never worked on with others.
        answer: Where the result goes.
        arrived: On the monotonic clock.
    """

    kind: object
    item: Item
    holder: str = ""
    alone: bool = False
    answer: Future[Answer] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)


class Batcher(Generic[Item, Answer]):
    """A queue with a working thread.

    Args:
        work: Takes tickets of one kind; sets their answers. What it raises is set instead.
        most: Tickets worked on together.
        wait: Seconds that a ticket may wait for company when the thread is free.
        waiting: Tickets that may wait.
        per_holder: Of them those of one holder.
    """

    def __init__(
        self,
        work: Callable[[list[Ticket[Item, Answer]]], None],
        *,
        most: int = 8,
        wait: float = 0.0,
        waiting: int = 64,
        per_holder: int = 32,
    ) -> None:
        self.work, self.most, self.wait = work, most, wait
        self.waiting, self.per_holder = waiting, per_holder
        self._queue: deque[Ticket[Item, Answer]] = deque()
        self._held: Counter[str] = Counter()
        self._busy = 0
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def depth(self) -> int:
        """Tickets that wait or are worked on."""
        with self._changed:
            return len(self._queue) + self._busy

    @property
    def room(self) -> int:
        """Tickets that could be taken in."""
        return max(0, self.waiting - self.depth)

    def check_room(self, holder: str) -> None:
        """Refuse before any work is done for a ticket.

        Raises:
            TooManyError: If the holder has too many.
            BusyError: If too many wait.
        """
        with self._changed:
            held, depth = self._held[holder], len(self._queue) + self._busy
        if held >= self.per_holder:
            raise TooManyError(
                f"this key has {held} pictures waiting, the most it may have: wait for their "
                "decisions"
            )
        if self._ending:
            raise BusyError("the service is being stopped: try again in a moment")
        if depth >= self.waiting:
            raise BusyError(f"{depth} pictures wait to be judged: try again in a moment")

    def put(self, ticket: Ticket[Item, Answer]) -> None:
        """Queue a ticket."""
        with self._changed:
            self._held[ticket.holder] += 1
            self._queue.append(ticket)
            self._changed.notify_all()

    def end(self, seconds: float) -> list[Ticket[Item, Answer]]:
        """Work on what waits for at most some seconds, then stop; returns what is left."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(seconds)
        with self._changed:
            left = list(self._queue)
            self._queue.clear()
            self._changed.notify_all()
        for ticket in left:
            ticket.answer.set_exception(BusyError("the service is being stopped"))
        return left

    def _run(self) -> None:
        while group := self._next():
            self._work_on(group)

    def _work_on(self, group: list[Ticket[Item, Answer]]) -> None:
        try:
            self.work(group)
        except BaseException as error:  # whoever waits must hear of it
            for ticket in group:
                if not ticket.answer.done():
                    ticket.answer.set_exception(error)
        finally:
            with self._changed:
                self._busy = 0
                self._held -= Counter(ticket.holder for ticket in group)

    def _next(self) -> list[Ticket[Item, Answer]]:
        """The oldest ticket and its company; empty at the end."""
        with self._changed:
            while not self._queue:
                if self._ending:
                    return []
                self._changed.wait()
            oldest = self._queue[0]
            until = oldest.arrived + self.wait
            while not oldest.alone and not self._ending and len(self._alike(oldest)) < self.most:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            if not self._queue:
                return []
            group = [oldest] if oldest.alone else self._alike(oldest)
            for ticket in group:
                self._queue.remove(ticket)
            self._busy = len(group)
            return group

    def _alike(self, oldest: Ticket[Item, Answer]) -> list[Ticket[Item, Answer]]:
        alike = (t for t in self._queue if t.kind == oldest.kind and not t.alone)
        return [ticket for _, ticket in zip(range(self.most), alike, strict=False)]
