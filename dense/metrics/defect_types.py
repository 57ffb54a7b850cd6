"""Which kinds of defects are found: each type against all normal pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dense.metrics.localization import PixelScores
from dense.metrics.ranking import rank_curve

TYPE_METRICS = ("image_auroc", "pixel_auroc", "pixel_share")
BINS = 2**16
"""Of pixel scores: AUROC within about 0.1 percent points, whatever the number of pictures."""


class DefectTypes:
    """Image and pixel AUROC of each defect type, its pictures together with all normal ones.

    A category's own AUROC mixes its types: one that covers large areas decides the pixel AUROC
    however well the others are found. `pixel_share` is the part of all marked pixels.
    """

    def __init__(self) -> None:
        self._normal = PixelScores(BINS)
        self._normal_scores: list[float] = []
        self._pixels: dict[str, PixelScores] = {}
        self._scores: dict[str, list[float]] = {}
        self._area: dict[str, int] = {}

    def add(
        self,
        kind: str,
        score: float,
        anomaly_map: NDArray[np.float32],
        mask: NDArray[np.bool_] | None,
    ) -> None:
        """Add a defective picture of a type; pixels count where its mask marks something."""
        self._scores.setdefault(kind, []).append(score)
        if mask is not None:
            self._pixels.setdefault(kind, PixelScores(BINS)).add(anomaly_map, mask)
            self._area[kind] = self._area.get(kind, 0) + int(mask.sum())

    def add_normal(self, score: float, anomaly_map: NDArray[np.float32]) -> None:
        """Add a normal picture."""
        self._normal_scores.append(score)
        self._normal.add(anomaly_map, None)

    def scores(self) -> dict[str, dict[str, float]]:
        """`TYPE_METRICS` in percent by type, sorted, and `images`; nan where undefined."""
        whole = sum(self._area.values())
        return {
            kind: {
                "image_auroc": self._image_auroc(found),
                "pixel_auroc": self._pixel_auroc(kind),
                "pixel_share": 100.0 * self._area[kind] / whole if kind in self._area else np.nan,
                "images": float(len(found)),
            }
            for kind, found in sorted(self._scores.items())
        }

    def _image_auroc(self, found: list[float]) -> float:
        if not self._normal_scores:
            return float("nan")
        normal = self._normal_scores
        labels = [0] * len(normal) + [1] * len(found)
        return 100.0 * rank_curve([*normal, *found], labels).auroc()

    def _pixel_auroc(self, kind: str) -> float:
        if kind not in self._pixels:
            return float("nan")
        pixels = self._pixels[kind]
        joined = pixels.merge(self._normal) if self._normal_scores else pixels
        return 100.0 * joined.curve().auroc()
