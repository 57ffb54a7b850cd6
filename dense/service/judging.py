"""From the intake to the log: pictures in hand are judged in batches, each decision kept once."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dense.errors import DenseError, InputError, UnknownNameError
from dense.inspection.deciding import Decider
from dense.inspection.decision import Decision, Reason, refuse
from dense.inspection.ledger import Ledger
from dense.inspection.ledger.ledger import Judged
from dense.inspection.sources.base import Picture, Unread
from dense.inspection.store.blobs import Blobs
from dense.inspection.workshop import Workshop
from dense.service import metrics
from dense.service.batcher import Batcher, Ticket
from dense.service.errors import BusyError, HTTPError
from dense.service.evidence import encode_evidence
from dense.service.intake import Arrival, Intake, Job
from dense.service.pictures import decode
from dense.service.settings import Settings

_LOG = logging.getLogger(__name__)
HELD_PIXELS = 200_000_000
"""Decoded pictures that wait in memory; others are read from disk again."""
ALONE, HOPELESS = 3, 6
"""Attempts after which a picture is judged by itself, and is not judged any more: it seems to be
what ends the workers."""
_JUDGES = 32

Image = NDArray[np.uint8]


@dataclass(eq=False)
class Work:
    """A job, with its pixels if they are in memory."""

    job: Job
    image: Image | None = None


Task = Ticket[Work, str]


class Judges:
    """Judges by product and version, the last used ones ready."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self._ready: OrderedDict[tuple[str, int, str], Decider] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, name: str, version: int) -> Decider:
        """The judge of a version.

        Raises:
            InputError: If it is gone, or its weights are.
        """
        key = (name, *self.workshop.registry.stamp(name, version))
        with self._lock:
            if key not in self._ready:
                self._ready[key] = Decider(self.workshop.judge(name, version))
                if len(self._ready) > _JUDGES:
                    self._ready.popitem(last=False)
            self._ready.move_to_end(key)
            return self._ready[key]


