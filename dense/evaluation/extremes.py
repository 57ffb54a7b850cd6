"""The pictures of a test set that tell most about a method."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dense.images import resize_map, write_image
from dense.metrics.anomaly import defect_pixels
from dense.structures import AnomalyResult, Sample
from dense.visualize import draw_anomaly

SIDE = 320

KINDS = {
    "hardest": "defective picture with the lowest score",
    "alarming": "normal picture with the highest score",
    "clearest": "defective picture with the highest score",
}


class Extremes:
    """Keeps one picture of each of `KINDS` while results stream by."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Sample, AnomalyResult]] = {}

    def see(self, sample: Sample, result: AnomalyResult) -> None:
        """Take note of a result."""
        ranks = {"alarming": result.score}
        if sample.label:
            ranks = {"hardest": -result.score, "clearest": result.score}
        for kind, rank in ranks.items():
            if kind not in self._kept or rank > self._kept[kind][0]:
                self._kept[kind] = (rank, sample, result)

    def write(self, stem: Path, scale: tuple[float, float]) -> list[dict[str, object]]:
        """Draw what was kept into ``STEM_KIND.jpg``; list each file with kind, name and score."""
        written: list[dict[str, object]] = []
        for kind in KINDS:
            if kind in self._kept:
                _, sample, result = self._kept[kind]
                path = stem.with_name(f"{stem.name}_{kind}.jpg")
                write_image(path, _draw(sample, result, scale))
                source = "" if sample.image_path is None else sample.image_path.name
                written.append(
                    {"file": path.name, "kind": kind, "source": source, "score": result.score}
                )
        return written


def _draw(sample: Sample, result: AnomalyResult, scale: tuple[float, float]) -> np.ndarray:
    """The picture shrunk to `SIDE` with heat and the marked defect, (H', W', 3) uint8."""
    height, width = sample.image_size
    share = min(1.0, SIDE / max(height, width))
    size = (max(1, round(height * share)), max(1, round(width * share)))
    image = cv2.resize(sample.image, size[::-1], interpolation=cv2.INTER_AREA)
    small = AnomalyResult(resize_map(result.anomaly_map, size), result.score)
    mask = defect_pixels(sample)
    truth = None if mask is None else resize_map(mask.astype(np.float32), size) > 0.5
    return draw_anomaly(np.asarray(image, np.uint8), small, scale=scale, truth=truth)
