"""Which part of a picture is judged: regions of interest, ignored places, the frame, the tiles.

A picture is cut to the frame around all regions before the model sees it, so nothing outside is
computed and small regions come closer; the frame is cut into tiles if asked for. Inside the frame,
methods that can drop patches outside the regions, others score them and the scores are masked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.images import MAX_PIXELS, read_mask
from dense.methods.anomaly.tiles import WHOLE, Box, Tiling, blend, tile_boxes
from dense.rle import decode_rle, encode_rle
from dense.structures import AnomalyResult, Sample, Size

Mask = NDArray[np.bool_]
Polygon = Sequence[Sequence[float]]

TOP = 0.01
"""Share of a region's pixels whose mean is its score: as the methods' own score of a picture."""
SMALLEST_FRAME = 32
"""A frame is grown to this many pixels a side."""


@dataclass(frozen=True, eq=False)
class View:
    """Where to look on pictures of one size; without regions, on the whole of pictures of any size.

    Attributes:
        size: (H, W) that pictures must have, ``None`` if any.
        regions: (H, W) bool by name; they may overlap.
        ignore: (H, W) bool, never looked at; ``None`` for nothing.
        tiling: How the frame is cut.
    """

    size: Size | None = None
    regions: Mapping[str, Mask] = field(default_factory=dict)
    ignore: Mask | None = None
    tiling: Tiling = WHOLE

    def __post_init__(self) -> None:
        masks = {**self.regions, **({} if self.ignore is None else {"ignore": self.ignore})}
        for name, mask in masks.items():
            if self.size is None or mask.shape != tuple(self.size):
                raise InputError(
                    f"region {name!r} has the size {mask.shape}, but the pictures have {self.size}"
                )
        for name, mask in self.masks.items():
            if not mask.any():
                raise InputError(
                    f"region {name!r} has no pixel left: draw it inside the picture and not wholly "
                    "under ignored places"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the regions; one with the name "" is the whole picture."""
        return tuple(self.regions) or ("",)

    @cached_property
    def masks(self) -> dict[str, Mask]:
        """What is looked at, by region; empty if everything is, on pictures of any size."""
        if self.size is None or not (self.regions or self.ignore is not None):
            return {}
        regions = self.regions or {"": np.ones(self.size, np.bool_)}
        seen = True if self.ignore is None else ~self.ignore
        return {name: np.asarray(mask & seen, np.bool_) for name, mask in regions.items()}

    @cached_property
    def seen(self) -> Mask | None:
        """(H, W) bool, looked at by any region; ``None`` if everything is."""
        masks = list(self.masks.values())
        return np.logical_or.reduce(masks) if masks else None

    @cached_property
    def frame(self) -> Box | None:
        """Box (top, left, bottom, right) around all that is seen, ``None`` for the picture."""
        if self.seen is None or self.size is None:
            return None
        rows, columns = np.flatnonzero(self.seen.any(1)), np.flatnonzero(self.seen.any(0))
        top, bottom = _grow(int(rows[0]), int(rows[-1]) + 1, self.size[0])
        left, right = _grow(int(columns[0]), int(columns[-1]) + 1, self.size[1])
        return top, left, bottom, right

    def boxes(self, size: Size, input_size: Size) -> list[Box]:
        """Tiles (top, left, bottom, right) of a picture of a size, in its own pixels.

        Together they cover all that is seen; those without any of it are left out.
        """
        top, left, bottom, right = self.frame or (0, 0, *size)
        tiles = tile_boxes((bottom - top, right - left), self.tiling, input_size)
        boxes = [(top + a, left + b, top + c, left + d) for a, b, c, d in tiles]
        seen = self.seen
        return boxes if seen is None else [box for box in boxes if seen[_window(box)].any()]

    def cut(self, sample: Sample, input_size: Size) -> list[Sample]:
        """A picture as the parts that the model sees; all carry its path."""
        parts = []
        for window in map(_window, self.boxes(sample.image_size, input_size)):
            inside = None if self.seen is None else self.seen[window]
            if inside is not None and inside.all():
                inside = None
            parts.append(
                Sample(sample.image[window], sample.image_path, label=sample.label, inside=inside)
            )
        return parts

    def join(self, parts: Sequence[AnomalyResult], size: Size, input_size: Size) -> AnomalyResult:
        """Results of the parts of `cut` → one; unseen pixels have the lowest value.

        The score is the largest of the parts': a small defect must not drown among tiles.
        """
        score = max(part.score for part in parts)
        whole = self.join_map([part.anomaly_map for part in parts], size, input_size)
        return AnomalyResult(whole, score)

    def join_map(
        self, maps: Sequence[NDArray[np.float32]], size: Size, input_size: Size
    ) -> NDArray[np.float32]:
        """Maps of the parts of `cut` → one (H, W); unseen pixels have the lowest value."""
        frame = self.frame or (0, 0, *size)
        boxes = [
            (a - frame[0], b - frame[1], c - frame[0], d - frame[1])
            for a, b, c, d in self.boxes(size, input_size)
        ]
        inner = blend(maps, boxes, (frame[2] - frame[0], frame[3] - frame[1]))
        if self.seen is None:
            return inner
        seen = self.seen[_window(frame)]
        lowest = inner[seen].min()
        whole = np.full(size, lowest, np.float32)
        whole[_window(frame)] = np.where(seen, inner, lowest)
        return whole

    def scores(self, result: AnomalyResult) -> dict[str, float]:
        """Score of each region: the method's own of the picture, or the mean of its top pixels."""
        if not self.masks:
            return {"": result.score}
        return {name: _top(result.anomaly_map[mask]) for name, mask in self.masks.items()}

    def peaks(self, result: AnomalyResult) -> dict[str, float]:
        """Highest value of the map in each region."""
        if not self.masks:
            return {"": float(result.anomaly_map.max())}
        return {name: float(result.anomaly_map[mask].max()) for name, mask in self.masks.items()}

    def to_json(self) -> dict[str, object]:
        """Plain values; masks as run lengths."""
        tiling = self.tiling
        return {
            "size": None if self.size is None else list(self.size),
            "regions": {name: encode_rle(mask) for name, mask in self.regions.items()},
            "ignore": None if self.ignore is None else encode_rle(self.ignore),
            "tiling": {
                "kind": tiling.kind,
                "step": tiling.step,
                "zoom": tiling.zoom,
            },
        }

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> View:
        """The reverse of `to_json`.

        Raises:
            InputError: If it is of another form.
        """
        given = content["size"]
        size = None if given is None else read_size(given)
        regions, ignore, tiling = content["regions"], content["ignore"], content["tiling"]
        if not isinstance(regions, dict) or not isinstance(tiling, dict):
            raise InputError("the regions of a product must be run-length masks by name")
        masks = {str(name): _decode(mask, size, str(name)) for name, mask in regions.items()}
        return cls(
            size,
            masks,
            None if ignore is None else _decode(ignore, size, "ignore"),
            Tiling(tiling["kind"], float(tiling["step"]), float(tiling["zoom"])),
        )