class Judging:
    """The line from a picture that came to a decision in the log.

    Args:
        workshop: Opens judges.
        ledger: The log.
        intake: Where pictures are kept until they are judged.
        settings: Of the service.
        me: Name of this worker.
    """

    def __init__(
        self, workshop: Workshop, ledger: Ledger, intake: Intake, settings: Settings, me: str
    ) -> None:
        self.ledger, self.intake, self.me = ledger, intake, me
        self.settings, self.limits = settings, settings.limits
        self.judges = Judges(workshop)
        self.pictures: Blobs = workshop.registry.pictures
        self.broken = ""
        self.on_broken: Callable[[], object] = _end_process
        self.pace = 0.5
        self._open: dict[str, Task] = {}
        self._pixels = 0
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self.batcher: Batcher[Work, str] = Batcher(
            self._work,
            most=settings.batch,
            wait=settings.batch_wait,
            waiting=self.limits.waiting,
            per_holder=self.limits.per_key,
        )

    def submit(
        self, arrival: Arrival, image: Image | None, *, wait: bool
    ) -> tuple[Job, Future[str] | None]:
        """Take a picture in.

        Args:
            arrival: The picture.
            image: Its pixels.
            wait: Somebody waits for the decision: refuse what would wait long.

        Returns:
            The job, and its decision's id to come; ``None`` if another worker has it or it is done.

        Raises:
            HTTPError: If there is no room.
        """
        self._check_disk()
        owner: str | None = self.me
        try:
            self.batcher.check_room(arrival.actor)
        except HTTPError as error:
            if wait:
                error.retry_after = self.retry_after()
                raise
            owner = None
        job, new = self.intake.accept(arrival, owner)
        if new and owner is not None:
            return job, self._queue(job, image).answer
        with self._lock:
            task = self._open.get(job.id)
        return job, None if task is None else task.answer

    def take_more(self) -> int:
        """Take jobs in hand that nobody has, as far as there is room; returns how many."""
        if self._ending.is_set() or self.broken:
            return 0
        room = min(self.batcher.room, 2 * self.settings.batch - self.batcher.depth)
        jobs = self.intake.claim(self.me, room)
        for job in jobs:
            self._queue(job, None)
        return len(jobs)

    def retry_after(self) -> float:
        """Seconds until about half of what waits is judged."""
        return max(1.0, self.batcher.depth * self.pace / 2)

    def end(self) -> None:
        """Judge what is in hand, give the rest back."""
        self._ending.set()
        self.batcher.end(self.settings.drain_seconds)
        self.intake.release(self.me)

    def _queue(self, job: Job, image: Image | None) -> Task:
        with self._lock:
            size = 0 if image is None else image.shape[0] * image.shape[1]
            if self._pixels + size > HELD_PIXELS:
                image, size = None, 0
            self._pixels += size
            task: Task = Ticket(
                (job.product, job.version),
                Work(job, image),
                holder=job.actor,
                alone=job.attempts >= ALONE,
            )
            self._open[job.id] = task
        self.batcher.put(task)
        metrics.QUEUE.set(self.batcher.depth)
        return task

    def _work(self, group: list[Task]) -> None:
        """Judge a batch and log it; tries until it is logged."""
        begun, now = time.perf_counter(), time.time()
        try:
            for task in group:
                metrics.WAIT.observe(max(0.0, now - task.item.job.accepted))
            decisions = self._decide([task.item for task in group])
            self._log(group, decisions)
            seconds = time.perf_counter() - begun
            self.pace = 0.8 * self.pace + 0.2 * seconds / len(group)
            metrics.JUDGE.observe(seconds)
            metrics.BATCH.observe(len(group))
        except Exception as error:
            self._give_up(error)
            raise
        finally:
            self._forget(group)
        for task in group:
            task.answer.set_result(task.item.job.id)

    def _decide(self, works: list[Work]) -> list[Decision]:
        job = works[0].job
        if job.attempts >= HOPELESS:
            text = f"judging this picture ended a worker {job.attempts - 1} times: it is left out"
            return [_refusal(work.job, text) for work in works]
        try:
            decider = self.judges.open(job.product, job.version)
        except UnknownNameError:
            text = "the product, or this version of it, was deleted before the picture was judged"
            return [_refusal(work.job, text) for work in works]
        except DenseError as error:
            return [_refusal(work.job, str(error)) for work in works]
        return decider.decide_batch([self._found(work) for work in works])

    def _found(self, work: Work) -> Picture | Unread:
        job, image = work.job, work.image
        if image is not None:
            return Picture(job.source, job.sha256, image)
        try:
            data = self.pictures.get(job.sha256)
        except InputError:
            return Unread(job.source, job.sha256, "the file was lost or damaged on the disk")
        try:
            image = decode(data, job.suffix, "the picture", self.limits.pixels)
        except DenseError as error:
            return Unread(job.source, job.sha256, str(error))
        return Picture(job.source, job.sha256, image)

    def _log(self, group: list[Task], decisions: list[Decision]) -> None:
        """Keep maps, write the log, close the jobs; a database that is away is waited for."""
        pause = 0.1
        while True:
            try:
                for actor, judged in self._judged(group, decisions).items():
                    self.ledger.record_many(judged, actor=actor)
                self.intake.finish([task.item.job.id for task in group])
                break
            except InputError as error:
                metrics.FAILED.inc()
                _LOG.error("decisions cannot be logged, tried again: %s", error)
                if self._ending.wait(pause):
                    raise
                pause = min(10.0, 2 * pause)
        for decision in decisions:
            metrics.DECISIONS.labels(decision.product, decision.verdict).inc()

    def _judged(self, group: list[Task], decisions: list[Decision]) -> dict[str, list[Judged]]:
        """What is logged, by who sent it; the maps are kept."""
        judged: dict[str, list[Judged]] = {}
        for task, decision in zip(group, decisions, strict=True):
            maps = decision.evidence
            kept = None if maps is None else self.pictures.put(encode_evidence(maps))
            entry = decision.without_evidence(), task.item.job.sha256, kept
            judged.setdefault(task.item.job.actor, []).append(entry)
        return judged

    def _forget(self, group: list[Task]) -> None:
        with self._lock:
            for task in group:
                image = task.item.image
                self._pixels -= 0 if image is None else image.shape[0] * image.shape[1]
                task.item.image = None
                self._open.pop(task.item.job.id, None)
        metrics.QUEUE.set(max(0, self.batcher.depth - len(group)))

    def _give_up(self, error: Exception) -> None:
        """The judge fails on every picture: another process may do better, this one ends."""
        if self._ending.is_set():
            return
        metrics.FAILED.inc()
        self.broken = f"judging fails: {type(error).__name__}: {error}"
        _LOG.critical("%s; this worker ends, its pictures are left to others", self.broken)
        self.on_broken()

    def _check_disk(self) -> None:
        folder = self.pictures.root
        place = folder if folder.exists() else folder.parent
        if place.exists() and shutil.disk_usage(place).free < self.limits.free_bytes:
            raise BusyError(
                "the disk is nearly full: nothing is accepted until there is room", retry_after=60
            )


def _end_process() -> None:
    """In good order; whatever started the process starts another."""
    os.kill(os.getpid(), signal.SIGTERM)


def _refusal(job: Job, text: str) -> Decision:
    reason = Reason("other", text)
    return refuse(job.product, job.version, job.source, job.sha256, [reason])
