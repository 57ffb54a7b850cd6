"""Pictures that were accepted: on disk before anybody judges them, judged whatever happens.

A row of the table is a promise. It names the product's version that will judge, so that the id of
the decision is known from the beginning: whoever judges it in the end, and how often, makes the
same decision, and the log takes it once. A worker owns the rows that it has in hand; the rows of a
worker whose heart has stopped go back to all.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from dense.errors import InputError
from dense.inspection.decision import decision_id
from dense.inspection.store.blobs import Blobs
from dense.inspection.store.database import Database
from dense.service.errors import BusyError, ConflictError
from dense.service.tables import intake, workers

KEPT_SECONDS = 7 * 86_400.0
"""For which a finished row tells a job's state and recognises a request sent again."""


@dataclass(frozen=True)
class Arrival:
    """A picture as it came.

    Attributes:
        product: Its name.
        version: Version that will judge.
        source: Where it came from, printable.
        data: The file.
        suffix: Of its format, with the full stop.
        actor: Who sent it.
        again: Idempotency-Key of the request, "" if none.
    """

    product: str
    version: int
    source: str
    data: bytes
    suffix: str
    actor: str
    again: str = ""


@dataclass(frozen=True)
class Job:
    """A row: see `Arrival`; `id` is the decision's."""

    id: str
    product: str
    version: int
    source: str
    sha256: str
    suffix: str
    actor: str
    state: str
    attempts: int
    accepted: float


class Intake:
    """The table and the pictures' files.

    Args:
        database: Of the registry.
        pictures: Where the files go.
        backlog: Rows that may wait.
    """

    def __init__(self, database: Database, pictures: Blobs, *, backlog: int = 10_000) -> None:
        self.database, self.pictures, self.backlog = database, pictures, backlog

    def accept(self, arrival: Arrival, owner: str | None) -> tuple[Job, bool]:
        """Keep a picture; afterwards it is on disk and will be judged.

        Args:
            arrival: The picture.
            owner: Worker that takes it in hand, ``None`` for the next that has room.

        Returns:
            The row, and whether it is new: the same picture of the same source, or the same
            Idempotency-Key, gives the row that there is.

        Raises:
            BusyError: If too many rows wait.
            ConflictError: If the Idempotency-Key came with another picture before.
        """
        sha256 = self.pictures.put(arrival.data, durable=True)
        again = _again(arrival)
        name = decision_id(arrival.product, arrival.version, arrival.source, sha256)
        with self.database.write() as connection:
            known = self._known(connection, name, again)
            if known is not None:
                if known.sha256 != sha256 or known.product != arrival.product:
                    raise ConflictError(
                        "this Idempotency-Key came with another picture before: use a new one"
                    )
                return known, False
            waits = select(func.count()).where(intake.c.state == "waiting")
            waiting = connection.execute(waits).scalar_one()
            if waiting >= self.backlog:
                raise BusyError(f"{waiting} accepted pictures wait to be judged: try again later")
            row = {
                "id": name,
                "product": arrival.product,
                "version": arrival.version,
                "source": arrival.source,
                "sha256": sha256,
                "suffix": arrival.suffix,
                "actor": arrival.actor,
                "again": again,
                "state": "waiting",
                "owner": owner,
                "attempts": 0 if owner is None else 1,
                "accepted": time.time(),
            }
            added = insert(intake).values(row).returning(intake)
            return _job(connection.execute(added).one()), True

    def find(self, job_id: str) -> Job | None:
        """A row by its id."""
        with self.database.read() as connection:
            row = connection.execute(select(intake).where(intake.c.id == job_id)).one_or_none()
        return None if row is None else _job(row)

    def claim(self, owner: str, count: int) -> list[Job]:
        """Take rows in hand that nobody has, oldest first."""
        if count < 1:
            return []
        free = (
            select(intake.c.id)
            .where(intake.c.state == "waiting", intake.c.owner.is_(None))
            .order_by(intake.c.accepted)
            .limit(count)
            .with_for_update(skip_locked=True)
        )
        with self.database.read() as connection:  # most looks find nothing: no lock for them
            if connection.execute(free.with_only_columns(intake.c.id)).first() is None:
                return []
        with self.database.write() as connection:
            ids = list(connection.execute(free).scalars())
            taken = connection.execute(
                update(intake)
                .where(intake.c.id.in_(ids))
                .values(owner=owner, attempts=intake.c.attempts + 1)
                .returning(intake)
            ).all()
        return sorted((_job(row) for row in taken), key=lambda job: job.accepted)

    def finish(self, ids: Sequence[str]) -> None:
        """Rows whose decisions are in the log."""
        with self.database.write() as connection:
            done = update(intake).where(intake.c.id.in_(ids))
            connection.execute(done.values(state="done", owner=None))

    def release(self, owner: str) -> None:
        """Give all rows of a worker back that were not judged."""
        mine = (intake.c.state == "waiting") & (intake.c.owner == owner)
        with self.database.write() as connection:
            values = {"owner": None, "attempts": intake.c.attempts - 1}
            connection.execute(update(intake).where(mine).values(values))

    def waiting(self) -> int:
        """Rows that are not judged yet."""
        with self.database.read() as connection:
            wanted = select(func.count()).where(intake.c.state == "waiting")
            return int(connection.execute(wanted).scalar_one())

    def prune(self, older: float = KEPT_SECONDS) -> int:
        """Forget finished rows that are older than some seconds; returns how many."""
        old = (intake.c.state == "done") & (intake.c.accepted < time.time() - older)
        with self.database.write() as connection:
            return int(connection.execute(delete(intake).where(old)).rowcount)

    def used(self) -> set[str]:
        """SHA-256 of pictures that are not judged yet."""
        with self.database.read() as connection:
            wanted = select(intake.c.sha256).where(intake.c.state == "waiting")
            return set(connection.execute(wanted).scalars())

    def _known(self, connection: Connection, name: str, again: str | None) -> Job | None:
        same = intake.c.id == name
        if again is not None:
            same |= intake.c.again == again
        row = connection.execute(select(intake).where(same).limit(1)).one_or_none()
        return None if row is None else _job(row)


