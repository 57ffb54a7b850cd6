"""The result table of anomaly detection: one category, collected picture by picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dense.errors import InputError
from dense.metrics.defect_sizes import SmallDefects
from dense.metrics.localization import PixelScores
from dense.metrics.pimo import PimoScores
from dense.metrics.ranking import rank_curve
from dense.structures import AnomalyResult, Sample

IMAGE_METRICS = ("image_auroc", "image_ap", "image_f1_max", "overkill", "escape")
CURVE_METRICS = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro", "aupro_05")
PIXEL_METRICS = (*CURVE_METRICS, "aupimo")
TOLERATED = 0.02
"""Share of bad parts that may pass for `overkill`, of good parts that may fall for `escape`."""

NATIVE = 0
"""Metric size that stands for every picture's own."""


class AnomalyTally:
    """Collects the scores of one category and turns them into its row of the table.

    Image metrics use every picture. Pixel metrics use normal pictures (all their pixels are
    defect-free) and defective ones whose mask marks something: a defective picture without a
    mask, or with an empty one, says nothing of where its defect is; it is left out of them and
    counted in `notes`. What is undefined is nan, and `reasons` says why.

    Args:
        bins: ``None`` for exact pixel metrics, or the bins of `PixelScores`: bounded memory.
        sizes: Sides to which maps (bilinear) and masks (nearest) are resized before their pixels
            are scored; 0 keeps the picture's own. Metrics of a side end in ``@SIDE``.
        normal_images: How many normal pictures will come; needed for AUPIMO, which is left out
            with ``None``. Memory is lowest when the normal pictures come first.
        small_area: Area in native pixels up to which regions are scored apart, too, see
            `dense.metrics.defect_sizes`; ``None`` leaves these metrics out.

    Raises:
        InputError: A size is negative or given twice.
    """

    def __init__(
        self,
        *,
        bins: int | None = None,
        sizes: Sequence[int] = (NATIVE,),
        normal_images: int | None = None,
        small_area: int | None = None,
    ) -> None:
        if min(sizes, default=0) < 0 or len(set(sizes)) != len(sizes):
            raise InputError(
                f"metric sizes must be different sides in pixels, or 0 for native, got {sizes}"
            )
        self.bins = bins
        self.image_scores: list[float] = []
        self.labels: list[int] = []
        self.unmarked = 0
        self._pixels = {size: PixelScores(bins) for size in sizes}
        self._marked = dict.fromkeys(sizes, 0)
        self._small = None if small_area is None else SmallDefects(small_area, bins)
        self._pimo = {
            size: PimoScores(normal_images) for size in sizes if normal_images is not None
        }

    def add(self, result: AnomalyResult, sample: Sample) -> None:
        """Add a picture's result.

        Raises:
            InputError: If the sample has no label, or its mask and the map differ in size.
        """
        if sample.label is None:
            raise InputError("anomaly scores need samples with labels, 0 normal or 1 anomalous")
        self.image_scores.append(float(result.score))
        self.labels.append(int(sample.label))
        mask = defect_pixels(sample)
        if sample.label and mask is None:
            self.unmarked += 1
            return
        if self._small is not None:
            self._small.add(result.anomaly_map, mask)
        for size, pixels in self._pixels.items():
            scores, truth = _at_size(result.anomaly_map, mask, size)
            if truth is not None and not truth.any():
                continue
            pixels.add(scores, truth)
            self._marked[size] += truth is not None
            if size in self._pimo:
                self._pimo[size].add(scores, truth)

    def scores(self) -> dict[str, float]:
        """All metrics in percent, nan where undefined.

        Raises:
            InputError: If there is no picture.
        """
        result = anomaly_scores(self.image_scores, self.labels)
        for size, pixels in self._pixels.items():
            found = pixel_scores(pixels if self._marked[size] else None)
            if size in self._pimo:
                found["aupimo"] = 100.0 * self._pimo[size].mean()
            result.update({metric_name(key, size): value for key, value in found.items()})
        return result if self._small is None else result | self._small.scores()

    def errors(self) -> dict[str, float]:
        """Bounds in percent of what binning changes in `scores`; empty when they are exact."""
        if self.bins is None:
            return {}
        result = {}
        for size, pixels in self._pixels.items():
            if self._marked[size]:
                curve = pixels.curve()
                bounds = (
                    curve.area_error(),
                    curve.average_precision_error(),
                    curve.f1_max_error(),
                    curve.area_error(0.3),
                    curve.area_error(0.05),
                )
                for key, value in zip(CURVE_METRICS, bounds, strict=True):
                    result[metric_name(key, size)] = 100.0 * value
        return result

    def reasons(self) -> dict[str, str]:
        """Why each metric that is nan is undefined."""
        undefined = [key for key, value in self.scores().items() if np.isnan(value)]
        return {key: self._reason(key) for key in undefined}

    def notes(self) -> list[str]:
        """What a reader of the scores must know."""
        notes = []
        if self._small is not None:
            notes.append(
                f"small defects: {self._small.regions} regions of at most {self._small.area} "
                "pixels; pixels of larger ones are left out"
            )
        if not self.unmarked:
            return notes
        return [
            *notes,
            f"{self.unmarked} of {sum(self.labels)} defective pictures mark no defect (no mask, "
            "or an empty one): they enter the image metrics alone",
        ]

    def _reason(self, key: str) -> str:
        if not any(self.labels):
            return "the test set has no anomalous picture"
        if (key in IMAGE_METRICS or key.startswith("aupimo")) and all(self.labels):
            return "the test set has no normal picture"
        if self.unmarked == sum(self.labels):
            return "no defective picture has a mask that marks its defect"
        if "@" in key:
            return "no defect is left, or no defect-free pixel is, at this size"
        return "the test set has no defect-free pixel"


