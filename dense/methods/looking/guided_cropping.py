"""GC-CLIP: guided cropping with several margins (Saranrittichai et al., 2023, arXiv:2309.06581)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.methods.batching import encode_pictures
from dense.methods.detection.detector import DetectSettings, OpenVocabDetector
from dense.methods.looking.base import (
    AskedRegions,
    Looker,
    Picture,
    Views,
    asked_regions,
    builder,
    only_classes,
    require_number,
    unit,
)
from dense.regions import cut_box
from dense.structures import Sample, Size, TextClassifier


@dataclass(frozen=True)
class GuidedCropping(Looker):
    """Crops of a box with several margins; their similarities are averaged.

    With regions, these are the boxes. Asked about the whole picture, the likeliest `top` classes
    are named first, the detector looks for them, its best box is the region, and the answer is
    among these classes (section 3). The paper's detector is OWL-ViT; ours is `dense detect` on the
    same CLIP: dense features over patch groups, so nothing else is downloaded.

    There is no public code. We read the paper's margin ratio as the place between the box (0) and
    the whole picture (1), every side moving in proportion; that the margins averaged are these
    three is our choice, made beforehand.

    Attributes:
        margins: Places between box and picture, one view each.
        top: Classes in question when no region is given.
    """

    name: ClassVar[str] = "gc-clip"
    margins: tuple[float, ...] = (0.0, 0.1, 0.2)
    top: int = 5

    def __post_init__(self) -> None:
        if not isinstance(self.margins, tuple | list):
            object.__setattr__(self, "margins", (self.margins,))
        if not self.margins:
            raise InputError("margins must name at least one margin, e.g. 0, 0.1, 0.2")
        for margin in self.margins:
            require_number("a margin", margin, 0, 1)
        require_number("top", self.top, 1, whole=True)

    def views(self, backbone: CLIPBackbone, image: Picture, regions: AskedRegions) -> Views:
        """See the base class."""
        boxes = margin_boxes(regions.boxes, self.margins, (image.shape[0], image.shape[1]))
        crops = (cut_box(image, box) for box in boxes.reshape(-1, 4).tolist())
        features = unit(encode_pictures(backbone, crops))
        return Views(features.unflatten(0, (len(regions), len(self.margins))))

    def choose(
        self, backbone: CLIPBackbone, image: Picture, words: TextClassifier
    ) -> tuple[AskedRegions, list[int] | None]:
        """The best box of the detector for the likeliest classes. See the base class."""
        size = (image.shape[0], image.shape[1])
        whole = Views(unit(encode_pictures(backbone, [image]))[None])
        scores = self.probabilities(whole, words)[0]
        kept = scores.topk(min(self.top, words.num_classes)).indices.tolist()
        settings = DetectSettings(least=0.0, limit=1)
        detector = OpenVocabDetector(backbone, only_classes(words, kept), settings=settings)
        found = detector.predict([Sample(image)])[0]
        if not len(found.boxes):  # nothing stands out, e.g. in a picture of one colour
            return asked_regions(size), kept
        return asked_regions(size, found.boxes[:1]), kept


def margin_boxes(
    boxes: NDArray[np.floating], margins: tuple[float, ...], size: Size
) -> NDArray[np.float32]:
    """Boxes (R, V, 4) between each box (R, 4) xyxy, at margin 0, and the picture (H, W), at 1."""
    whole = np.array([0, 0, size[1], size[0]], np.float32)
    share = np.asarray(margins, np.float32)[:, None]
    return (1 - share) * np.asarray(boxes, np.float32)[:, None] + share * whole


build = builder(GuidedCropping)
