"""Pictures of mixed sizes → batches of equal input size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.backbones import CLIPBackbone, LastBlock
from dense.backbones.preprocess import fit_short_side
from dense.structures import Sample, Size

AT_ONCE = 32
"""Pictures of the tower's own size that run at once."""

LONGEST_RATIO = 4
"""Longest side of an input, in short sides."""


def iter_batches(
    backbone: CLIPBackbone,
    samples: Sequence[Sample],
    input_size: Callable[[Size], Size],
    batch_size: int,
) -> Iterator[tuple[Sequence[Sample], Tensor]]:
    """Yield neighbours of one input size with their tensor (B, 3, h, w), in order.

    Args:
        backbone: Gives preprocessing, device and precision.
        samples: Pictures of any sizes.
        input_size: Maps the (H, W) of a picture to its (h, w).
        batch_size: Most pictures of a batch.
    """
    sizes = [input_size(sample.image_size) for sample in samples]
    start = 0
    while start < len(samples):
        stop = start + 1
        while stop < min(len(samples), start + batch_size) and sizes[stop] == sizes[start]:
            stop += 1
        batch = samples[start:stop]
        yield batch, resized(backbone, (sample.image for sample in batch), sizes[start])
        start = stop


def resized(backbone: CLIPBackbone, pictures: Iterable[NDArray[np.uint8]], size: Size) -> Tensor:
    """Pictures (H, W, 3) of any sizes, brought to one: a batch (B, 3, h, w)."""
    preprocess = backbone.preprocess
    return backbone.to_batch(
        [preprocess.to_tensor(preprocess.resize(picture, size)) for picture in pictures]
    )


def squashed(
    backbone: CLIPBackbone, pictures: Iterable[NDArray[np.uint8]], *, at_once: int = AT_ONCE
) -> Iterator[Tensor]:
    """Pictures (H, W, 3) of any sizes, squashed to the tower's own: batches (B, 3, h, w)."""
    waiting = iter(pictures)
    while some := list(islice(waiting, at_once)):
        yield resized(backbone, some, backbone.image_size)


def encode_pictures(
    backbone: CLIPBackbone, pictures: Iterable[NDArray[np.uint8]], *, at_once: int = AT_ONCE
) -> Tensor:
    """Image features (M, D) fp32, not normalised, of M pictures of any sizes; see `squashed`."""
    batches = squashed(backbone, pictures, at_once=at_once)
    rows = [backbone.vit.encode_image(batch).float() for batch in batches]
    return torch.cat([torch.zeros(0, backbone.joint_dim, device=backbone.device), *rows])


def dense_features(
    backbone: CLIPBackbone, image: NDArray[np.uint8], block: LastBlock, short_side: int
) -> Tensor:
    """Dense features (D, gh, gw) fp32 of one picture (H, W, 3), its shape kept."""
    size: Size = (image.shape[0], image.shape[1])
    fitted = fit_short_side(size, short_side, backbone.patch_size, LONGEST_RATIO * short_side)
    batch = resized(backbone, [image], fitted)
    return backbone.vit(batch, block).dense[0].float()
