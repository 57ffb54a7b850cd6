"""What the command line and the demos do: whole jobs over files, through the library's own parts.

Every function returns a plain dictionary that is also what lands in ``results.json``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from dense.backbones import CLIPBackbone, last_block, load
from dense.classifier import build_text_classifier
from dense.errors import InputError
from dense.images import read_image, write_image
from dense.methods.inspector import AnomalyInspector
from dense.methods.segmentor import OpenVocabSegmentor
from dense.outputs import check_writable, output_names, write_index_mask, write_json
from dense.prompts import make_class_list
from dense.structures import AnomalyResult, Sample, SegmentationResult
from dense.visualize import draw_anomaly, draw_segmentation, mask_palette

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


def make_segmentor(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    background: Sequence[str] = (),
    attention: str | None = None,
    short_side: int = 448,
    threshold: float = 0.0,
) -> OpenVocabSegmentor:
    """Build a segmentor for some words; the attention defaults to what the checkpoint recommends.

    Raises:
        InputError: If the words or the attention variant cannot be used.
    """
    class_list = make_class_list(classes, background)
    if not 0.0 <= threshold <= 1.0:
        raise InputError(f"the threshold is a probability in [0, 1], got {threshold:g}")
    block = last_block(attention) if attention else backbone.recommended.block
    return OpenVocabSegmentor(
        backbone,
        build_text_classifier(backbone, class_list),
        block=block,
        short_side=short_side,
        threshold=threshold,
    )


def segment_images(
    segmentor: OpenVocabSegmentor,
    paths: Sequence[Path],
    out: str | Path,
    *,
    opacity: float = 0.5,
    track: Track[tuple[str, Sample]] | None = None,
) -> Report:
    """Segment files into ``NAME_overlay.png``, ``NAME_mask.png`` and ``results.json`` in `out`.

    Raises:
        InputError: If nothing could be read or the place cannot be written.
    """
    out = check_writable(out)
    names, started = segmentor.classifier.class_names, time.perf_counter()
    hidden = _hidden(segmentor)
    skipped: list[Report] = []
    records: list[Report] = []
    samples = _read_all(paths, skipped)
    for name, sample in track(samples, len(paths), "segment") if track else samples:
        begun = time.perf_counter()
        result = segmentor.predict([sample])[0]
        seconds = time.perf_counter() - begun
        picture = draw_segmentation(sample.image, result, opacity=opacity, hidden=hidden)
        write_image(out / f"{name}_overlay.png", picture)
        write_index_mask(
            out / f"{name}_mask.png",
            result.class_map,
            num_classes=len(names),
            palette=mask_palette(len(names)),
        )
        records.append(
            {
                **_about(sample, seconds),
                "classes": class_shares(result),
                "overlay": f"{name}_overlay.png",
                "mask": f"{name}_mask.png",
            }
        )
    report: Report = {
        "command": "segment",
        "method": segmentor.describe(),
        "class_names": list(names),
        **_outcome(records, skipped, started),
    }
    write_json(out / "results.json", report)
    return report


def read_support(
    source: str | Path | Sequence[Path],
    *,
    category: str = "",
    shots: int | None = None,
    seed: int = 0,
) -> list[Sample]:
    """Read normal images, all of them or `shots` drawn with a seed.

    Raises:
        InputError: If there are none, too few, or one cannot be read.
    """
    from dense.images import find_images

    paths = find_images(source) if isinstance(source, (str, Path)) else list(source)
    if shots is not None:
        if not 1 <= shots <= len(paths):
            raise InputError(
                f"{shots} support images were asked for, but {source} has {len(paths)}"
            )
        chosen = np.random.default_rng(seed).choice(len(paths), shots, replace=False)
        paths = [paths[place] for place in sorted(chosen)]
    return [Sample(read_image(path), path, label=0, category=category) for path in paths]


def inspect_images(
    inspector: AnomalyInspector,
    paths: Sequence[Path],
    out: str | Path,
    *,
    category: str = "",
    scale: tuple[float, float] | None = None,
    track: Track[tuple[str, Sample]] | None = None,
) -> Report:
    """Inspect files into ``NAME_heat.png``, ``NAME_map.png`` (16 bits) and ``results.json``.

    Args:
        inspector: Fitted on support images or not.
        paths: The pictures.
        out: Folder of the results.
        category: Which of the inspector's products the pictures show.
        scale: (low, high) anomaly values of the heat colours; by default `default_scale`.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If nothing could be read or the place cannot be written.
    """
    out = check_writable(out)
    scale, started = scale or default_scale(inspector, category), time.perf_counter()
    skipped: list[Report] = []
    records: list[Report] = []
    samples = _read_all(paths, skipped, category)
    for name, sample in track(samples, len(paths), "inspect") if track else samples:
        begun = time.perf_counter()
        result = inspector.predict([sample])[0]
        seconds = time.perf_counter() - begun
        write_image(out / f"{name}_heat.png", draw_anomaly(sample.image, result, scale=scale))
        write_image(out / f"{name}_map.png", map_to_levels(result, scale))
        records.append(
            {
                **_about(sample, seconds),
                "score": result.score,
                "is_anomalous": result.is_anomalous,
                "peak": peak(result),
                "heat": f"{name}_heat.png",
                "map": f"{name}_map.png",
            }
        )
    report: Report = {
        "command": "inspect",
        "method": inspector.describe(),
        "product": inspector.products.get(category, category),
        "scale": list(scale),
        **_outcome(records, skipped, started),
    }
    write_json(out / "results.json", report)
    return report


def default_scale(inspector: AnomalyInspector, category: str = "") -> tuple[float, float]:
    """Choose the heat colours' range from the method alone, so it is the same in every run."""
    try:
        inspector.memory(category)
    except LookupError:
        return (0.5, 1.0)
    except RuntimeError:
        return (0.5, 1.0)
    return (0.25, 0.6)


def map_to_levels(result: AnomalyResult, scale: tuple[float, float]) -> np.ndarray:
    """Turn an anomaly map into 16-bit levels (H, W): 0 at the low, 65535 at the high end."""
    share = (np.nan_to_num(result.anomaly_map) - scale[0]) / (scale[1] - scale[0])
    return np.rint(np.clip(share, 0, 1) * 65535).astype(np.uint16)


def peak(result: AnomalyResult) -> dict[str, object]:
    """Where the map is highest, in original pixels, and how high."""
    y, x = np.unravel_index(int(np.argmax(result.anomaly_map)), result.anomaly_map.shape)
    return {"x": int(x), "y": int(y), "value": float(result.anomaly_map[y, x])}


def class_shares(result: SegmentationResult) -> list[dict[str, object]]:
    """Classes present with their share of the picture, largest first."""
    order = np.argsort(-result.scores, kind="stable")
    return [
        {"index": int(k), "name": result.class_names[k], "share": float(result.scores[k])}
        for k in order
        if result.scores[k] > 0
    ]


def _hidden(segmentor: OpenVocabSegmentor) -> tuple[int, ...]:
    background = segmentor.classifier.background
    return () if background is None else (background,)


def _read_all(
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


def _about(sample: Sample, seconds: float) -> Report:
    return {
        "file": str(sample.image_path),
        "height": sample.image_size[0],
        "width": sample.image_size[1],
        "seconds": round(seconds, 4),
    }


def _outcome(records: list[Report], skipped: list[Report], started: float) -> Report:
    if not records:
        raise InputError(
            f"none of the {len(skipped)} images could be read; the first: {skipped[0]['reason']}"
        )
    return {
        "images": records,
        "skipped": skipped,
        "seconds": round(time.perf_counter() - started, 3),
    }
