"""Marks drawn into the picture: red circle and its relatives.

Shtedritski et al., ICCV 2023, arXiv:2304.06712; the set of marks is that of Yang et al. (FGVP),
NeurIPS 2023, arXiv:2306.04356.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageFilter

from dense.backbones import CLIPBackbone
from dense.errors import InputError, unknown_name
from dense.methods.batching import encode_pictures
from dense.methods.looking.base import (
    AskedRegions,
    Looker,
    Picture,
    Views,
    builder,
    fixed,
    require_number,
    unit,
)
from dense.regions import mask_cover
from dense.structures import Size

AREAS = ("circle", "box", "mask")
OUTSIDE = ("keep", "blur", "grey")

MARKS = {
    "circle": ("circle", "line", "keep"),
    "circle-grey": ("circle", "", "grey"),
    "circle-blur": ("circle", "", "blur"),
    "box": ("box", "line", "keep"),
    "box-blur": ("box", "", "blur"),
    "contour": ("mask", "line", "keep"),
    "mask-grey": ("mask", "", "grey"),
    "mask-blur": ("mask", "", "blur"),
}
"""Area, whether its line is drawn, and what becomes of the rest, by the name of the mark: C1, C3,
C4, B1, B4, D1, D3 and D4 of FGVP's figure."""


@dataclass(frozen=True)
class Marked(Looker):
    """The whole picture once a region and mark, the region marked in it.

    The picture is squashed to the tower's size first and marked there: drawing costs the same for
    any picture. Where a region has no mask, its box stands for it.

    Attributes:
        marks: Names of `MARKS`, one view each; comma-separated text is split.
        colour: Of lines: a name or ``#rrggbb``.
        thickness: Of lines, as a share of the side (1 / 200 in ReCLIP's line of code), at least
            one pixel.
        blur: Standard deviation outside, as a share of the side (100 of 384 pixels in FGVP).
        label: The looker's name in the catalogue.
    """

    name: ClassVar[str] = "mark"
    needs_regions: ClassVar[bool] = True
    marks: str | tuple[str, ...] = ("circle",)
    colour: str = "red"
    thickness: float = 1 / 200
    blur: float = 100 / 384
    label: str = "red-circle"

    def __post_init__(self) -> None:
        given = self.marks.split(",") if isinstance(self.marks, str) else self.marks
        if not isinstance(given, tuple | list) or not given:
            raise InputError("name at least one mark, e.g. circle")
        for mark in given:
            if mark not in MARKS:
                raise unknown_name("mark", str(mark), MARKS)
        object.__setattr__(self, "marks", tuple(given))
        require_number("thickness", self.thickness, 0, 0.5)
        require_number("blur", self.blur, 1e-4, 1)
        _rgb(self.colour)

    def views(self, backbone: CLIPBackbone, image: Picture, regions: AskedRegions) -> Views:
        """See the base class."""
        small = backbone.preprocess.resize(image, backbone.image_size)
        drawn = self.pictures(small, (image.shape[0], image.shape[1]), regions)
        features = unit(encode_pictures(backbone, drawn))
        return Views(features.unflatten(0, (len(regions), len(self.marks))))

    def pictures(self, small: Picture, size: Size, regions: AskedRegions) -> Iterator[Picture]:
        """The marked pictures, all marks of the first region first.

        Args:
            small: (h, w, 3) the picture as it is marked.
            size: (H, W) of the picture that the regions belong to.
            regions: What is marked.
        """
        inner: Size = (small.shape[0], small.shape[1])
        scale = np.tile([inner[1] / size[1], inner[0] / size[0]], 2)
        rest = {"keep": small, "grey": grey(small), "blur": blurred(small, self.blur * max(inner))}
        colour, line = _rgb(self.colour), max(1, round(self.thickness * max(inner)))
        for place, box in enumerate(regions.boxes * scale):
            mask = None if regions.masks is None else shrink_mask(regions.masks[place], inner)
            for name in self.marks:
                area, outline, outside = MARKS[name]
                inside = area_mask(area, box, inner, mask)
                drawn = np.where(inside[..., None], small, rest[outside])
                yield draw_outline(drawn, area, box, mask, colour, line) if outline else drawn

    def describe(self) -> dict[str, object]:
        """See the base class."""
        card = super().describe()
        card["method"] = card.pop("label")
        return card


def area_mask(
    area: str, box: NDArray[np.floating], size: Size, mask: NDArray[np.bool_] | None
) -> NDArray[np.bool_]:
    """The pixels (h, w) of an area: the ellipse in a box xyxy, the box, or the mask."""
    if area == "mask" and mask is not None:
        return mask
    x0, y0, x1, y1 = box
    ys, xs = (np.arange(side) + 0.5 for side in size)
    if area != "circle":
        inside = ((ys >= y0) & (ys <= y1))[:, None] & ((xs >= x0) & (xs <= x1))
    else:
        across = (2 * xs - x0 - x1) / max(x1 - x0, 1e-6)
        down = (2 * ys - y0 - y1) / max(y1 - y0, 1e-6)
        inside = across**2 + down[:, None] ** 2 <= 1
    if not inside.any():  # smaller than a pixel: the pixel it lies in
        row = min(max(int((y0 + y1) / 2), 0), size[0] - 1)
        inside[row, min(max(int((x0 + x1) / 2), 0), size[1] - 1)] = True
    return inside


def draw_outline(
    image: Picture,
    area: str,
    box: NDArray[np.floating],
    mask: NDArray[np.bool_] | None,
    colour: tuple[int, int, int],
    thickness: int,
) -> Picture:
    """Draw the outline of an area on a copy of the picture."""
    out = np.ascontiguousarray(image).copy()
    x0, y0, x1, y1 = (float(v) for v in box)
    if area == "mask" and mask is not None:
        lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
        return np.asarray(cv2.drawContours(out, lines, -1, colour, thickness))
    if area == "circle":
        centre = (round((x0 + x1) / 2), round((y0 + y1) / 2))
        axes = (max(1, round((x1 - x0) / 2)), max(1, round((y1 - y0) / 2)))
        return np.asarray(cv2.ellipse(out, centre, axes, 0, 0, 360, colour, thickness))
    corners = ((round(x0), round(y0)), (round(x1), round(y1)))
    return np.asarray(cv2.rectangle(out, *corners, colour, thickness))


def blurred(image: Picture, std: float) -> Picture:
    """A picture blurred by a Gaussian of `std` pixels (Pillow's, by repeated boxes)."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(std)))


def grey(image: Picture) -> Picture:
    """A picture without its colours, still (H, W, 3)."""
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


def shrink_mask(mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """A mask (H, W) at (h, w): pixels that it covers by half, or else its best covered ones."""
    share = mask_cover(mask, size)
    return np.asarray(share >= min(0.5, float(share.max())))


def _rgb(colour: str) -> tuple[int, int, int]:
    try:
        red, green, blue = ImageColor.getrgb(colour)[:3]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"unknown colour {colour!r}: expected a name or #rrggbb") from error
    return red, green, blue


build_circle = builder(fixed(Marked, "red-circle"))
build_circles = builder(
    fixed(
        Marked,
        "red-circle-ensemble",
        marks=("circle", "circle-grey", "circle-blur"),
        label="red-circle-ensemble",
    )
)
build_box = builder(fixed(Marked, "red-box", marks=("box",), label="red-box"))