def defect_pixels(sample: Sample) -> NDArray[np.bool_] | None:
    """(H, W) mask of a defective picture if it marks anything, else ``None``."""
    if not sample.label or sample.mask is None or not sample.mask.any():
        return None
    return sample.mask.astype(np.bool_)


def metric_name(key: str, size: int) -> str:
    """Name of a pixel metric at a size: `aupro`, `aupro@240`."""
    return key if size == NATIVE else f"{key}@{size}"


def anomaly_scores(
    scores: ArrayLike, labels: ArrayLike, pixels: PixelScores | None = None
) -> dict[str, float]:
    """The metrics of one category, in percent.

    Args:
        scores: (B,) image scores, higher = more anomalous.
        labels: (B,) 1 anomalous, 0 normal.
        pixels: The collected maps and masks; ``None`` for the image metrics alone.

    Returns:
        `IMAGE_METRICS`, and with ``pixels`` `CURVE_METRICS`, in percent: AUROC, AP and F1-max;
        ``aupro`` up to the rate 0.3 and ``aupro_05`` up to 0.05; ``overkill`` at an escape of
        2 % and ``escape`` at an overkill of 2 % (lower is better). A metric is nan where it is
        undefined: one class only.

    Raises:
        InputError: As ``rank_curve`` and ``PixelScores.curve``.
    """
    image = rank_curve(scores, labels)
    values = (
        image.auroc(),
        image.average_precision(),
        image.f1_max()[0],
        image.fpr_at_tpr(1.0 - TOLERATED),
        image.miss_at_fpr(TOLERATED),
    )
    result = {key: 100.0 * value for key, value in zip(IMAGE_METRICS, values, strict=True)}
    return result if pixels is None else result | pixel_scores(pixels)


def pixel_scores(pixels: PixelScores | None) -> dict[str, float]:
    """`CURVE_METRICS` in percent; all nan without pixels.

    Raises:
        InputError: As ``PixelScores.curve``.
    """
    if pixels is None:
        return dict.fromkeys(CURVE_METRICS, float("nan"))
    curve = pixels.curve()
    f1, ap = curve.f1_max()[0], curve.average_precision()
    values = (curve.auroc(), ap, f1, curve.area(0.3), curve.area(0.05))
    return {key: 100.0 * value for key, value in zip(CURVE_METRICS, values, strict=True)}


def _at_size(
    anomaly_map: NDArray[np.float32], mask: NDArray[np.bool_] | None, size: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """A map and its mask at their own size, or squashed to (size, size)."""
    if size == NATIVE:
        return anomaly_map, mask
    scores = cv2.resize(anomaly_map, (size, size), interpolation=cv2.INTER_LINEAR)
    if mask is None:
        return np.asarray(scores, np.float32), None
    small = cv2.resize(mask.view(np.uint8), (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(scores, np.float32), np.asarray(small, np.bool_)
