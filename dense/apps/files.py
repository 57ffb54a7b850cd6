"""What the jobs share: the model, reading pictures one by one, the form of a report."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dense.backbones import CLIPBackbone, load
from dense.errors import InputError
from dense.images import read_image
from dense.outputs import output_names
from dense.structures import Sample

Item = TypeVar("Item")
Track = Callable[[Iterable[Item], int | None, str], Iterable[Item]]
Report = dict[str, object]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelOptions:
    """Which checkpoint runs where.

    Attributes:
        model: Name or path, see `dense.backbones.load`.
        pretrained: Tag or file for an architecture name.
        device: ``"auto"`` takes the GPU if there is one.
        precision: ``"fp32"``, ``"bf16"`` or ``"fp16"``.
    """

    model: str = "embedded"
    pretrained: str | None = None
    device: str = "auto"
    precision: str = "fp32"


def load_backbone(options: ModelOptions) -> CLIPBackbone:
    """Load the checkpoint that the options name."""
    device = options.device
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    return load(
        options.model, pretrained=options.pretrained, device=device, precision=options.precision
    )


def read_all(
    paths: Sequence[Path], skipped: list[Report], category: str = ""
) -> Iterator[tuple[str, Sample]]:
    """Read pictures one by one; unreadable ones are noted and warned about, not fatal."""
    for name, path in zip(output_names(paths), paths, strict=True):
        try:
            image = read_image(path)
        except InputError as error:
            if len(paths) == 1:
                raise
            _LOG.warning("skipped: %s", error)
            skipped.append({"file": str(path), "reason": str(error)})
            continue
        yield name, Sample(image, path, category=category)


def about(sample: Sample, seconds: float) -> Report:
    """What every record says of its picture."""
    return {
        "file": str(sample.image_path),
        "height": sample.image_size[0],
        "width": sample.image_size[1],
        "seconds": round(seconds, 4),
    }


def outcome(records: list[Report], skipped: list[Report], started: float) -> Report:
    """What every report ends with.

    Raises:
        InputError: If not one picture could be read.
    """
    if not records:
        raise InputError(
            f"none of the {len(skipped)} images could be read; the first: {skipped[0]['reason']}"
        )
    return {
        "images": records,
        "skipped": skipped,
        "seconds": round(time.perf_counter() - started, 3),
    }
