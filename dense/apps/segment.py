"""Segmentation of files."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from dense.apps.files import Report, Track, about, outcome, read_all
from dense.backbones import CLIPBackbone, last_block
from dense.classifier import build_text_classifier
from dense.errors import InputError, unknown_name
from dense.images import write_image
from dense.masks import Segment, cut_out, segments, to_coco, to_geojson
from dense.methods.catalog import find_method
from dense.methods.method import refuse_weights
from dense.methods.segmentation.base import LastBlockMethod
from dense.methods.segmentation.protocol import Threshold, find_protocol
from dense.methods.segmentor import OpenVocabSegmentor, advised_protocol, build_segmentor
from dense.outputs import check_writable, write_index_mask, write_json, write_text
from dense.postprocess import abstain
from dense.prompts import make_class_list, separator_warning
from dense.refine import find_refiners
from dense.structures import Sample, SegmentationResult
from dense.visualize import draw_segmentation, mask_palette

_LOG = logging.getLogger(__name__)


def make_segmentor(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    background: Sequence[str] = (),
    method: str | None = None,
    attention: str | None = None,
    weights: str | Path | None = None,
    protocol: str = "whole",
    short_side: int | None = None,
    threshold: Threshold | None = None,
    refine: Sequence[str] = (),
) -> OpenVocabSegmentor:
    """Build a segmentor for some words.

    Args:
        backbone: A loaded CLIP.
        classes: One entry a class, synonyms after semicolons.
        background: Words of a background class.
        method: A "segment" method of the catalogue; by default the last block that the checkpoint
            recommends.
        attention: A last-block variant of `dense.backbones.attention` in place of a method.
        weights: File of the learned parts, for trained methods.
        protocol: A preset, see `dense.methods.segmentation.protocol`.
        short_side: In place of the protocol's; by default what the checkpoint recommends.
        threshold: In place of the protocol's: a probability, or ``"otsu"``.
        refine: Post-processing steps in order, see `dense.refine`.

    Raises:
        InputError: If the words or a name cannot be used.
    """
    class_list = make_class_list(classes, background)
    doubt = separator_warning(classes)
    if doubt:
        _LOG.warning("%s", doubt)
    if method and attention:
        raise InputError("choose a method or an attention variant, not both")
    chosen = advised_protocol(backbone, find_protocol(protocol)).changed(
        short_side=short_side, threshold=threshold, refine=refine
    )
    find_refiners(refine)
    replaced = LastBlockMethod(last_block(attention)) if attention else None
    if method is None or not find_method(method, "segment").trained:
        refuse_weights(method or "the last block of the checkpoint", weights)
    settings = {} if weights is None else {"weights": str(weights)}
    classifier = build_text_classifier(backbone, class_list)
    if replaced:
        return OpenVocabSegmentor(backbone, classifier, method=replaced, protocol=chosen)
    return build_segmentor(backbone, classifier, method, protocol=chosen, settings=settings)


@dataclass(frozen=True)
class SegmentOutputs:
    """What is written of a picture beside ``NAME_overlay.png`` and ``NAME_mask.png``.

    Attributes:
        opacity: Of the class colours on the overlay.
        abstain: Pixels less confident than this probability are undecided.
        confidence: Write ``NAME_confidence.png``: 16 bits, 65535 is probability 1.
        export: Of `EXPORTS`.

    Raises:
        InputError: If an export is unknown.
    """

    opacity: float = 0.5
    abstain: float = 0.0
    confidence: bool = False
    export: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in self.export:
            if name not in EXPORTS:
                raise unknown_name("export", name, EXPORTS)


def segment_images(
    segmentor: OpenVocabSegmentor,
    paths: Sequence[Path],
    out: str | Path,
    *,
    outputs: SegmentOutputs = SegmentOutputs(),
    track: Track[tuple[str, Sample]] | None = None,
) -> Report:
    """Segment files into pictures, masks and ``results.json`` in `out`.

    Raises:
        InputError: If nothing could be read or the place cannot be written.
    """
    out = check_writable(out)
    started = time.perf_counter()
    skipped: list[Report] = []
    records: list[Report] = []
    samples = read_all(paths, skipped)
    tracked = track(samples, len(paths), "segment") if track else samples
    for batch in _batches(tracked, segmentor.batch_size):
        begun = time.perf_counter()
        results = segmentor.predict([sample for _, sample in batch])
        seconds = (time.perf_counter() - begun) / len(batch)
        for (name, sample), sure in zip(batch, results, strict=True):
            result = abstain(sure, outputs.abstain)
            written = write_result(out / name, sample, result, outputs, hidden_classes(segmentor))
            undecided = max(0.0, 1.0 - float(result.scores.sum()))
            shares = {"classes": class_shares(result), "undecided": round(undecided, 6)}
            records.append({**about(sample, seconds), **shares, **written})
    report: Report = {
        "command": "segment",
        "method": segmentor.describe() | {"abstain": outputs.abstain},
        "class_names": list(segmentor.classifier.class_names),
        **outcome(records, skipped, started),
    }
    write_json(out / "results.json", report)
    return report


def _batches(
    samples: Iterable[tuple[str, Sample]], size: int
) -> Iterator[list[tuple[str, Sample]]]:
    rest = iter(samples)
    while batch := list(islice(rest, size)):
        yield batch


def write_result(
    stem: Path,
    sample: Sample,
    result: SegmentationResult,
    outputs: SegmentOutputs,
    hidden: Sequence[int] = (),
) -> Report:
    """Write all pictures of a result as ``STEM_...``; names of the files by what they hold."""
    classes = len(result.class_names)
    name = stem.name
    written: Report = {"overlay": f"{name}_overlay.png", "mask": f"{name}_mask.png"}
    picture = draw_segmentation(sample.image, result, opacity=outputs.opacity, hidden=hidden)
    write_image(stem.with_name(f"{name}_overlay.png"), picture)
    write_index_mask(
        stem.with_name(f"{name}_mask.png"),
        result.class_map,
        num_classes=classes,
        palette=mask_palette(classes),
    )
    if outputs.confidence and result.confidence is not None:
        written["confidence"] = f"{name}_confidence.png"
        levels = np.rint(result.confidence * 65535).astype(np.uint16)
        write_image(stem.with_name(f"{name}_confidence.png"), levels)
    found = segments(result, hidden=hidden)
    for export in dict.fromkeys(outputs.export):
        written[export] = EXPORTS[export](stem, sample, found)
    return written


def _export_rgba(stem: Path, sample: Sample, found: Sequence[Segment]) -> list[str]:
    names = [f"{stem.name}_cutout_{segment.index}.png" for segment in found]
    for name, segment in zip(names, found, strict=True):
        write_image(stem.with_name(name), cut_out(sample.image, segment.mask))
    return names


def _export_rle(stem: Path, sample: Sample, found: Sequence[Segment]) -> str:
    name = f"{stem.name}_rle.json"
    image = {
        "file_name": sample.image_path.name if sample.image_path else "",
        "height": sample.image_size[0],
        "width": sample.image_size[1],
    }
    write_json(stem.with_name(name), {"image": image, "annotations": to_coco(found)})
    return name


def _export_polygons(stem: Path, sample: Sample, found: Sequence[Segment]) -> str:
    name = f"{stem.name}_polygons.json"
    write_text(stem.with_name(name), json.dumps(to_geojson(found), ensure_ascii=False) + "\n")
    return name


EXPORTS: dict[str, Callable[[Path, Sample, Sequence[Segment]], object]] = {
    "rgba": _export_rgba,
    "rle": _export_rle,
    "polygons": _export_polygons,
}
"""Forms of masks for other tools, see `dense.masks`."""


def class_shares(result: SegmentationResult) -> list[dict[str, object]]:
    """Classes present with their share of the picture, largest first."""
    order = np.argsort(-result.scores, kind="stable")
    return [
        {"index": int(k), "name": result.class_names[k], "share": float(result.scores[k])}
        for k in order
        if result.scores[k] > 0
    ]


def hidden_classes(segmentor: OpenVocabSegmentor) -> tuple[int, ...]:
    """Classes that are not drawn: the background, if there is one."""
    background = segmentor.classifier.background
    return () if background is None else (background,)
