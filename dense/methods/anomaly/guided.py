"""Guided inspection: a coarse map says where to look closer, crops at full resolution say more.

The idea of guided cropping (GC-CLIP, Saranrittichai et al., arXiv:2309.06581) moved from
classification to inspection: no detector and no label chooses the crops, the method's own map does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.methods.anomaly.base import Inspector, by_category
from dense.methods.anomaly.closer import fuse, suspicious
from dense.methods.anomaly.tiles import Box, Tiling, tent, tile_boxes
from dense.prompts import StateWords
from dense.strips import ArrayStrips, Strips
from dense.structures import AnomalyResult, Sample, Size


@dataclass(frozen=True)
class GuideSettings:
    """How closer looks are chosen and counted; nothing here was chosen on test data.

    Attributes:
        regions: Crops of a picture, or of a field of a large one: the same for normal and
            defective ones, so that scores compare.
        crop: Side of a crop in original pixels; ``None`` takes the method's input side, so that
            no pixel is lost, and at most half the short side, so that small pictures are enlarged.
        share: Weight of the closer look in the map inside a crop, and in the score.
        field: Pictures with a side above so many input sides are cut into fields of this size,
            each inspected for itself.
        step: Distance of neighbouring fields as a share of their side.
        support_crops: Crops of all support pictures together that are remembered at most; they
            cover the pictures, and are thinned out evenly beyond.

    Raises:
        InputError: If a setting is impossible.
    """

    regions: int = 4
    crop: int | None = None
    share: float = 0.5
    field: float = 4.0
    step: float = 0.9
    support_crops: int = 64

    def __post_init__(self) -> None:
        if self.regions < 1 or self.support_crops < 1 or (self.crop is not None and self.crop < 8):
            raise InputError(
                "guided inspection needs 1 or more regions and support crops, and crops of 8 "
                f"pixels or more, got {self.regions}, {self.support_crops} and {self.crop}"
            )
        if not (0 < self.share <= 1 and 0 < self.step <= 1 and self.field >= 1):
            raise InputError(
                "guided inspection needs share and step in (0, 1] and field of 1 or more, got "
                f"{self.share:g}, {self.step:g} and {self.field:g}"
            )


@dataclass(frozen=True)
class Strip:
    """Finished rows of a picture that is judged in a stream.

    Attributes:
        top: First row.
        image: (rows, W, 3) uint8 of the picture.
        anomaly_map: (rows, W) float32.
        scores: Of the fields whose last rows these are.
        looks: (box, score) of each closer look in them, boxes as top, left, bottom, right.
    """

    top: int
    image: NDArray[np.uint8]
    anomaly_map: NDArray[np.float32]
    scores: tuple[float, ...]
    looks: tuple[tuple[Box, float], ...]


class GuidedInspector(Inspector):
    """Any inspector, and a second one of the same kind that looks at crops.

    The coarse map's peaks become crops at full resolution; the second inspector, whose memory
    holds crops of the support at the same scale, judges them. Inside a crop the map is the
    weighted mean of both, the closer one shifted to the coarse median there, since both may have
    another level on the same normal surface; weights fall to 0 towards the crop's border. The
    score is the weighted mean of the coarse score and the highest of the crops. Large pictures
    are cut into fields; their score is the highest of the fields'.

    Memory: at most `batch_size` fields or crops are in the network at once; `stream` holds one
    strip of fields of the picture and its map, whatever the picture's height.

    Args:
        coarse: Sees whole pictures, or fields.
        close: Sees crops; of the same method and products.
        settings: See `GuideSettings`.
        threshold: Score from which an image, and a pixel, counts as anomalous.
    """

    def __init__(
        self,
        coarse: Inspector,
        close: Inspector,
        *,
        settings: GuideSettings = GuideSettings(),
        threshold: float | None = None,
    ) -> None:
        super().__init__(
            coarse.backbone, coarse.products, batch_size=coarse.batch_size, threshold=threshold
        )
        self.coarse = coarse
        self.close = close
        self.settings = settings

    def fit(self, support: Sequence[Sample]) -> GuidedInspector:
        """Remember fields for the coarse look and crops, cut in the same way, for the close one.

        Raises:
            InputError: As the method's own `fit`.
        """
        for _, chosen in by_category(support):
            fields = [
                _part(sample, box, number)
                for number, sample in enumerate(chosen)
                for box in self._fields(sample.image_size)
            ]
            crops = [
                _part(sample, box, number)
                for number, sample in enumerate(chosen)
                for box in _covering(sample.image_size, self._side(sample.image_size))
            ]
            limit = self.settings.support_crops
            if len(crops) > limit:
                crops = [crops[place * len(crops) // limit] for place in range(limit)]
            self.coarse.fit(fields)
            self.close.fit(crops)
        return self

    def steer(self, state_words: StateWords) -> GuidedInspector:
        """See the base class."""
        self.coarse.steer(state_words)
        self.close.steer(state_words)
        self.state_words = state_words
        return self

    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        """Score pictures; maps come at original size, in order."""
        return [self._predict(sample) for sample in samples]

    def stream(self, source: Strips, category: str = "") -> Iterator[Strip]:
        """Judge a picture in strips of fields, top to bottom; every row comes once.

        Args:
            source: The picture.
            category: Which of the products it shows.
        """
        boxes, tops = self._fields(source.size), self.tops(source.size)
        height = boxes[0][2] - boxes[0][0]
        total = np.zeros((height, source.size[1]), np.float32)
        weight = np.zeros_like(total)
        for number, top in enumerate(tops):
            strip = source.read(top, top + height)
            row = [box for box in boxes if box[0] == top]
            scores: list[float] = []
            looks: list[tuple[Box, float]] = []
            for start in range(0, len(row), self.batch_size):
                some = row[start : start + self.batch_size]
                cut = [
                    Sample(strip[:, left:right], category=category) for _, left, _, right in some
                ]
                for (_, left, _, right), found in zip(some, self._look(cut), strict=True):
                    share = tent(height)[:, None] * tent(right - left)
                    total[:, left:right] += share * found.anomaly_map
                    weight[:, left:right] += share
                    scores.append(found.score)
                    looks += [(_moved(box, top, left), value) for box, value in found.looks]
            done = (tops[number + 1] if number + 1 < len(tops) else top + height) - top
            mean = total[:done] / weight[:done]
            yield Strip(top, strip[:done], mean, tuple(scores), tuple(looks))
            for part in (total, weight):
                part[: height - done] = part[done:].copy()
                part[height - done :] = 0

    def tops(self, size: Size) -> list[int]:
        """First rows of the strips of fields in which `stream` judges a picture of (H, W)."""
        return sorted({box[0] for box in self._fields(size)})

    @property
    def heat_scale(self) -> tuple[float, float]:
        """That of the method."""
        return self.coarse.heat_scale

    @property
    def input_side(self) -> int:
        """That of the method."""
        return self.coarse.input_side

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        card = self.coarse.describe()
        guide = {f"guided_{key}": value for key, value in asdict(self.settings).items()}
        return {**card, "method": f"{card['method']}, guided", **guide}

    def _predict(self, sample: Sample) -> AnomalyResult:
        whole = np.empty(sample.image_size, np.float32)
        scores: list[float] = []
        for strip in self.stream(ArrayStrips(sample.image), sample.category):
            whole[strip.top : strip.top + len(strip.anomaly_map)] = strip.anomaly_map
            scores += strip.scores
        result = AnomalyResult(whole, max(scores))
        if self.threshold is None:
            return result
        mask = whole >= self.threshold
        return replace(result, mask=mask, is_anomalous=result.score >= self.threshold)

    def _look(self, fields: Sequence[Sample]) -> list[_Looked]:
        """Coarse and closer looks at fields."""
        coarse = self.coarse.predict(fields)
        boxes = [
            suspicious(found.anomaly_map, self._side(field.image_size), self.settings.regions)
            for field, found in zip(fields, coarse, strict=True)
        ]
        crops = [
            _part(field, box, 0) for field, some in zip(fields, boxes, strict=True) for box in some
        ]
        seen: list[AnomalyResult] = []
        for start in range(0, len(crops), self.batch_size):
            seen += self.close.predict(crops[start : start + self.batch_size])
        rest, share, looked = iter(seen), self.settings.share, []
        for found, some in zip(coarse, boxes, strict=True):
            closer = [next(rest) for _ in some]
            score = (1 - share) * found.score + share * max(one.score for one in closer)
            fused = fuse(found.anomaly_map, [one.anomaly_map for one in closer], some, share)
            looks = zip(some, (one.score for one in closer), strict=True)
            looked.append(_Looked(fused, float(score), tuple(looks)))
        return looked

    def _side(self, size: Size) -> int:
        wanted = self.settings.crop or min(self.close.input_side, max(8, min(size) // 2))
        return min(wanted, *size)

    def _fields(self, size: Size) -> list[Box]:
        side = round(self.settings.field * self.input_side)
        if max(size) <= side:
            return [(0, 0, *size)]
        height, width = min(size[0], side), min(size[1], side)
        cut = Tiling("native", self.settings.step)
        return tile_boxes(size, cut, (height, width))


@dataclass(frozen=True)
class _Looked:
    """A field after both looks; boxes of `looks` are in the field's pixels."""

    anomaly_map: NDArray[np.float32]
    score: float
    looks: tuple[tuple[Box, float], ...]


def build(
    make: Callable[..., Inspector],
    backbone: CLIPBackbone,
    products: str | Mapping[str, str],
    *,
    threshold: float | None = None,
    settings: GuideSettings = GuideSettings(),
    shots: int = 0,
    batch_size: int = 8,
    weights: str | Path | None = None,
) -> GuidedInspector:
    """A method of the catalogue, guided; `make` is its own build function."""
    coarse, close = (
        make(backbone, products, shots=shots, batch_size=batch_size, weights=weights)
        for _ in range(2)
    )
    return GuidedInspector(coarse, close, settings=settings, threshold=threshold)


def _part(sample: Sample, box: Box, number: int) -> Sample:
    """A cut-out under its picture's name: what is left out of a memory is a whole picture."""
    top, left, bottom, right = box
    path = sample.image_path or Path(f"image {number + 1}")
    image = np.ascontiguousarray(sample.image[top:bottom, left:right])
    return Sample(image, path, label=sample.label, category=sample.category)


def _covering(size: Size, side: int) -> list[Box]:
    return tile_boxes(size, Tiling("native", 1.0), (side, side))


def _moved(box: Box, top: int, left: int) -> Box:
    return (box[0] + top, box[1] + left, box[2] + top, box[3] + left)
