"""The region cut out and seen alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dense.backbones import CLIPBackbone
from dense.methods.batching import encode_pictures
from dense.methods.looking.base import (
    AskedRegions,
    Looker,
    Picture,
    Views,
    builder,
    require_number,
    unit,
)
from dense.regions import cut_box, widen_boxes


@dataclass(frozen=True)
class Crop(Looker):
    """Each box cut out and squashed to the tower's size.

    Attributes:
        margin: Added on each side, as a share of the box.
    """

    name: ClassVar[str] = "crop"
    margin: float = 0.0

    def __post_init__(self) -> None:
        require_number("margin", self.margin, 0)

    def views(self, backbone: CLIPBackbone, image: Picture, regions: AskedRegions) -> Views:
        """See the base class."""
        boxes = widen_boxes(regions.boxes, self.margin, (image.shape[0], image.shape[1]))
        crops = (cut_box(image, box) for box in boxes.tolist())
        return Views(unit(encode_pictures(backbone, crops))[:, None])


build = builder(Crop)
