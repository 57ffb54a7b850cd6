"""Segmentation of files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dense.apps.files import Report, Track, about, outcome, read_all
from dense.backbones import CLIPBackbone, last_block
from dense.classifier import build_text_classifier
from dense.errors import InputError
from dense.images import write_image
from dense.methods.catalog import find_method
from dense.methods.segmentation.base import LastBlockMethod
from dense.methods.segmentation.protocol import Threshold, find_protocol
from dense.methods.segmentor import OpenVocabSegmentor, advised_protocol, build_segmentor
from dense.outputs import check_writable, write_index_mask, write_json
from dense.prompts import make_class_list
from dense.refine import find_refiners
from dense.structures import Sample, SegmentationResult
from dense.visualize import draw_segmentation, mask_palette


def make_segmentor(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    background: Sequence[str] = (),
    method: str | None = None,
    attention: str | None = None,
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
        protocol: A preset, see `dense.methods.segmentation.protocol`.
        short_side: In place of the protocol's; by default what the checkpoint recommends.
        threshold: In place of the protocol's: a probability, or ``"otsu"``.
        refine: Post-processing steps in order, see `dense.refine`.

    Raises:
        InputError: If the words or a name cannot be used.
    """
    class_list = make_class_list(classes, background)
    if method and attention:
        raise InputError("choose a method or an attention variant, not both")
    chosen = advised_protocol(backbone, find_protocol(protocol)).changed(
        short_side=short_side, threshold=threshold, refine=refine
    )
    find_refiners(refine)
    replaced = LastBlockMethod(last_block(attention)) if attention else None
    if method:
        find_method(method, "segment")
    classifier = build_text_classifier(backbone, class_list)
    if replaced:
        return OpenVocabSegmentor(backbone, classifier, method=replaced, protocol=chosen)
    return build_segmentor(backbone, classifier, method, protocol=chosen)


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
    hidden = hidden_classes(segmentor)
    skipped: list[Report] = []
    records: list[Report] = []
    samples = read_all(paths, skipped)
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
                **about(sample, seconds),
                "classes": class_shares(result),
                "overlay": f"{name}_overlay.png",
                "mask": f"{name}_mask.png",
            }
        )
    report: Report = {
        "command": "segment",
        "method": segmentor.describe(),
        "class_names": list(names),
        **outcome(records, skipped, started),
    }
    write_json(out / "results.json", report)
    return report


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
