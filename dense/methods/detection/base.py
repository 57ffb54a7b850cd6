"""What every detector can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dense.methods.detection.proposals import Proposals
from dense.structures import DetectionResult, Sample


class Detector(Protocol):
    """Finds objects and names them by words."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """What it reports, in order."""

    def predict(self, samples: Sequence[Sample]) -> list[DetectionResult]:
        """Detect in pictures of any sizes, in order; boxes in original pixels."""
        ...

    def detect(self, sample: Sample) -> tuple[DetectionResult, Proposals]:
        """Detect in one picture; also the proposals that were looked at, before any words."""
        ...

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        ...
