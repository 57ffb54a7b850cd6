"""What a report tells, gathered from registry and log at one time."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from dense import __version__
from dense.errors import InputError
from dense.images import decode_image
from dense.inspection.calibration import escape, guarantee
from dense.inspection.decision import Guarantee, ReasonCode
from dense.inspection.drift import DriftReport, drift_report
from dense.inspection.ledger import Feedback, Ledger, Verification
from dense.inspection.product import Picture, Product, fingerprint
from dense.inspection.store.database import Database
from dense.inspection.store.registry import Record, Registry
from dense.inspection.store.tables import decisions
from dense.inspection.thresholds import Escape

PACKAGES = ("torch", "open_clip_torch", "timm", "numpy", "sqlalchemy")
SHOWN = 8
"""Support pictures that are shown."""


@dataclass(frozen=True)
class Facts:
    """What a report is made of.

    Attributes:
        made_at: ISO 8601, UTC.
        home: Where the registry is, without logins.
        record: The version in use.
        history: All versions.
        product_sha256: See `dense.inspection.product.fingerprint`.
        files: Files of the product that were read and have the hashes they are named by.
        broken: What is wrong with the others.
        pictures: Support pictures with their names, the first few.
        guarantee: Of the thresholds.
        escape: Defective examples that passed.
        counts: Decisions by verdict, of all versions.
        counts_now: Of the version in use.
        period: When the first and the last decision were made.
        reasons: How many decisions have each reason, the most frequent first.
        feedback: In force.
        drift: See `dense.inspection.drift`.
        log: Result of verifying it.
        software: (package, version) pairs.
    """

    made_at: str
    home: str
    record: Record
    history: Sequence[Record]
    product_sha256: str
    files: int
    broken: Sequence[str]
    pictures: Sequence[tuple[str, NDArray[np.uint8]]]
    guarantee: Guarantee | None
    escape: Escape | None
    counts: dict[str, int]
    counts_now: dict[str, int]
    period: tuple[str, str] | None
    reasons: dict[str, int]
    feedback: Sequence[Feedback]
    drift: DriftReport
    log: Verification
    software: Sequence[tuple[str, str]]

    @property
    def product(self) -> Product:
        return self.record.product

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "made_at": self.made_at,
            **self.record.to_json(),
            "product_sha256": self.product_sha256,
            "files": self.files,
            "broken": list(self.broken),
            "guarantee": None if self.guarantee is None else self.guarantee.to_json(),
            "escape": None if self.escape is None else self.escape.to_json(),
            "counts": self.counts,
            "counts_of_version": self.counts_now,
            "period": None if self.period is None else list(self.period),
            "reasons": self.reasons,
            "feedback": [said.to_json() for said in self.feedback],
            "drift": self.drift.to_json(),
            "log": self.log.to_json(),
            "software": dict(self.software),
        }


def gather(registry: Registry, name: str) -> Facts:
    """Read everything; the whole log and all files of the product are verified.

    Raises:
        InputError: If there is no such product.
    """
    record, ledger = registry.get(name), Ledger(registry.database)
    known = record.product.calibration
    broken = _broken(registry, record.product)
    return Facts(
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
        registry.database.name,
        record,
        registry.history(name),
        fingerprint(record.product),
        len(record.product.blobs) - len(broken),
        broken,
        _pictures(registry, record.product),
        None if known is None else guarantee(known),
        None if known is None else escape(known),
        ledger.counts(name),
        ledger.counts(name, record.version),
        _period(registry.database, name),
        _reasons(registry.database, name),
        ledger.feedback(name),
        drift_report(record, ledger),
        ledger.verify(),
        _software(),
    )


def _broken(registry: Registry, product: Product) -> list[str]:
    found = (_damage(registry, sha256) for sha256 in sorted(product.blobs))
    return [why for why in found if why is not None]


def _damage(registry: Registry, sha256: str) -> str | None:
    try:
        registry.blobs.get(sha256)
    except InputError as error:
        return str(error)
    return None


def _pictures(registry: Registry, product: Product) -> list[tuple[str, NDArray[np.uint8]]]:
    found = [(one.name, _pixels(registry, one)) for one in product.support[:SHOWN]]
    return [(name, image) for name, image in found if image is not None]


def _pixels(registry: Registry, picture: Picture) -> NDArray[np.uint8] | None:
    """``None`` for a damaged file: it is told among those."""
    try:
        return decode_image(registry.blobs.get(picture.blob), picture.name, formats=["PNG"])
    except InputError:
        return None


def _period(database: Database, name: str) -> tuple[str, str] | None:
    when = decisions.c.judged_at
    wanted = select(func.min(when), func.max(when)).where(decisions.c.product == name)
    with database.read() as connection:
        first, last = connection.execute(wanted).one()
    return None if first is None else (first, last)


def _reasons(database: Database, name: str) -> dict[str, int]:
    found = {}
    with database.read() as connection:
        for code in get_args(ReasonCode):
            wanted = select(func.count()).where(
                decisions.c.product == name, decisions.c.reasons.startswith(f"{code} ")
            )
            found[code] = connection.execute(wanted).scalar_one()
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return {code: count for code, count in ordered if count}


def _software() -> list[tuple[str, str]]:
    found = [(package, _version(package)) for package in PACKAGES]
    return [
        ("dense", __version__),
        ("Python", platform.python_version()),
        *((package, number) for package, number in found if number),
        ("system", platform.platform()),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
