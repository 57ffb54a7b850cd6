"""Cutting one thing out of a picture from a rough prompt: the interface, and GrabCut.

A cutter turns points, a box or a rough mask into a mask that follows the picture's edges.
`GrabCut` needs no checkpoint; `dense.providers.sam_cutter.SamCutter` is segment-anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.regions import check_boxes
from dense.structures import Size

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Prompt:
    """What is known of a thing, in original pixels; at least one of its fields.

    Attributes:
        points: (P, 2) float32 x, y.
        labels: (P,) int64, 1 inside the thing, 0 outside; all 1 if ``None``.
        box: (4,) float32 xyxy.
        mask: (H, W) bool, roughly the thing.
    """

    points: NDArray[np.float32] | None = None
    labels: NDArray[np.int64] | None = None
    box: NDArray[np.float32] | None = None
    mask: Mask | None = None

    def checked(self, size: Size) -> Prompt:
        """The same for a picture of (H, W), with labels, the box cut at the border.

        Raises:
            InputError: If nothing is given, a mask is empty or of another size, a box or a point
                lies outside, or labels do not fit.
        """
        if self.points is None and self.box is None and self.mask is None:
            raise InputError("a prompt needs points, a box or a mask, got none of them")
        if self.mask is not None:
            if self.mask.shape != size:
                raise InputError(f"the prompt's mask must be {size}, got {self.mask.shape}")
            if not self.mask.any():
                raise InputError("the prompt's mask is empty: nothing is marked in it")
        box = None
        if self.box is not None:
            box = check_boxes(np.reshape(self.box, (1, 4)), size, "the prompt")[0]
        points, labels = self._points(size)
        return Prompt(points, labels, box, self.mask)

    def _points(self, size: Size) -> tuple[NDArray[np.float32] | None, NDArray[np.int64] | None]:
        if self.points is None:
            return None, None
        points = np.asarray(self.points, np.float32).reshape(-1, 2)
        count = len(points)
        labels = np.ones(count, np.int64) if self.labels is None else np.asarray(self.labels)
        inside = (points >= 0).all() and (points < np.array([size[1], size[0]])).all()
        if not count or not inside or labels.shape != (count,):
            raise InputError(
                f"a prompt's points must lie inside the picture of {size[1]} × {size[0]} pixels, "
                f"with one label each, got {points.tolist()} and {labels.tolist()}"
            )
        return points, labels.astype(np.int64)


def prompt_from_mask(mask: Mask, scores: NDArray[np.floating] | None = None) -> Prompt:
    """A prompt of a rough mask: its box, its inner point of the highest score, the mask itself.

    Args:
        mask: (H, W) bool.
        scores: (H, W), e.g. an anomaly or probability map; the distance to the mask's border if
            ``None``.

    Raises:
        InputError: If the mask is empty.
    """
    if not mask.any():
        raise InputError("the prompt's mask is empty: nothing is marked in it")
    if scores is None:
        padded = np.pad(mask.astype(np.uint8), 1)
        deep = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
        scores = np.asarray(deep, np.float32)
    y, x = np.unravel_index(int(np.where(mask, scores, -np.inf).argmax()), mask.shape)
    point = np.array([[x, y]], np.float32)
    return Prompt(point, np.ones(1, np.int64), mask_box(mask), mask)


def mask_box(mask: Mask) -> NDArray[np.float32]:
    """(4,) xyxy tight box of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


class Cutter(Protocol):
    """Cuts things out of pictures."""

    @property
    def name(self) -> str:
        """For the card."""

    def cut(self, image: NDArray[np.uint8], prompt: Prompt) -> Mask:
        """Mask (H, W) of what the prompt means in a picture (H, W, 3).

        Raises:
            InputError: If the prompt is unusable, see `Prompt.checked`.
        """

    def describe(self) -> dict[str, object]:
        """Name and settings, for the protocol card."""


