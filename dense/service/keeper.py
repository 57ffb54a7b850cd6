"""The thread that keeps a worker's house: heartbeat, jobs without an owner, drift, old files."""

from __future__ import annotations

import logging
import threading
import time

from dense.errors import DenseError
from dense.inspection.drift import Watch
from dense.inspection.ledger import Ledger, acting_as
from dense.service import metrics
from dense.service.intake import Intake, Pulse
from dense.service.judging import Judging
from dense.service.lookout.projects import Projects
from dense.service.memory import give_back
from dense.service.parts import Parts

_LOG = logging.getLogger(__name__)
LOOK, BEAT, BURY, DRIFT, GIVE_BACK, TIDY = 0.25, 2.0, 2.0, 5.0, 30.0, 3600.0
"""Seconds between looks for jobs, heartbeats, looks for dead workers and for drift, giving back
memory, and tidying."""


class Keeper:
    """Runs until it is ended.

    Args:
        judging: Takes jobs in hand.
        pulse: The heartbeat.
        parts: Whose files stay.
        ledger: Decisions with feedback keep their files.
        watch: Looks for drift.
        keep_days: Age at which pictures and maps of decisions are removed, ``None`` for never.
    """

    def __init__(
        self,
        judging: Judging,
        pulse: Pulse,
        parts: Parts,
        ledger: Ledger,
        watch: Watch,
        keep_days: float | None,
    ) -> None:
        self.judging, self.pulse, self.parts = judging, pulse, parts
        self.ledger, self.watch, self.keep_days = ledger, watch, keep_days
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
        chores = {
            self._beat: BEAT,
            self._bury: BURY,
            self._look: LOOK,
            self._watch: DRIFT,
            give_back: GIVE_BACK,
            self._tidy: TIDY,
        }
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
                except Exception:  # the heart must go on, or others judge what is in hand here
                    _LOG.exception("%s failed", chore.__name__.strip("_"))

    def _beat(self) -> None:
        self.pulse.beat()

    def _bury(self) -> None:
        freed = self.pulse.bury()
        if freed:
            metrics.ADOPTED.inc(freed)
            _LOG.warning("%d pictures of workers that ended are taken over", freed)

    def _look(self) -> None:
        self.judging.take_more()

    def _watch(self) -> None:
        with acting_as("dense"):
            alarms = self.watch.look()
        for entry in alarms:
            _LOG.warning("drift of %s: %s", entry.product, entry.content["text"])

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
    used, before = set[str](), None
    while page := ledger.decisions(feedback="any", before=before, limit=500):
        used |= {name for one in page for name in (one.picture, one.evidence) if name}
        before = page[-1].seq
    return used
