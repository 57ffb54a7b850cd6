"""Proposals from segment-anything's automatic masks, where a checkpoint is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.errors import InputError, unknown_name
from dense.methods.detection.proposals import Proposals
from dense.providers.sam import load_sam
from dense.structures import Sample

KINDS = ("vit_b", "vit_l", "vit_h")
LONGEST = 512
"""Long side at which masks are kept: bounds the memory of thousands of them."""


class MaskGenerator(Protocol):
    """`segment_anything.SamAutomaticMaskGenerator`, or its like."""

    def generate(self, image: NDArray[np.uint8]) -> list[dict[str, object]]:
        """Masks with ``segmentation``, ``bbox`` (xywh) and ``predicted_iou``."""
        ...


@dataclass(frozen=True)
class SamProposals:
    """Automatic masks (Kirillov et al., ICCV 2023, arXiv:2304.02643), objectness their own IoU.

    Attributes:
        generator: From `load_generator`.
        limit: Most proposals of a picture.
    """

    generator: MaskGenerator = field(repr=False)
    limit: int = 300

    def __call__(self, sample: Sample, patches: Tensor) -> Proposals:
        """See `dense.methods.detection.proposals.Proposer`."""
        found = self.generator.generate(sample.image)
        found = sorted(found, key=lambda row: -float(row["predicted_iou"]))[: self.limit]  # type: ignore[arg-type]
        height, width = sample.image_size
        shrink = min(1.0, LONGEST / max(height, width))
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        boxes = np.array([row["bbox"] for row in found], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        masks = np.zeros((len(found), size[1], size[0]), bool)
        for place, row in enumerate(found):
            whole = np.asarray(row["segmentation"], np.uint8)
            masks[place] = cv2.resize(whole, size, interpolation=cv2.INTER_AREA) > 0
        scores = np.array([row["predicted_iou"] for row in found], np.float32).clip(0, 1)
        solid = (boxes[:, 2:] > boxes[:, :2]).all(1) & masks.any((1, 2))
        return Proposals(
            torch.from_numpy(boxes[solid]),
            torch.from_numpy(scores[solid]),
            torch.from_numpy(masks[solid]),
        )

    def describe(self) -> dict[str, object]:
        """Settings, for the protocol card."""
        return {"proposals": "segment anything", "proposal_limit": self.limit}


def load_generator(
    checkpoint: str | Path, *, kind: str = "vit_b", device: str = "cpu", points: int = 32
) -> MaskGenerator:
    """Load segment-anything; the checkpoint is read without executing anything from it.

    Args:
        checkpoint: Its authors' ``.pth`` file, or the same as ``.safetensors``.
        kind: ``"vit_b"``, ``"vit_l"`` or ``"vit_h"``.
        device: Where it runs.
        points: Side of the grid of points that are asked about.

    Raises:
        InputError: If the file is missing or does not fit the kind.
        MissingDependencyError: If segment-anything is missing.
    """
    if kind not in KINDS:
        raise unknown_name("kind of segment-anything model", kind, KINDS)
    path = Path(checkpoint)
    if not path.is_file():
        raise InputError(f"no such segment-anything checkpoint: {path}")
    model = load_sam(f"sam-{kind[-1]}", str(path)).to(device).eval()
    from segment_anything import SamAutomaticMaskGenerator

    return SamAutomaticMaskGenerator(model, points_per_side=points)