@dataclass(frozen=True)
class GrabCut:
    """Graph cuts on colours (Rother, Kolmogorov and Blake, SIGGRAPH 2004), OpenCV's own.

    Outside the box, widened by `margin`, is ground for sure; the rough mask, or else the box, is
    probably the thing; discs around the points are certain. Where the neighbourhood has one
    colour there is no edge to find, and the rough mask or the box comes back.

    Attributes:
        margin: Of the neighbourhood on each side, as a share of the box.
        iterations: Of the graph cut.
        side: Longest side at which the neighbourhood is cut.
        instead_of: What was asked for but cannot be had, for the card.
    """

    margin: float = 0.3
    iterations: int = 4
    side: int = 384
    instead_of: str = ""

    @property
    def name(self) -> str:
        """For the card."""
        return f"grabcut ({self.instead_of})" if self.instead_of else "grabcut"

    def cut(self, image: NDArray[np.uint8], prompt: Prompt) -> Mask:
        """See `Cutter`."""
        size = (image.shape[0], image.shape[1])
        prompt = prompt.checked(size)
        x0, y0, x1, y1 = self._neighbourhood(prompt, size)
        part = np.ascontiguousarray(image[y0:y1, x0:x1])
        rough = _rough(prompt, size)[y0:y1, x0:x1]
        found = self._cut_part(part, rough, prompt, (x0, y0))
        whole = np.zeros(size, np.bool_)
        whole[y0:y1, x0:x1] = found
        return whole

    def describe(self) -> dict[str, object]:
        """See `Cutter`."""
        return {"cutter": self.name, "margin": self.margin, "iterations": self.iterations}

    def _neighbourhood(self, prompt: Prompt, size: Size) -> tuple[int, int, int, int]:
        box = prompt.box
        if box is None:
            if prompt.mask is None:
                return 0, 0, size[1], size[0]
            box = mask_box(prompt.mask)
        x0, y0, x1, y1 = (float(value) for value in box)
        wide, high = self.margin * (x1 - x0) + 2, self.margin * (y1 - y0) + 2
        return (
            max(0, int(x0 - wide)),
            max(0, int(y0 - high)),
            min(size[1], int(np.ceil(x1 + wide))),
            min(size[0], int(np.ceil(y1 + high))),
        )

    def _cut_part(
        self, part: NDArray[np.uint8], rough: Mask, prompt: Prompt, corner: tuple[int, int]
    ) -> Mask:
        if (part == part[:1, :1]).all() or rough.all():
            return rough
        scale = min(1.0, self.side / max(part.shape[:2]))
        wanted = tuple(max(2, round(length * scale)) for length in part.shape[1::-1])
        small = cv2.resize(part, wanted, interpolation=cv2.INTER_AREA)
        inside = cv2.resize(rough.view(np.uint8), wanted, interpolation=cv2.INTER_NEAREST) > 0
        state = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        state[[0, -1]] = np.where(inside[[0, -1]], state[[0, -1]], cv2.GC_BGD)
        state[:, [0, -1]] = np.where(inside[:, [0, -1]], state[:, [0, -1]], cv2.GC_BGD)
        points = np.zeros((0, 2)) if prompt.points is None else prompt.points
        labels = [] if prompt.labels is None else prompt.labels.tolist()
        for (x, y), label in zip((points - np.array(corner)) * scale, labels, strict=True):
            kind = cv2.GC_FGD if label else cv2.GC_BGD
            cv2.circle(state, (int(x), int(y)), max(1, min(wanted) // 50), int(kind), -1)
        if not (state & 1).any() or (state & 1).all():
            return rough
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(small, state, (0, 0, 1, 1), *models, self.iterations, cv2.GC_INIT_WITH_MASK)
        cut = cv2.resize(state & 1, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return np.asarray(cut, np.bool_)


def _rough(prompt: Prompt, size: Size) -> Mask:
    """(H, W): the mask, else the box, else the points."""
    if prompt.mask is not None:
        return prompt.mask
    rough = np.zeros(size, np.uint8)
    if prompt.box is not None:
        x0, y0, x1, y1 = (round(float(value)) for value in prompt.box)
        rough[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = 1
    elif prompt.points is not None and prompt.labels is not None:
        for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
            if label:
                cv2.circle(rough, (int(x), int(y)), max(1, min(size) // 20), 1, -1)
    return rough.astype(np.bool_)
