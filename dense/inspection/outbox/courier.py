"""One thread a sink carries decisions out of the journal, however slow or dead the sink is."""

from __future__ import annotations

import logging
import threading
import time

from dense.errors import DenseError
from dense.inspection.backoff import Backoff
from dense.inspection.outbox.journal import Journal
from dense.inspection.sinks.base import DeliveryError, Message, Sink

_LOG = logging.getLogger(__name__)


class Courier(threading.Thread):
    """Delivers what waits for one sink, oldest first, until told to stop.

    Temporary failures are tried again with growing pauses, for ever; what the sink refuses for good
    is set aside, kept and told. So the order of what a sink takes is the order of the decisions.

    Args:
        journal: Holds the decisions.
        sink: Takes them.
        product: Told to the sink before there is something to deliver.
        backoff: Pauses between attempts.
    """

    def __init__(
        self,
        journal: Journal,
        sink: Sink,
        *,
        product: str = "",
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(name=f"courier {sink.name}", daemon=True)
        self.journal, self.sink, self.product = journal, sink, product
        self._opened = not product
        self.backoff = backoff or Backoff()
        self.delivered = 0
        self.problem = ""
        self._stop_at: float | None = None
        self._wake = threading.Event()

    def finish(self, seconds: float) -> None:
        """Deliver what still waits, but take no longer than this."""
        self.backoff.reset()
        self._stop_at = time.monotonic() + seconds
        self._wake.set()

    def run(self) -> None:
        try:
            while not self._over():
                self._turn()
        finally:
            self.sink.close()

    def _over(self) -> bool:
        if self._stop_at is None:
            return False
        return time.monotonic() >= self._stop_at or not self.journal.waiting().get(self.sink.name)

    def _turn(self) -> None:
        """One attempt, or a short sleep if nothing waits."""
        try:
            name, limit = self.sink.name, self.sink.batch
            messages = []
            if self._opened and self.journal.waiting().get(name):
                messages = self.journal.pending(name, limit, pictures=bool(self.sink.pictures))
            if self._opened and not messages:
                self.journal.wait_for_more(name, 0.2)
                return
            self._deliver(messages)
        except DenseError as error:  # the journal was closed or given up
            self.problem = str(error)
            self._stop_at = 0.0
        except Exception as error:  # whatever it is, what waits is safe: try again
            self._pause(f"{type(error).__name__}: {error}")

    def _deliver(self, messages: list[Message]) -> None:
        done, problem, refused = len(messages), "", False
        try:
            if not self._opened:
                self.sink.open(self.product)
                self._opened = True
            if messages:
                self.sink.deliver(messages)
        except DeliveryError as error:
            done, problem, refused = error.done, str(error), error.refused
        except Exception as error:  # a sink must never end its courier
            done, problem = 0, f"{type(error).__name__}: {error}"
        if done:
            numbers = [message.sequence for message in messages[:done]]
            self.journal.delivered(self.sink.name, numbers)
            self.delivered += done
        if refused:
            self._set_aside(messages[done], problem)
        elif problem:
            self._pause(problem)
        else:
            self._succeed()

    def _succeed(self) -> None:
        if self.problem:
            _LOG.warning("%s: takes results again", self.sink.name)
        self.problem = ""
        self.backoff.reset()

    def _set_aside(self, message: Message, problem: str) -> None:
        self.journal.set_aside(self.sink.name, message.sequence, problem)
        _LOG.warning(
            "%s: refused result %s, which is kept (see --resend): %s",
            self.sink.name,
            message.id,
            problem,
        )

    def _pause(self, problem: str) -> None:
        if not self.problem:
            _LOG.warning("%s: %s; results are kept until it takes them", self.sink.name, problem)
        self.problem = problem
        pause = self.backoff.next()
        if self._stop_at is not None:
            pause = min(pause, max(0.0, self._stop_at - time.monotonic()))
            time.sleep(pause)
        else:
            self._wake.wait(pause)
