"""From a picture to a decision."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.inspection.calibration import guarantee
from dense.inspection.decision import (
    Decision,
    Defect,
    Evidence,
    Reason,
    RegionScore,
    Verdict,
    decision_id,
)
from dense.inspection.defects import defect_mask, find_defects
from dense.inspection.product import Product
from dense.inspection.team import Reading, Team
from dense.inspection.traits import Traits

AT_ONCE = 8
"""Pictures that are read together."""

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Outcome:
    """The part of a decision that the picture alone decides."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    score: float | None = None
    threshold: float | None = None
    regions: tuple[RegionScore, ...] = ()
    distance: float | None = None
    evidence: Evidence | None = None
    defects: tuple[Defect, ...] = ()


class Judge:
    """Judges pictures of one version of one product; built by `open_judge` or a `Workshop`.

    Args:
        record: The product.
        version: Its version.
        team: Its fitted models.
        traits: What its gates compare with.

    Attributes:
        product: Name of the product.
        version: Version that judges.
    """

    def __init__(self, record: Product, version: int, team: Team, traits: Traits) -> None:
        self.record, self.version = record, version
        self.product = record.name
        self.team, self.traits = team, traits
        known = record.calibration
        self.guarantee = None if known is None else guarantee(known)

    def judge(self, image: Image, source: str, content_sha256: str) -> Decision:
        """Judge one picture (H, W, 3) uint8 RGB."""
        return self.judge_batch([image], [source], [content_sha256])[0]

    def judge_batch(
        self, images: Sequence[Image], sources: Sequence[str], content_sha256: Sequence[str]
    ) -> list[Decision]:
        """Judge pictures; the same decisions as one by one.

        Args:
            images: (H, W, 3) uint8 RGB each.
            sources: Where each came from.
            content_sha256: Of the file or frame of each.

        Raises:
            InputError: If a picture is none, or the three differ in length.
        """
        if not len(images) == len(sources) == len(content_sha256):
            raise InputError("every picture needs its source and the SHA-256 of its content")
        decisions: list[Decision] = []
        for start in range(0, len(images), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            decisions += self._judge(images[part], sources[part], content_sha256[part])
        return decisions

    def readings(self, images: Sequence[Image]) -> list[Reading | None]:
        """What the models say of pictures, before any threshold; ``None`` where a gate refuses."""
        refused = [bool(self._before(image)) for image in images]
        kept = [image for image, no in zip(images, refused, strict=True) if not no]
        readings = iter(self.team.read(kept) if kept else [])
        return [None if no else next(readings) for no in refused]

    def _judge(
        self, images: Sequence[Image], sources: Sequence[str], digests: Sequence[str]
    ) -> list[Decision]:
        begun = time.perf_counter()
        refused = [self._before(image) for image in images]
        readable = [image for image, why in zip(images, refused, strict=True) if not why]
        readings = iter(self.team.read(readable) if readable else [])
        outcomes = [
            _Outcome("refused", why) if why else self._decide(next(readings)) for why in refused
        ]
        seconds = (time.perf_counter() - begun) / len(images)
        return [
            self._decision(image, source, digest, outcome, seconds)
            for image, source, digest, outcome in zip(
                images, sources, digests, outcomes, strict=True
            )
        ]

    def _before(self, image: Image) -> tuple[Reason, ...]:
        """Why a picture cannot be judged, before the model has seen it."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(f"a picture is (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
        record, size = self.record, image.shape[:2]
        wanted = record.support[0].size
        if (record.view.size or record.mm_per_pixel) and size != wanted:
            text = (
                f"the picture has {size[1]} × {size[0]} pixels, the product's regions and scale "
                f"are for {wanted[1]} × {wanted[0]}"
            )
            return (Reason("size", text),)
        return tuple(self.traits.before(image, record.gates))

    def _decide(self, reading: Reading) -> _Outcome:
        record, known = self.record, self.record.calibration
        distance = self.traits.distance(reading.feature)
        if known is None:
            return self._without_threshold(reading, distance)
        regions = tuple(
            RegionScore(name, score, known.thresholds[name], score > known.thresholds[name])
            for name, score in reading.scores.items()
        )
        worst = max(regions, key=lambda region: region.score - (region.threshold or 0.0))
        bad = [region for region in regions if region.is_anomalous]
        masks = {
            region.name: defect_mask(
                reading.result.anomaly_map,
                known.pixel_thresholds[region.name],
                record.view.masks.get(region.name),
            )
            for region in bad
        }
        abnormal = self._abnormal(masks)
        foreign = self.traits.foreign(reading.feature, record.gates, abnormal) if bad else []
        words = self.team.word_maps(reading) if bad and not foreign else {}
        defects, mask = find_defects(reading.result.anomaly_map, masks, words, record.mm_per_pixel)
        evidence = Evidence(reading.result.anomaly_map, mask, words, self.team.heat_scale)
        why = tuple(foreign) or tuple(_defective(region) for region in bad)
        verdict: Verdict = "refused" if foreign else "reject" if bad else "pass"
        if foreign:
            defects = ()
        score, threshold = worst.score, worst.threshold
        return _Outcome(verdict, why, score, threshold, regions, distance, evidence, defects)

    def _without_threshold(self, reading: Reading, distance: float) -> _Outcome:
        text = f"no threshold yet: dense product calibrate {self.product}"
        regions = tuple(RegionScore(name, score) for name, score in reading.scores.items())
        evidence = Evidence(reading.result.anomaly_map, scale=self.team.heat_scale)
        score = max(reading.scores.values())
        why = (Reason("other", text),)
        return _Outcome("refused", why, score, None, regions, distance, evidence)

    def _abnormal(self, masks: Mapping[str, Mask]) -> float:
        """Share of what is looked at that is marked as defective."""
        if not masks:
            return 0.0
        marked, seen = np.logical_or.reduce(list(masks.values())), self.record.view.seen
        return float(marked.sum() / (marked.size if seen is None else seen.sum()))

    def _decision(
        self, image: Image, source: str, digest: str, outcome: _Outcome, seconds: float
    ) -> Decision:
        return Decision(
            id=decision_id(self.product, self.version, source, digest),
            product=self.product,
            version=self.version,
            source=source,
            content_sha256=digest,
            judged_at=datetime.now(timezone.utc),
            verdict=outcome.verdict,
            reasons=outcome.reasons,
            score=outcome.score,
            threshold=outcome.threshold,
            defects=outcome.defects,
            regions=outcome.regions,
            guarantee=self.guarantee,
            image_size=(image.shape[0], image.shape[1]),
            seconds=round(seconds, 4),
            distance=outcome.distance,
            evidence=outcome.evidence,
        )


def open_judge(home: str | Path | None, name: str, *, device: str = "auto") -> Judge:
    """Load a product of the registry in `home`, and its backbone.

    For many products use a `dense.inspection.workshop.Workshop`, which shares backbones.

    Raises:
        InputError: If there is no such product.
    """
    from dense.inspection.store.registry import Registry
    from dense.inspection.workshop import Workshop

    return Workshop(Registry(home), device=device).judge(name)


def _defective(region: RegionScore) -> Reason:
    where = f"region {region.name}: " if region.name else ""
    text = f"{where}score {region.score:.4g} is above the threshold {region.threshold:.4g}"
    return Reason("defect", text, region.name)