class Pulse:
    """Heartbeats of workers, and who has none any more.

    A worker is dead if its number has not grown for `patience` seconds of *this* machine's clock,
    so clocks need not agree.

    Args:
        database: Of the registry.
        me: Name of this worker.
        patience: Seconds without a beat.
    """

    def __init__(self, database: Database, me: str, *, patience: float = 10.0) -> None:
        self.database, self.me, self.patience = database, me, patience
        self._seen: dict[str, tuple[int, float]] = {}
        self._beat = 0

    def beat(self) -> None:
        """Say that this worker lives."""
        self._beat += 1
        with self.database.write() as connection:
            mine = update(workers).where(workers.c.id == self.me).values(beat=self._beat)
            if connection.execute(mine).rowcount == 0:
                connection.execute(insert(workers).values(id=self.me, beat=self._beat))

    def bury(self, now: float | None = None) -> int:
        """Give back the rows of dead workers; returns how many."""
        now = time.monotonic() if now is None else now
        with self.database.read() as connection:
            beats = {row.id: row.beat for row in connection.execute(select(workers))}
            held = select(intake.c.owner).where(intake.c.state == "waiting").distinct()
            owners = {owner for owner in connection.execute(held).scalars() if owner}
        for owner in owners - beats.keys():  # it was buried, or never had a heart
            beats[owner] = -1
        seen = {
            name: known if (known := self._seen.get(name)) and known[0] == beat else (beat, now)
            for name, beat in beats.items()
        }
        self._seen = seen
        dead = [
            name
            for name, (_, since) in seen.items()
            if name != self.me and now - since >= self.patience
        ]
        return self._remove(dead)

    def leave(self) -> None:
        """This worker ends in good order."""
        self._remove([self.me])

    def _remove(self, names: Collection[str]) -> int:
        if not names:
            return 0
        with self.database.write() as connection:
            lost = (intake.c.state == "waiting") & intake.c.owner.in_(names)
            freed = connection.execute(update(intake).where(lost).values(owner=None)).rowcount
            connection.execute(delete(workers).where(workers.c.id.in_(names)))
        return int(freed)


def _again(arrival: Arrival) -> str | None:
    if not arrival.again:
        return None
    if len(arrival.again) > 255:
        raise InputError("an Idempotency-Key has at most 255 letters")
    return hashlib.sha256(f"{arrival.actor}\n{arrival.again}".encode()).hexdigest()


def _job(row: Row[tuple[object, ...]]) -> Job:
    return Job(
        row.id,
        row.product,
        row.version,
        row.source,
        row.sha256,
        row.suffix,
        row.actor,
        row.state,
        row.attempts,
        row.accepted,
    )
