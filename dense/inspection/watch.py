"""Watch a source: judge every picture once, keep every decision, tell every sink.

One thread judges; each sink has a courier of its own. Between them stands the journal on disk, so
neither a slow network nor a crash of this process loses a result, see `dense.inspection.outbox`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dense.errors import InputError
from dense.inspection.backoff import Backoff
from dense.inspection.deciding import Decider, JudgeLike
from dense.inspection.decision import Decision
from dense.inspection.outbox import Courier, Journal
from dense.inspection.pictures import encode_pictures
from dense.inspection.sinks.base import Sink
from dense.inspection.sources.base import Picture, Source, Unread

_LOG = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where a watch stands.

    Attributes:
        verdicts: Pictures decided since the start, by verdict.
        delivered: Results taken since the start, by sink.
        waiting: Results that wait, by sink.
        problems: What sinks complain of.
        blocked: Seconds that the source was made to wait for a full outbox.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    delivered: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    blocked: float = 0.0


class Watch:
    """Runs a source through a judge into sinks.

    Args:
        judge: Decides.
        source: Gives the pictures.
        journal: Bound to the product and the source here; not closed.
        sinks: Take the decisions; closed at the end.
        drain: Seconds that the sinks get at the end for what still waits.
        backoff: Makes the pauses of a courier between attempts.
        on_decision: Called after each decision is kept.

    Raises:
        InputError: If two sinks are the same, or the journal belongs to others.
    """

    def __init__(
        self,
        judge: JudgeLike,
        source: Source,
        journal: Journal,
        sinks: Sequence[Sink],
        *,
        drain: float = 10.0,
        backoff: Callable[[], Backoff] = Backoff,
        on_decision: Callable[[Decision, Progress], None] | None = None,
    ) -> None:
        names = [sink.name for sink in sinks]
        for name, count in Counter(names).items():
            if count > 1:
                raise InputError(f"the sink {name} is given {count} times")
        journal.bind(judge.product, source.name)
        self.judge, self.source, self.journal, self.sinks = judge, source, journal, sinks
        self.drain, self.on_decision = drain, on_decision
        self.couriers = [
            Courier(journal, sink, product=judge.product, backoff=backoff()) for sink in sinks
        ]
        self._progress, self._decider = Progress(), Decider(judge)
        for name, count in journal.waiting().items():
            if name not in names:
                _LOG.warning("%d results wait for %s, which is not among the sinks", count, name)

    def run(self, stop: threading.Event) -> dict[str, object]:
        """Watch until the source ends or `stop` is set, let the sinks finish, and sum up.

        Raises:
            InputError: If the journal cannot be written and `Journal.give_up` was set.
        """
        started = time.perf_counter()
        for courier in self.couriers:
            courier.start()
        try:
            names = [sink.name for sink in self.sinks]
            for found in self.source.pictures(stop):
                self._progress.blocked += self.journal.wait_for_room(names, stop)
                self._keep(found)
        finally:
            self._finish()
        return self._summary(time.perf_counter() - started)

    def progress(self) -> Progress:
        """Where the watch stands now."""
        self._progress.waiting = self.journal.waiting()
        self._progress.delivered = {c.sink.name: c.delivered for c in self.couriers}
        self._progress.problems = {c.sink.name: c.problem for c in self.couriers if c.problem}
        return self._progress

    def _keep(self, found: Picture | Unread) -> None:
        decision = self._decider.decide(found)
        takers = [sink for sink in self.sinks if decision.verdict in sink.only]
        names = {name for sink in takers for name in sink.pictures}
        pictures = {}
        if names and isinstance(found, Picture):
            pictures = encode_pictures(found.image, decision, names)
        routes = {sink.name: sink.pictures for sink in takers}
        self.journal.record(decision.to_json(), routes, pictures=pictures, mark=found.mark)
        self._progress.verdicts[decision.verdict] += 1
        if self.on_decision is not None:
            self.on_decision(decision.without_evidence(), self.progress())

    def _finish(self) -> None:
        until = time.monotonic() + self.drain
        for courier in self.couriers:
            courier.finish(self.drain)
        for courier in self.couriers:
            courier.join(max(0.0, until - time.monotonic()) + 2.0)

    def _summary(self, seconds: float) -> dict[str, object]:
        now = self.progress()
        return {
            "command": "watch",
            "product": self.judge.product,
            "version": self.judge.version,
            "source": self.source.name,
            "decided": {
                verdict: now.verdicts[verdict] for verdict in ("pass", "reject", "refused")
            },
            "delivered": dict(now.delivered),
            "waiting": dict(now.waiting),
            "set_aside": self.journal.aside(),
            "from_source": self.source.counts(),
            "seconds_blocked": round(now.blocked, 3),
            "seconds": round(seconds, 3),
        }
