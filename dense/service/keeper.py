"""The thread that keeps a worker's house: its heartbeat, jobs without an owner, old files."""

from __future__ import annotations

import logging
import threading
import time

from dense.errors import DenseError
from dense.inspection.ledger import Ledger
from dense.service import metrics
from dense.service.intake import Intake, Pulse
from dense.service.judging import Judging
from dense.service.lookout.projects import Projects
from dense.service.parts import Parts

_LOG = logging.getLogger(__name__)
LOOK, BEAT, BURY, TIDY = 0.25, 2.0, 2.0, 3600.0
"""Seconds between looks for jobs, heartbeats, looks for dead workers, and tidying."""


class Keeper:
    """Runs until it is ended.

    Args:
        judging: Takes jobs in hand.
        pulse: The heartbeat.
        parts: Whose files stay.
        ledger: Decisions with feedback keep their files.
        keep_days: Age at which pictures and maps of decisions are removed, ``None`` for never.
    """

    def __init__(
        self,
        judging: Judging,
        pulse: Pulse,
        parts: Parts,
        ledger: Ledger,
        keep_days: float | None,
    ) -> None:
        self.judging, self.pulse, self.parts = judging, pulse, parts
        self.ledger, self.keep_days = ledger, keep_days
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop; the heart stops with it."""
        self._end.set()
        self._thread.join(30.0)
        self.pulse.leave()

    def _run(self) -> None:
        chores = {self._beat: BEAT, self._bury: BURY, self._look: LOOK, self._tidy: TIDY}
        due = dict.fromkeys(chores, 0.0)
        while not self._end.wait(LOOK):
            for chore, pause in chores.items():
                if time.monotonic() < due[chore]:
                    continue
                due[chore] = time.monotonic() + pause
                try:
                    chore()
                except DenseError as error:  # the database is away: it comes back
                    _LOG.warning("%s: %s", chore.__name__.strip("_"), error)

    def _beat(self) -> None:
        self.pulse.beat()

    def _bury(self) -> None:
        freed = self.pulse.bury()
        if freed:
            metrics.ADOPTED.inc(freed)
            _LOG.warning("%d pictures of workers that ended are taken over", freed)

    def _look(self) -> None:
        self.judging.take_more()

    def _tidy(self) -> None:
        intake: Intake = self.judging.intake
        intake.prune()
        if self.keep_days is None:
            return
        used = intake.used() | self.parts.used() | _with_feedback(self.ledger)
        used |= Projects(intake.database).used()
        freed = intake.pictures.collect(used, young=self.keep_days * 86_400)
        if freed:
            _LOG.info("pictures older than %g days removed: %d bytes", self.keep_days, freed)


def _with_feedback(ledger: Ledger) -> set[str]:
    """Files of decisions that somebody gave feedback on."""
    used: set[str] = set()
    for kind in ("right", "false-alarm", "missed"):
        before = None
        while page := ledger.decisions(feedback=kind, before=before, limit=500):
            used |= {name for one in page for name in (one.picture, one.evidence) if name}
            before = page[-1].seq
    return used
