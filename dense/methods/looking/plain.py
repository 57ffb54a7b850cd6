"""The whole picture, whatever is asked: the floor of every table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dense.backbones import CLIPBackbone
from dense.methods.batching import encode_pictures
from dense.methods.looking.base import AskedRegions, Looker, Picture, Views, builder, unit


@dataclass(frozen=True)
class WholePicture(Looker):
    """Every region gets the feature of the whole picture, squashed to the tower's size."""

    name: ClassVar[str] = "plain"

    def views(self, backbone: CLIPBackbone, image: Picture, regions: AskedRegions) -> Views:
        """See the base class."""
        feature = unit(encode_pictures(backbone, [image]))
        return Views(feature[None].expand(len(regions), 1, -1))


build = builder(WholePicture)
