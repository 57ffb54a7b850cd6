"""Pictures of mixed sizes → batches of equal input size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.structures import Sample, Size


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
    preprocess = backbone.preprocess
    start = 0
    while start < len(samples):
        stop = start + 1
        while stop < min(len(samples), start + batch_size) and sizes[stop] == sizes[start]:
            stop += 1
        batch = samples[start:stop]
        images = [preprocess.to_tensor(preprocess.resize(s.image, sizes[start])) for s in batch]
        yield batch, backbone.to_batch(images)
        start = stop
