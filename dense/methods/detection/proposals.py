"""Where objects may be: boxes with objectness and maybe masks, whoever made them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError
from dense.regions import check_boxes
from dense.structures import Sample


@dataclass(frozen=True)
class Proposals:
    """Candidate regions of one picture.

    Attributes:
        boxes: (R, 4) float32 xyxy, original pixels.
        objectness: (R,) float32 in [0, 1].
        masks: (R, h, w) bool at any one resolution, covering the whole picture.
        given: Somebody asked about these very boxes: all are kept, none suppresses another.
    """

    boxes: Tensor
    objectness: Tensor
    masks: Tensor | None = None
    given: bool = False

    def __post_init__(self) -> None:
        for name, part in (("objectness", self.objectness), ("masks", self.masks)):
            if part is not None and len(part) != len(self.boxes):
                raise InputError(
                    f"Proposals needs one row of {name} a box, got {len(part)} for "
                    f"{len(self.boxes)} boxes"
                )

    def __len__(self) -> int:
        return len(self.boxes)

    def best(self, limit: int) -> Proposals:
        """The `limit` likeliest objects, likeliest first; equal ones keep their order."""
        order = self.objectness.argsort(descending=True, stable=True)[:limit]
        masks = None if self.masks is None else self.masks[order]
        return Proposals(self.boxes[order], self.objectness[order], masks, self.given)


class Proposer(Protocol):
    """Anything that proposes regions."""

    def __call__(self, sample: Sample, patches: Tensor) -> Proposals:
        """Propose.

        Args:
            sample: The picture.
            patches: (C, gh, gw) patch tokens of an intermediate block.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Everything that changes the numbers."""
        ...


@dataclass(frozen=True)
class OwnBoxes:
    """The boxes of the sample: those that a user drew, or the ground truth of a test."""

    def __call__(self, sample: Sample, patches: Tensor) -> Proposals:
        """See `Proposer`.

        Raises:
            InputError: If a box is unusable.
        """
        given = np.zeros((0, 4), np.float32) if sample.boxes is None else sample.boxes
        owner = str(sample.image_path or "the picture")
        boxes = torch.from_numpy(check_boxes(given, sample.image_size, owner))
        return Proposals(boxes, torch.ones(len(boxes)), given=True)

    def describe(self) -> dict[str, object]:
        """See `Proposer`."""
        return {"proposals": "given boxes"}


def contrast(features: Tensor, masks: Tensor, *, at_once: int = 1024) -> Tensor:
    """Class-agnostic objectness: how much likelier a region is to look like itself than its rim.

    Half the mean cosine of the region's patches to the region's mean feature, less that of the
    patches around it (8-neighbours); 0 where nothing is around. Ours, in the spirit of surround
    contrast (Alexe et al., "What is an object?", CVPR 2010), on patch features, not colours.

    Args:
        features: (C, gh, gw), any length.
        masks: (R, gh, gw) bool.
        at_once: Masks at once: bounds the memory.

    Returns:
        (R,) in [0, 1].
    """
    unit = F.normalize(features.float().flatten(1).T, dim=-1)
    found = [unit.new_zeros(0)]
    for some in masks.split(at_once):
        inside = some.to(unit.dtype)
        rim = F.max_pool2d(inside[:, None], 3, 1, 1)[:, 0] - inside
        inside, rim = inside.flatten(1), rim.flatten(1)
        similarity = F.normalize(inside @ unit, dim=-1) @ unit.T
        own = (similarity * inside).sum(1) / inside.sum(1).clamp(min=1)
        near = (similarity * rim).sum(1) / rim.sum(1).clamp(min=1)
        found.append(((own - near) / 2 * (rim.sum(1) > 0)).clamp(0, 1))
    return torch.cat(found)


def grid_mask_boxes(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Tight boxes (R, 4) xyxy in pixels of a picture (H, W) of masks (R, gh, gw), none empty."""
    gh, gw = masks.shape[1:]
    parts = []
    for axis, side, length in ((1, gw, size[1]), (2, gh, size[0])):
        taken = masks.any(axis)
        first = taken.int().argmax(1)
        last = side - taken.flip(1).int().argmax(1)
        parts.append((first * length / side, last * length / side))
    (x0, x1), (y0, y1) = parts
    return torch.stack([x0, y0, x1, y1], 1).float()


def distinct(boxes: Tensor, objectness: Tensor) -> NDArray[np.int64]:
    """Places of different boxes, the likeliest of equal ones."""
    order = objectness.argsort(descending=True, stable=True)
    rows = boxes[order].round().cpu().numpy()
    _, first = np.unique(rows, axis=0, return_index=True)
    return order.cpu().numpy()[np.sort(first)]