def read_view(path: str | Path, size: Size, tiling: Tiling = WHOLE) -> View:
    """Read regions of interest for pictures of a size.

    Args:
        path: A PNG with one region index a pixel (0 is not looked at), or JSON ``{"regions":
            {"name": [[x, y], …] or a PNG}, "ignore": [[[x, y], …], …] or a PNG}`` with corners in
            pixels and PNGs beside it, nonzero inside.
        size: (H, W).
        tiling: How the frame is cut.

    Raises:
        InputError: If the file is of another form, or a region lies outside the picture.
    """
    path = Path(path)
    if path.suffix.lower() != ".json":
        mask = read_mask(path, size)
        values = [int(value) for value in np.unique(mask) if value]
        if not values or len(values) > 64:
            raise InputError(f"{path} must mark 1 to 64 regions by nonzero values, got {values}")
        names = {values[0]: "roi"} if len(values) == 1 else {v: f"region {v}" for v in values}
        return View(size, {name: mask == value for value, name in names.items()}, None, tiling)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        regions = {str(k): _region(v, size, path) for k, v in content.get("regions", {}).items()}
        given = content.get("ignore")
    except (OSError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read regions from {path}: {error}") from error
    if "" in regions or len(regions) > 64:
        raise InputError(f"{path}: name 1 to 64 regions, each with at least one letter")
    drawn = [given] if isinstance(given, str) else list(given or [])
    ignored = [_region(part, size, path) for part in drawn]
    return View(size, regions, np.logical_or.reduce(ignored) if ignored else None, tiling)


def read_size(value: object) -> Size:
    """(H, W) from plain values.

    Raises:
        InputError: If it is of another form.
    """
    if isinstance(value, list | tuple) and len(value) == 2:
        height, width = value
        if all(type(side) is int and side > 0 for side in value) and height * width <= MAX_PIXELS:
            return height, width
    raise InputError(f"a size is [height, width] in pixels, got {value!r}")


def _region(drawn: object, size: Size, path: Path) -> Mask:
    if isinstance(drawn, str):
        place = path.parent / drawn
        if place.resolve().parent != path.parent.resolve():
            raise InputError(f"{path}: the mask {drawn!r} must lie beside it")
        return np.asarray(read_mask(place, size) != 0, np.bool_)
    try:
        corners = np.asarray(drawn, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: a polygon is a list of corners [x, y]") from error
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise InputError(f"{path}: a polygon is a list of at least three corners [x, y]")
    if not np.isfinite(corners).all() or (corners < 0).any() or (corners > size[::-1]).any():
        raise InputError(
            f"{path}: a polygon leaves the picture of {size[1]} × {size[0]} pixels (width × height)"
        )
    return fill_polygon(corners, size)


def fill_polygon(corners: NDArray[np.float64], size: Size) -> Mask:
    """(H, W) bool: pixels whose centre lies inside a polygon (N, 2) of corners (x, y), even-odd.

    Each side toggles the pixels to its right, in the rows whose centres it crosses.
    """
    height, width = size
    toggles = np.zeros((height, width + 1), np.int64)
    centres = np.arange(height) + 0.5
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        rows = np.flatnonzero((centres >= min(y0, y1)) & (centres < max(y0, y1)))
        if len(rows):
            crossing = x0 + (centres[rows] - y0) * (x1 - x0) / (y1 - y0)
            toggles[rows, np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)] += 1
    return np.asarray(toggles.cumsum(1)[:, :width] % 2 == 1, np.bool_)


def _window(box: Box) -> tuple[slice, slice]:
    top, left, bottom, right = box
    return slice(top, bottom), slice(left, right)


def _decode(rle: object, size: Size | None, name: str) -> Mask:
    if not isinstance(rle, dict) or size is None:
        raise InputError(f"region {name!r} of a product must be a run-length mask of its size")
    return decode_rle(rle, size, f"region {name!r}")


def _top(values: NDArray[np.float32]) -> float:
    count = max(1, round(TOP * values.size))
    return float(np.partition(values, values.size - count)[-count:].mean())


def _grow(low: int, high: int, length: int) -> tuple[int, int]:
    """An interval of at least `SMALLEST_FRAME` pixels inside the picture."""
    wanted = max(high - low, min(SMALLEST_FRAME, length))
    low = min(max(0, low - (wanted - (high - low)) // 2), length - wanted)
    return low, low + wanted
