"""The thresholds of a product as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dense.errors import InputError
from dense.inspection.plain import read_list, read_lists, read_number, read_numbers


@dataclass(frozen=True)
class Escape:
    """Defective examples that passed: an estimate with its 95 % interval (Wilson)."""

    passed: int
    examples: int
    interval: tuple[float, float]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "passed": self.passed,
            "examples": self.examples,
            "interval": list(self.interval),
        }


@dataclass(frozen=True)
class Calibration:
    """The thresholds of a product and what they rest on.

    Attributes:
        method: How good parts were scored, ``"split"``, ``"leave-one-out"`` or ``"cross"``;
            ``"manual"`` if none were.
        alpha: Share of good parts that may be lost; ``None`` for thresholds set by hand.
        fold: Parts of a fold, 1 but for ``"cross"``.
        scores: By region, those of the good parts; the same α can be changed on them.
        peaks: By region, the highest map values of the good parts.
        thresholds: By region: above is a defect.
        pixel_thresholds: By region: in a defective one, pixels above are the defect.
        refused: Good parts that the gates refused; they are not among the scores.
        defects: By region, scores of defective examples.
        distances: Of the good parts, in the order of `scores`, as in `Decision.distance`; empty
            where they are not known.
        pictures: Names the set of good parts: `set_digest` of their pixels; empty if not known.
    """

    method: str
    alpha: float | None
    fold: int
    scores: Mapping[str, tuple[float, ...]]
    peaks: Mapping[str, tuple[float, ...]]
    thresholds: Mapping[str, float]
    pixel_thresholds: Mapping[str, float]
    refused: int = 0
    defects: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    distances: tuple[float, ...] = ()
    pictures: str = ""

    @property
    def parts(self) -> int:
        """Number of good parts."""
        return min((len(values) for values in self.scores.values()), default=0)

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "method": self.method,
            "alpha": self.alpha,
            "fold": self.fold,
            "scores": {name: list(values) for name, values in self.scores.items()},
            "peaks": {name: list(values) for name, values in self.peaks.items()},
            "thresholds": dict(self.thresholds),
            "pixel_thresholds": dict(self.pixel_thresholds),
            "refused": self.refused,
            "defects": {name: list(values) for name, values in self.defects.items()},
            "distances": list(self.distances),
            "pictures": self.pictures,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> Calibration:
        """The reverse of `to_json`."""
        method, alpha = str(content["method"]), content["alpha"]
        if method not in ("split", "leave-one-out", "cross", "manual"):
            raise InputError(f"unknown way of calibration: {method!r}")
        return cls(
            method,
            None if alpha is None else read_number(alpha),
            int(read_number(content["fold"])),
            read_lists(content["scores"]),
            read_lists(content["peaks"]),
            read_numbers(content["thresholds"]),
            read_numbers(content["pixel_thresholds"]),
            int(read_number(content["refused"])),
            read_lists(content["defects"]),
            tuple(read_number(value) for value in read_list(content.get("distances", []))),
            str(content.get("pictures", "")),
        )
