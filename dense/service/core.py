"""Everything that a worker of the service has, put together once."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from dense.errors import InputError, UnknownNameError
from dense.inspection.drift import Watch
from dense.inspection.ledger import Ledger, acting_as
from dense.inspection.store.registry import Record, Registry
from dense.inspection.workshop import Workshop
from dense.service.errors import BusyError, LostError
from dense.service.events import Events
from dense.service.intake import Intake, Pulse
from dense.service.judging import Judging
from dense.service.keeper import Keeper
from dense.service.keys import KeyStore, Role
from dense.service.parts import Parts
from dense.service.security import Guard
from dense.service.settings import Settings

_LOG = logging.getLogger(__name__)
HEAVY_SECONDS, MOST_HEAVY = 120.0, 4
"""Longest wait for, and most requests waiting for, the one that makes or calibrates a product."""


class Core:
    """Of one worker.

    Args:
        settings: Of the service.
        workshop: Of the registry that the settings name; opened if ``None``.
    """

    def __init__(self, settings: Settings, workshop: Workshop | None = None) -> None:
        self.settings, self.limits = settings, settings.limits
        if workshop is None:
            registry = Registry(settings.home, database=settings.database)
            workshop = Workshop(registry, device=settings.device)
        self.workshop, self.registry = workshop, workshop.registry
        database, pictures = self.registry.database, self.registry.pictures
        self.me = secrets.token_hex(8)
        self.ledger = Ledger(database)
        self.keys = KeyStore(database)
        self.guard = Guard(self.ledger)
        self.intake = Intake(database, pictures, backlog=self.limits.backlog)
        self.parts = Parts(database, pictures, pixels=self.limits.pixels)
        self.judging = Judging(workshop, self.ledger, self.intake, settings, self.me)
        self.events = Events(self.ledger, most=self.limits.listeners)
        pulse = Pulse(database, self.me)
        watch = Watch(self.registry, self.ledger)
        self.keeper = Keeper(
            self.judging, pulse, self.parts, self.ledger, watch, settings.keep_days
        )
        self.warm = threading.Event()
        self._heavy = threading.Semaphore(1)
        self._waiting = threading.Semaphore(MOST_HEAVY)

    def start(self) -> None:
        """Begin to work; models are loaded meanwhile."""
        self.keeper.pulse.beat()
        self.judging.batcher.start()
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def end(self) -> None:
        """Finish what is in hand, give the rest back."""
        self.judging.end()
        if self.warm.is_set():
            self.keeper.end()
        else:
            self.keeper.pulse.leave()
        self.registry.close()

    def record(self, name: str, version: int | None = None) -> Record:
        """A product.

        Raises:
            LostError: If there is none of that name.
        """
        with self._found():
            return self.registry.get(name, version)

    def forget(self, name: str, actor: str) -> None:
        """Delete a product and the parts that are kept for it; its decisions stay in the log."""
        with acting_as(actor):
            self.registry.delete(name)
        self.parts.drop(product=name)
        self.registry.collect()

    def file(self, sha256: str | None, what: str) -> bytes:
        """A file of a decision: its picture or its maps.

        Raises:
            LostError: If there is none, or no longer, or another than the log names.
        """
        if sha256 is None:
            raise LostError(f"this decision has no {what}: it could not be judged")
        try:
            return self.registry.pictures.get(sha256)
        except UnknownNameError as error:
            raise LostError(f"the {what} of this decision is no longer kept") from error
        except InputError as error:
            _LOG.error("%s", error)
            raise LostError(
                f"the file with the {what} of this decision was changed: it does not have the "
                "hash that the log names"
            ) from error

    def stamp(self, name: str, version: int | None = None) -> tuple[int, str]:
        """Number and time of a product's version, by default the one in use.

        Raises:
            LostError: If there is none of that name.
        """
        with self._found():
            return self.registry.stamp(name, version)

    @contextlib.contextmanager
    def heavy(self) -> Iterator[None]:
        """One at a time, with few waiting: making, calibrating, playing.

        Raises:
            BusyError: If too many wait, or for too long.
        """
        if not self._waiting.acquire(blocking=False):
            raise BusyError("others make or calibrate products: try again later", retry_after=30)
        try:
            if not self._heavy.acquire(timeout=HEAVY_SECONDS):
                raise BusyError("another product is being made: try again later", retry_after=30)
            try:
                yield
            finally:
                self._heavy.release()
        finally:
            self._waiting.release()

    @contextlib.contextmanager
    def _found(self) -> Iterator[None]:
        try:
            yield
        except UnknownNameError as error:
            raise LostError(str(error)) from error

    def _warm_up(self) -> None:
        """Load the models of all products, then begin with the jobs of others."""
        try:
            names: list[str | None] = list(self.registry.names())
            for name in names or [None]:
                self._load(name)
        finally:
            self.keeper.start()
            self.warm.set()

    def _load(self, name: str | None) -> None:
        """Load the model of a product, or that of the playground."""
        try:
            if name is None:
                self.workshop.fitting.backbone("embedded")
            else:
                product = self.registry.get(name).product
                self.workshop.fitting.backbone(product.model, product.pretrained)
        except Exception as error:  # a product with a lost model must not stop the others
            _LOG.error("the model of %s cannot be loaded: %s", name or "the playground", error)


def first_key(registry: Registry) -> str | None:
    """Make the first engineer's key if there is no key at all; returns its text."""
    keys = KeyStore(registry.database)
    if keys.list():
        return None
    with acting_as("dense"):
        return keys.add("first engineer", Role.engineer)[0]


def page_folder() -> Path:
    """Where the page's files are."""
    return Path(__file__).parent / "page"
