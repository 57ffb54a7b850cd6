"""What region alignment reads: a view of a picture, boxes in it, and a crop of each box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from dense.errors import InputError
from dense.structures import Sample
from dense.training.views import View, ViewRule


@dataclass(frozen=True)
class RegionSample:
    """A square view with boxes, each also cut out of the picture at its own resolution.

    Attributes:
        image: (s, s, 3) uint8, the student's view.
        boxes: (R, 4) float32 xyxy as shares of the view, R ≥ 1.
        crops: (R, c, c, 3) uint8, the teacher's views.
        texts: Words of the picture, if it has any.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    crops: NDArray[np.uint8]
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.boxes) == 0 or len(self.boxes) != len(self.crops):
            raise InputError(
                "RegionSample needs one crop a box and at least one box, got "
                f"{len(self.boxes)} boxes and {len(self.crops)} crops"
            )


@dataclass(frozen=True)
class RegionRule:
    """How a picture becomes a `RegionSample`.

    CLIPSelf draws m rows from 1 to `most` and n columns from ⌈m / 2⌉ to 2 m (no more than `most`),
    and at most `count` of the cells; with proposals, it takes those. Theirs is the whole picture
    on a padded square; ours a random square of it, so that no patch is spent on padding.

    Attributes:
        side: Of the student's view in pixels.
        crop: Of the teacher's crops in pixels.
        most: Rows and columns of the finest grid.
        count: Most regions of a picture.
        proposals: Probability of taking a picture's own boxes, where it has some in the view.
        least: Share of the view's side below which a proposal is too small.
        view: Which square of the picture the student sees.
        seed: With the number of the draw, decides everything.
    """

    side: int = 448
    crop: int = 224
    most: int = 6
    count: int = 20
    proposals: float = 1.0
    least: float = 0.05
    view: ViewRule = ViewRule(scale=(0.75, 1.0))  # noqa: RUF009  (frozen)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("side", self.side), ("crop", self.crop), ("most", self.most)):
            if value < 1:
                raise InputError(f"{name} of a region rule must be 1 or more, got {value}")
        if self.count < 1:
            raise InputError(f"count of a region rule must be 1 or more, got {self.count}")

    def __call__(self, sample: Sample, draw: int) -> RegionSample:
        """The regions of a picture; equal numbers of `draw` give equal regions."""
        rng = np.random.default_rng([self.seed, draw])
        square = self.view(sample.image_size, draw)
        boxes, own = np.zeros((0, 4), np.float32), rng.random() < self.proposals
        if sample.boxes is not None and own:
            boxes = boxes_in_view(sample.boxes, square, least=self.least)
        if len(boxes) == 0:
            boxes = grid_boxes(rng, self.most)
        if len(boxes) > self.count:
            boxes = boxes[np.sort(rng.choice(len(boxes), self.count, replace=False))]
        crops = cut_boxes(sample.image, square, boxes, self.crop)
        words: tuple[str, ...] = getattr(sample, "texts", ())
        return RegionSample(square.render(sample.image, self.side), boxes, crops, words)


class RegionViews(Dataset[RegionSample]):
    """Pictures → region samples; the number asked for is the picture's plus epochs × pictures.

    So every epoch draws other regions, loader workers need no state, and a resumed run sees what
    an unbroken one would have.

    Args:
        source: Data set of samples.
        rule: How regions are drawn.
    """

    def __init__(self, source: Dataset[Sample], rule: RegionRule) -> None:
        self.source = source
        self.rule = rule

    def __len__(self) -> int:
        return len(self.source)  # type: ignore[arg-type]

    def __getitem__(self, number: int) -> RegionSample:
        return self.rule(self.source[number % len(self)], number)


def grid_boxes(rng: np.random.Generator, most: int) -> NDArray[np.float32]:
    """Cells of a random m × n grid as (m · n, 4) xyxy shares, row by row."""
    rows = int(rng.integers(1, most + 1))
    columns = int(rng.integers(-(-rows // 2), min(2 * rows, most) + 1))
    ys, xs = np.divmod(np.arange(rows * columns), columns)
    corners = [xs / columns, ys / rows, (xs + 1) / columns, (ys + 1) / rows]
    return np.stack(corners, axis=1).astype(np.float32)


def boxes_in_view(
    boxes: Sequence[Sequence[float]] | NDArray[np.floating], view: View, *, least: float = 0.05
) -> NDArray[np.float32]:
    """Boxes as shares of a view; those less than half inside or too small are left out.

    Args:
        boxes: (R, 4) xyxy in pixels of the picture.
        view: The square.
        least: Least side as a share of the view's.

    Returns:
        (R', 4) float32 in [0, 1].
    """
    rows = (np.asarray(boxes, np.float64).reshape(-1, 4) - [view.x, view.y] * 2) / view.side
    if view.mirrored:
        rows[:, [0, 2]] = 1 - rows[:, [2, 0]]
    cut = rows.clip(0, 1)
    sides, whole = cut[:, 2:] - cut[:, :2], (rows[:, 2:] - rows[:, :2]).prod(1)
    inside = sides.prod(1) >= 0.5 * np.maximum(whole, 1e-12)
    return cut[inside & (sides >= least).all(1)].astype(np.float32)


def cut_boxes(
    image: NDArray[np.uint8], view: View, boxes: NDArray[np.float32], side: int
) -> NDArray[np.uint8]:
    """Cut boxes out of a picture and resize each to a square (bicubic, antialiased).

    Args:
        image: (H, W, 3).
        view: The square that the boxes are shares of.
        boxes: (R, 4) xyxy shares.
        side: Of a crop in pixels.

    Returns:
        (R, side, side, 3) uint8.
    """
    picture = Image.fromarray(image)
    crops = np.empty((len(boxes), side, side, 3), np.uint8)
    for place, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        left, right = (1 - x1, 1 - x0) if view.mirrored else (x0, x1)
        box = (
            max(view.x + left * view.side, 0.0),
            max(view.y + y0 * view.side, 0.0),
            min(view.x + right * view.side, float(picture.width)),
            min(view.y + y1 * view.side, float(picture.height)),
        )
        cut = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC, box=box))
        crops[place] = cut[:, ::-1] if view.mirrored else cut
    return crops
