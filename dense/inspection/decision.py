"""What is said of one picture of a product; frozen and checked when made.

Boxes are xyxy and places (x, y), in original pixels; (0, 0) is the top left corner of the picture.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError

Verdict = Literal["pass", "reject", "refused"]
"""``pass``: good; ``reject``: defective; ``refused``: this picture cannot be judged."""

ReasonCode = Literal[
    "defect", "blur", "dark", "bright", "pose", "foreign", "size", "unreadable", "other"
]

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Reason:
    """Why a picture did not pass.

    Attributes:
        code: For machines.
        text: One sentence for people.
        region: Region of interest that it concerns, "" for the whole picture.
    """

    code: ReasonCode
    text: str
    region: str = ""

    def __post_init__(self) -> None:
        _check_among("Reason.code", self.code, get_args(ReasonCode))

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Defect:
    """One connected part of the defect mask.

    Attributes:
        box: (x0, y0, x1, y1) along pixel edges, x1 and y1 exclusive.
        area_px: Pixels of the mask.
        centre: (x, y) mean of its pixels' centres.
        peak: Highest value of the anomaly map in it.
        area_mm2: Area in square millimetres, ``None`` without a scale.
        centre_mm: (x, y) from the top left corner in millimetres, ``None`` without a scale.
        region: Region of interest that it lies in.
        words: How much each defect word is seen in it, in [0, 1]; the largest first.
    """

    box: tuple[int, int, int, int]
    area_px: int
    centre: tuple[float, float]
    peak: float
    area_mm2: float | None = None
    centre_mm: tuple[float, float] | None = None
    region: str = ""
    words: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.box
        if not (0 <= x0 < x1 and 0 <= y0 < y1):
            raise InputError(f"Defect.box must be xyxy with x0 < x1 and y0 < y1, got {self.box}")
        if not 0 < self.area_px <= (x1 - x0) * (y1 - y0):
            raise InputError(f"Defect.area_px must fit its box {self.box}, got {self.area_px}")
        if not (x0 <= self.centre[0] <= x1 and y0 <= self.centre[1] <= y1):
            raise InputError(f"Defect.centre must lie in its box {self.box}, got {self.centre}")
        object.__setattr__(self, "words", dict(self.words))

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "box": list(self.box),
            "area_px": self.area_px,
            "centre": list(self.centre),
            "peak": self.peak,
            "area_mm2": self.area_mm2,
            "centre_mm": None if self.centre_mm is None else list(self.centre_mm),
            "region": self.region,
            "words": dict(self.words),
        }


@dataclass(frozen=True)
class RegionScore:
    """What is said of one region of interest.

    Attributes:
        name: Of the region, "" for the whole picture.
        score: Its score, larger is more abnormal.
        threshold: Above it the region is defective; ``None`` before calibration.
        is_anomalous: Whether it is, ``None`` before calibration.
    """

    name: str
    score: float
    threshold: float | None = None
    is_anomalous: bool | None = None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Guarantee:
    """What a threshold promises about good parts.

    Attributes:
        alpha: Share of good parts that the user accepts to lose.
        bound: Share of good parts rejected at most, on average over calibrations; ``1`` if the
            method has no finite bound.
        method: How it was calibrated, e.g. ``"split"``.
        parts: Number n of good parts that it rests on.
        text: The promise in words, with what it assumes.
    """

    alpha: float
    bound: float
    method: str
    parts: int
    text: str

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise InputError(f"Guarantee.alpha must lie between 0 and 1, got {self.alpha:g}")
        if not 0 <= self.bound <= 1:
            raise InputError(f"Guarantee.bound must lie in [0, 1], got {self.bound:g}")

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Evidence:
    """The maps behind a decision, at the size of the picture.

    Attributes:
        anomaly_map: (H, W) float32, larger is more abnormal.
        mask: (H, W) bool, the defects; ``None`` before calibration.
        words: Per defect word (H, W) float32 in [0, 1].
        scale: (low, high) of the heat colours.
    """

    anomaly_map: NDArray[np.float32]
    mask: NDArray[np.bool_] | None = None
    words: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    scale: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        maps = {"mask": self.mask, **self.words}
        for name, value in maps.items():
            if value is not None and value.shape != self.anomaly_map.shape:
                raise InputError(
                    f"Evidence: {name} and anomaly_map must agree in size, expected "
                    f"{self.anomaly_map.shape}, got {value.shape}"
                )


@dataclass(frozen=True)
class Decision:
    """One picture, judged.

    Attributes:
        id: Stable: the same product, version, source and content give the same id, so that what
            is delivered twice is recognised; see `decision_id`.
        product: Name of the product.
        version: Version of the product that judged.
        source: Where the picture came from.
        content_sha256: SHA-256 of the picture's file or frame, lower-case hexadecimal.
        judged_at: When, with time zone.
        verdict: See `Verdict`. A product without a threshold gives ``refused``.
        reasons: Why it did not pass; empty if it did.
        score: Image score, larger is more abnormal; ``None`` if it was refused before scoring.
        threshold: Above it a picture is rejected, ``None`` before calibration.
        defects: The largest peak first.
        regions: Per region of interest.
        guarantee: What the threshold promises, ``None`` without calibration.
        image_size: (H, W) of the picture, ``None`` if it could not be read.
        seconds: What judging took.
        distance: Cosine distance of the picture's feature to the nearest support picture's, in
            [0, 2]; ``None`` if it was refused before scoring.
        evidence: The maps; not part of `to_json` nor of equality.
    """

    id: str
    product: str
    version: int
    source: str
    content_sha256: str
    judged_at: datetime
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    score: float | None = None
    threshold: float | None = None
    defects: tuple[Defect, ...] = ()
    regions: tuple[RegionScore, ...] = ()
    guarantee: Guarantee | None = None
    image_size: tuple[int, int] | None = None
    seconds: float = 0.0
    distance: float | None = None
    evidence: Evidence | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        _check_among("Decision.verdict", self.verdict, get_args(Verdict))
        expected = decision_id(self.product, self.version, self.source, self.content_sha256)
        if self.id != expected:
            raise InputError(f"Decision.id must be decision_id(…) = {expected}, got {self.id}")
        if self.judged_at.tzinfo is None:
            raise InputError(f"Decision.judged_at must have a time zone, got {self.judged_at}")
        if (self.verdict == "pass") == bool(self.reasons):
            raise InputError(
                f"a decision has reasons unless it passes, got {self.verdict!r} with "
                f"{len(self.reasons)} reasons"
            )
        if self.score is not None and not math.isfinite(self.score):
            raise InputError(f"Decision.score must be finite, got {self.score}")

    def to_json(self) -> dict[str, object]:
        """Plain values, without the maps; the keys stay, new ones may come."""
        return {
            "id": self.id,
            "product": self.product,
            "version": self.version,
            "source": self.source,
            "content_sha256": self.content_sha256,
            "judged_at": self.judged_at.isoformat(),
            "verdict": self.verdict,
            "reasons": [reason.to_json() for reason in self.reasons],
            "score": self.score,
            "threshold": self.threshold,
            "defects": [defect.to_json() for defect in self.defects],
            "regions": [region.to_json() for region in self.regions],
            "guarantee": None if self.guarantee is None else self.guarantee.to_json(),
            "image_size": None if self.image_size is None else list(self.image_size),
            "seconds": self.seconds,
            "distance": self.distance,
        }

    def without_evidence(self) -> Decision:
        """The same without its maps, to be kept."""
        return replace(self, evidence=None)


def decision_id(product: str, version: int, source: str, content_sha256: str) -> str:
    """32 hexadecimal letters that name the decision on this content by this product version.

    Raises:
        InputError: If the digest is no SHA-256.
    """
    if not _SHA256.fullmatch(content_sha256):
        raise InputError(
            f"content_sha256 must be 64 lower-case hexadecimal letters, got {content_sha256!r}"
        )
    parts = json.dumps([product, version, source, content_sha256], ensure_ascii=False)
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def refuse(
    product: str, version: int, source: str, content_sha256: str, reasons: Sequence[Reason]
) -> Decision:
    """The decision on a picture that cannot be judged, e.g. a file that cannot be read."""
    return Decision(
        decision_id(product, version, source, content_sha256),
        product,
        version,
        source,
        content_sha256,
        datetime.now(timezone.utc),
        "refused",
        tuple(reasons),
    )


def _check_among(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(known)}, got {value!r}")
