"""What a detector looks at of a region, one by one: its crop, and its mask at original size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.methods.batching import encode_pictures
from dense.methods.detection.proposals import Proposals
from dense.methods.detection.scoring import Candidates
from dense.postprocess import label_free_threshold
from dense.regions import cut_box, pixel_span, pool_boxes, to_patches, widen_boxes
from dense.structures import DetectionResult, Sample, Size

MASK_BYTES = 512 << 20
"""Most bytes of full-size masks of one picture; the weakest detections get none beyond."""


def see_crops(backbone: CLIPBackbone, sample: Sample, boxes: Tensor, margin: float) -> Tensor:
    """Class tokens of boxes cut out and squashed to the tower's own size.

    Args:
        backbone: The CLIP.
        sample: The picture.
        boxes: (R, 4) xyxy in original pixels.
        margin: Added on each side, as a share of the box.

    Returns:
        (R, D), not normalised.
    """
    wide = widen_boxes(boxes.cpu().numpy(), margin, sample.image_size)
    return encode_pictures(backbone, (cut_box(sample.image, box) for box in wide.tolist()))


def full_mask(proposals: Proposals, number: int, patches: Tensor, size: Size) -> NDArray[np.bool_]:
    """Mask of a proposal at original size, inside its box.

    Its own mask, if proposals have some; else the patches of its box that look like their mean, cut
    by `label_free_threshold` (all of the box, where they all look alike).

    Args:
        proposals: All of a picture.
        number: Which one.
        patches: (C, gh, gw).
        size: (H, W) of the picture.

    Returns:
        (H, W) bool.
    """
    if proposals.masks is not None:
        soft = proposals.masks[number].float()
        bound = 0.5
    else:
        grid = (patches.shape[1], patches.shape[2])
        box = to_patches(proposals.boxes[number : number + 1], size, grid)
        mean = pool_boxes(patches, box.to(patches))[0]
        soft = torch.einsum("chw,c->hw", F.normalize(patches, dim=0), F.normalize(mean, dim=0))
        x0, y0, x1, y1 = (int(v) for v in torch.cat([box[0, :2].floor(), box[0, 2:].ceil()]))
        bound = label_free_threshold(soft[y0:y1, x0:x1]) or -1.0
        soft = soft.cpu()
    whole = F.interpolate(soft[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    mask = (whole >= bound).numpy()
    x0, y0, x1, y1 = proposals.boxes[number].tolist()
    (top, low), (left, right) = pixel_span(y0, y1, size[0]), pixel_span(x0, x1, size[1])
    inside = np.zeros(size, bool)
    inside[top:low, left:right] = mask[top:low, left:right]
    return inside


def box_masks(
    proposals: Proposals, places: Sequence[int], patches: Tensor, size: Size
) -> NDArray[np.bool_]:
    """Masks (R', H, W) of the first R' of some proposals: as many as `MASK_BYTES` hold, or one.

    Args:
        proposals: All of a picture.
        places: R numbers of proposals, the most important first.
        patches: (C, gh, gw).
        size: (H, W) of the picture.
    """
    kept = places[: max(1, MASK_BYTES // (size[0] * size[1]))]
    masks = np.zeros((len(kept), *size), bool)
    for row, number in enumerate(kept):
        masks[row] = full_mask(proposals, number, patches, size)
    return masks


def as_result(
    proposals: Proposals,
    found: Candidates,
    names: tuple[str, ...],
    *,
    patches: Tensor | None = None,
    size: Size = (0, 0),
) -> DetectionResult:
    """What was found among the proposals of a picture.

    Args:
        proposals: All of them.
        found: Which are reported, by which name.
        names: Of the classes.
        patches: (C, gh, gw), to cut masks by; no masks if ``None``.
        size: (H, W) of the picture, for masks.
    """
    masks = None
    if patches is not None:
        masks = box_masks(proposals, found.place.tolist(), patches, size)
        found = found[: len(masks)]
    return DetectionResult(
        proposals.boxes[found.place].numpy().astype(np.float32),
        found.scores.numpy(),
        found.labels.numpy(),
        names,
        masks,
    )
