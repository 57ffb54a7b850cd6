"""Detection in files and videos."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from dense.apps.files import Report, Track, about, outcome, read_all
from dense.backbones import CLIPBackbone
from dense.datasets.boxes import BoxesByName, proposals_json
from dense.errors import InputError
from dense.evaluation.detection import coco_rows
from dense.images import write_image
from dense.methods.catalog import find_method
from dense.methods.detection.base import Detector
from dense.methods.detection.build import build_detector, takes_proposals, with_crops
from dense.methods.detection.detector import TO_LOOK_AT, DetectSettings
from dense.methods.detection.grouping import PatchGrouping
from dense.methods.detection.proposals import Proposer
from dense.methods.detection.segment_anything import SamProposals, load_generator
from dense.outputs import check_writable, write_json, write_text
from dense.refine.cutters import find_cutter
from dense.refine.masks import refine_detections
from dense.rle import encode_rle
from dense.structures import DetectionResult, Sample
from dense.video import FilmWriter, Frame, FrameReader
from dense.visualize import draw_detections


def make_detector(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    background: Sequence[str] | None = None,
    method: str = "regions",
    settings: DetectSettings | None = None,
    proposals: int = PatchGrouping.limit,
    sam: str | Path | None = None,
    sam_kind: str = "vit_b",
    weights: str | Path | None = None,
) -> Detector:
    """Build a detector for some words.

    Args:
        backbone: A loaded CLIP.
        classes: One entry a class, synonyms after semicolons.
        background: See `build_detector`.
        method: A "detect" method of the catalogue.
        settings: See `DetectSettings`; `TO_LOOK_AT` if ``None``.
        proposals: Most regions of a picture that are looked at; trained methods have their own.
        sam: Checkpoint of segment-anything, whose automatic masks are then the proposals.
        sam_kind: Its kind.
        weights: File of the learned parts, for trained methods.

    Raises:
        InputError: If the words or a name cannot be used.
    """
    row = find_method(method, "detect")
    if proposals < 1:
        raise InputError(f"the number of proposals must be 1 or more, got {proposals}")
    proposer: Proposer | None = None
    if sam is not None:
        if not takes_proposals(row):
            raise InputError(f"{method} looks at no proposals: leave segment-anything out")
        device = str(backbone.device)
        proposer = SamProposals(load_generator(sam, kind=sam_kind, device=device), limit=proposals)
    elif takes_proposals(row):
        proposer = PatchGrouping(limit=proposals)
    return build_detector(
        backbone,
        classes,
        background=background,
        method=method,
        proposer=proposer,
        settings=settings or with_crops(TO_LOOK_AT, method),
        weights=weights,
    )


def detect_images(
    detector: Detector,
    paths: Sequence[Path],
    out: str | Path,
    *,
    boxes: BoxesByName | None = None,
    save_proposals: str | Path | None = None,
    refine: str | None = None,
    track: Track[tuple[str, Sample]] | None = None,
) -> Report:
    """Detect in files: ``NAME_boxes.png``, ``results.json`` and ``coco.json`` in `out`.

    ``coco.json`` is a list in COCO's result format: image ids count the pictures from 1 in the
    order of ``results.json``, category ids the classes from 1.

    Args:
        detector: Carries the words.
        paths: The pictures.
        out: Where everything goes.
        boxes: Boxes of each picture by file name, for the method "boxes".
        save_proposals: Also write all proposals, before any words, as a COCO file.
        refine: Cutter of `dense.refine.cutters` that cuts masks and draws boxes tightly.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If nothing could be read, the place cannot be written, or boxes are unusable.
    """
    out = check_writable(out)
    names, started = detector.class_names, time.perf_counter()
    skipped: list[Report] = []
    records: list[Report] = []
    rows: list[Report] = []
    proposed = {}
    category_ids = range(1, len(names) + 1)
    if boxes is not None and not any(path.name in boxes for path in paths):
        raise InputError(f"the boxes name none of the pictures, e.g. not {paths[0].name}")
    cutter = None if refine is None else find_cutter(refine)
    samples = read_all(paths, skipped)
    for name, sample in track(samples, len(paths), "detect") if track else samples:
        if boxes is not None and sample.image_path is not None:
            sample = replace(sample, boxes=boxes.get(sample.image_path.name))
        begun = time.perf_counter()
        result, proposals = detector.detect(sample)
        if cutter is not None:
            result = refine_detections(cutter, sample.image, result)
        seconds = time.perf_counter() - begun
        if save_proposals is not None and sample.image_path is not None:
            proposed[sample.image_path] = proposals.boxes.numpy()
        write_image(out / f"{name}_boxes.png", draw_detections(sample.image, result))
        rows += coco_rows(result, len(records) + 1, category_ids)
        found = {"objects": objects(result), "picture": f"{name}_boxes.png"}
        records.append({**about(sample, seconds), "image_id": len(records) + 1, **found})
    report: Report = {
        "command": "detect",
        "method": detector.describe() | ({} if cutter is None else cutter.describe()),
        "class_names": list(names),
        **outcome(records, skipped, started),
    }
    write_json(out / "results.json", report)
    write_text(out / "coco.json", json.dumps(rows) + "\n")
    if save_proposals is not None:
        write_text(save_proposals, proposals_json(proposed))
    return report


def detect_video(
    detector: Detector,
    source: str | int | Path,
    out: str | Path,
    *,
    every: int = 1,
    limit: int | None = None,
    track: Callable[[Iterable[Frame], int | None, str], Iterable[Frame]] | None = None,
) -> Report:
    """Write an mp4 with boxes, each frame for itself; its speed is that of the source.

    Args:
        detector: Carries the words.
        source: A file, a camera index or a stream address.
        out: Where the mp4 goes.
        every: Look at one frame of this many.
        limit: Stop after this many frames.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If the source cannot be opened, has no frame, or `out` cannot be written.
    """
    reader = FrameReader(source, every=every, limit=limit)
    started = time.perf_counter()
    with FilmWriter(out, rate=reader.rate / every) as film:
        for frame in track(reader, reader.expected, "detect") if track else reader:
            film.write(draw_detections(frame.image, detector.predict([Sample(frame.image)])[0]))
    return {
        "command": "detect video",
        "source": str(source),
        "out": str(out),
        "frames": film.count,
        "broken_frames": reader.broken,
        "seconds": round(time.perf_counter() - started, 2),
    }


def objects(result: DetectionResult) -> list[dict[str, object]]:
    """Detections of a picture as plain values, best first; masks as packed run lengths."""
    found = []
    for place in range(len(result.boxes)):
        row: dict[str, object] = {
            "name": result.class_names[result.labels[place]],
            "score": round(float(result.scores[place]), 4),
            "box": [round(float(value), 1) for value in result.boxes[place]],
        }
        if result.masks is not None:
            row["mask"] = encode_rle(result.masks[place])
        found.append(row)
    return found
