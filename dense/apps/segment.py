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
from dense.methods.segmentor import OpenVocabSegmentor
from dense.outputs import check_writable, write_index_mask, write_json
from dense.prompts import make_class_list
from dense.structures import Sample, SegmentationResult
from dense.visualize import draw_segmentation, mask_palette


def make_segmentor(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    background: Sequence[str] = (),
    attention: str | None = None,
    short_side: int | None = None,
    threshold: float = 0.0,
) -> OpenVocabSegmentor:
    """Build a segmentor for some words.

    Attention and input size default to what the checkpoint recommends.

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
        short_side=short_side or backbone.recommended.short_side,
        threshold=threshold,
        centring=0.0 if attention else backbone.recommended.centring,
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
