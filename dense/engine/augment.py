"""Albumentations pipelines for training samples: picture, mask and boxes move together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from dense.errors import InputError
from dense.structures import Sample, Size

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import would ask the network

import albumentations as A


class Augment:
    """Applies albumentations transforms to samples.

    Random numbers come from torch's generator, so that loader workers differ and a seeded run
    repeats. Boxes that leave the picture are dropped with their labels, others are clipped.

    Args:
        transforms: What to apply, in order.
        min_visibility: Share of a box's area that must stay in the picture.
    """

    def __init__(
        self, transforms: Sequence[A.BasicTransform | A.BaseCompose], *, min_visibility: float = 0.1
    ) -> None:
        boxes = A.BboxParams(
            format="pascal_voc",
            label_fields=["box_labels"],
            min_visibility=min_visibility,
            min_area=1.0,
            clip=True,
        )
        self.plain = A.Compose(list(transforms))
        self.with_boxes = A.Compose(list(transforms), bbox_params=boxes)

    def __call__(self, sample: Sample) -> Sample:
        """Return the augmented sample; the given one stays as it is.

        Raises:
            InputError: If the boxes have no labels.
        """
        pipeline = self.plain if sample.boxes is None else self.with_boxes
        pipeline.set_random_seed(int(torch.randint(2**31, ()).item()))
        out = pipeline(**self._inputs(sample))
        changes: dict[str, object] = {"image": np.ascontiguousarray(out["image"])}
        if sample.mask is not None:
            changes["mask"] = out["mask"].astype(sample.mask.dtype)
        if sample.boxes is not None:
            changes["boxes"] = np.asarray(out["bboxes"], np.float32).reshape(-1, 4)
            changes["box_labels"] = np.asarray(out["box_labels"], np.int64).reshape(-1)
        return replace(sample, **changes)  # type: ignore[arg-type]

    def _inputs(self, sample: Sample) -> dict[str, object]:
        inputs: dict[str, object] = {"image": sample.image}
        if sample.mask is not None:
            wide = int(sample.mask.max(initial=0)) > 255
            inputs["mask"] = sample.mask.astype(np.int32 if wide else np.uint8)
        if sample.boxes is not None:
            if sample.box_labels is None or len(sample.box_labels) != len(sample.boxes):
                raise InputError("boxes can be augmented only with a label for each of them")
            inputs["bboxes"], inputs["box_labels"] = sample.boxes, sample.box_labels
        return inputs


def train_augment(
    size: Size,
    *,
    scale: tuple[float, float] = (0.5, 1.0),
    flip: float = 0.5,
    colour: float = 0.5,
) -> Augment:
    """The usual recipe: a random resized crop, a mirror, a change of colour.

    Args:
        size: (h, w) of the result.
        scale: Area of the crop as a share of the picture.
        flip: Probability of mirroring left and right.
        colour: Probability of changing brightness, contrast, saturation and hue.
    """
    return Augment(
        [
            A.RandomResizedCrop(size=size, scale=scale, ratio=(0.75, 4 / 3), p=1.0),
            A.HorizontalFlip(p=flip),
            A.ColorJitter(0.2, 0.2, 0.2, 0.05, p=colour),
        ]
    )


def detection_augment(
    side: int, *, scale: tuple[float, float] = (0.1, 2.0), flip: float = 0.5
) -> Augment:
    """Large-scale jitter (Ghiasi et al., CVPR 2021): other sizes, the shape of things kept.

    Args:
        side: Of the square result in pixels; what the picture does not fill is black.
        scale: Long side of the picture in squares; what does not fit is cut off anywhere.
        flip: Probability of mirroring left and right.
    """
    return Augment(
        [
            A.LongestMaxSize(max_size=side),
            A.RandomScale(scale_limit=(scale[0] - 1, scale[1] - 1), p=1.0),
            A.PadIfNeeded(side, side, position="top_left", border_mode=0),
            A.RandomCrop(side, side),
            A.HorizontalFlip(p=flip),
        ]
    )
