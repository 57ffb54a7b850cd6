"""Regions of files named by words, and phrases found in files."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.apps.files import Report, Track, about, outcome, read_all
from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.datasets._files import by_stem, read_json
from dense.datasets.boxes import read_boxes
from dense.datasets.coco import BoxRecord, read_coco
from dense.datasets.regions import read_segmentation
from dense.errors import InputError
from dense.images import read_mask, write_image
from dense.methods.detection.detector import OpenVocabDetector
from dense.methods.detection.grouping import PatchGrouping
from dense.methods.looking.answers import Grounded, RegionNames, classify, ground
from dense.methods.looking.ask import PhraseFinder, RegionNamer, build_looker, phrase_classifier
from dense.methods.looking.base import AskedRegions, Setting, asked_regions
from dense.outputs import check_writable, write_json
from dense.structures import Sample
from dense.visualize import draw_detections

SHOWN = 5
"""Names of a region, and regions of a phrase, that a report lists."""

RegionSource = Callable[[Sample], AskedRegions]
"""The regions of a picture that somebody asks about."""


def make_namer(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    looker: str = "gc-clip",
    weights: str | Path | None = None,
    settings: Mapping[str, Setting] | None = None,
    templates: str = "imagenet",
) -> RegionNamer:
    """A looker with its words, see `build_looker` and `build_text_classifier`."""
    look = build_looker(backbone, looker, weights=weights, settings=settings)
    return RegionNamer(
        backbone, look, build_text_classifier(backbone, classes, templates=templates)
    )


def make_finder(
    backbone: CLIPBackbone,
    *,
    looker: str = "crop",
    weights: str | Path | None = None,
    settings: Mapping[str, Setting] | None = None,
    templates: str = "phrase",
    negatives: Sequence[str] = (),
) -> PhraseFinder:
    """A looker that finds phrases, see `build_looker` and `PhraseFinder`."""
    look = build_looker(backbone, looker, weights=weights, settings=settings)
    return PhraseFinder(backbone, look, templates=templates, negatives=negatives)


def same_boxes(boxes: NDArray[np.floating]) -> RegionSource:
    """The same boxes (R, 4) xyxy in every picture."""
    return lambda sample: asked_regions(sample.image_size, boxes, owner=_name(sample))


def regions_in_file(path: str | Path) -> RegionSource:
    """Regions by file name, from JSON.

    Boxes alone (`{"photo.jpg": [[x0, y0, x1, y1], ...]}`), or COCO's format, whose `segmentation`
    entries become masks where every box of a picture has one. A picture that is not named has no
    region.

    Raises:
        InputError: If the file is missing, or of neither form.
    """
    path = Path(path)
    content = read_json(path, "boxes by file name, or COCO's format")
    if not {"images", "annotations", "categories"} <= set(content):
        boxes = read_boxes(path)
        none = np.zeros((0, 4), np.float32)
        return lambda sample: asked_regions(
            sample.image_size, boxes.get(_name(sample), none), owner=_name(sample)
        )
    records = {Path(record.file_name).name: record for record in read_coco(path)[1]}
    return lambda sample: _recorded(sample, records.get(_name(sample)))


def regions_in_masks(path: str | Path) -> RegionSource:
    """Every value above 0 of a mask is a region.

    Args:
        path: A mask file, or a folder of masks named as the pictures.

    Raises:
        InputError: If there is no such file or folder; when a picture has no mask, or an empty
            one or of another size.
    """
    path = Path(path)
    found = by_stem(path) if path.is_dir() else None
    if found is None and not path.is_file():
        raise InputError(f"no such mask file or folder: {path}")

    def read(sample: Sample) -> AskedRegions:
        name = _name(sample)
        file = path if found is None else found.get(Path(name).stem)
        if file is None:
            raise InputError(f"no mask of the name of {name} in {path}")
        ids = read_mask(file, sample.image_size)
        values = [value for value in np.unique(ids).tolist() if value > 0]
        if not values:
            raise InputError(f"the mask {file} is empty: mark at least one pixel above 0")
        masks = np.stack([ids == value for value in values])
        return asked_regions(sample.image_size, masks=masks, owner=name)

    return read


def classify_images(
    namer: RegionNamer,
    paths: Sequence[Path],
    out: str | Path,
    *,
    regions: RegionSource | None = None,
    track: Track[tuple[str, Sample]] | None = None,
) -> Report:
    """Name regions in files: ``NAME_names.png`` and ``results.json`` in `out`.

    Args:
        namer: Carries the words.
        paths: The pictures.
        out: Where everything goes.
        regions: What is asked about; the whole pictures if ``None``.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If nothing could be read, the place cannot be written, or regions are unusable.
    """
    out = check_writable(out)
    started = time.perf_counter()
    skipped: list[Report] = []
    records: list[Report] = []
    samples = read_all(paths, skipped)
    for name, sample in track(samples, len(paths), "classify") if track else samples:
        asked = None if regions is None else regions(sample)
        begun = time.perf_counter()
        result = classify(namer.backbone, namer.looker, sample.image, namer.words, asked)
        seconds = time.perf_counter() - begun
        write_image(out / f"{name}_names.png", draw_detections(sample.image, result))
        found: Report = {"regions": named(result), "picture": f"{name}_names.png"}
        records.append({**about(sample, seconds), **found})
    report: Report = {
        "command": "classify",
        "method": namer.describe(),
        "class_names": list(namer.words.class_names),
        **outcome(records, skipped, started),
    }
    write_json(out / "results.json", report)
    return report


def ground_images(
    finder: PhraseFinder,
    paths: Sequence[Path],
    phrases: Sequence[str],
    out: str | Path,
    *,
    regions: RegionSource | None = None,
    proposals: int = 50,
    track: Track[tuple[str, Sample]] | None = None,
) -> Report:
    """Find phrases in files: ``NAME_found.png`` and ``results.json`` in `out`.

    Args:
        finder: The looker.
        paths: The pictures.
        phrases: What is looked for in each.
        out: Where everything goes.
        regions: Where to look; the likeliest objects (`PatchGrouping`) if ``None``.
        proposals: How many of these.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: As `classify_images`, or if there is no phrase, or no region in a picture.
    """
    if proposals < 1:
        raise InputError(f"the number of proposals must be 1 or more, got {proposals}")
    backbone = finder.backbone
    texts = phrase_classifier(backbone, phrases, templates=finder.templates)
    out = check_writable(out)
    detector = OpenVocabDetector(backbone, texts, proposer=PatchGrouping(limit=proposals))
    started = time.perf_counter()
    skipped: list[Report] = []
    records: list[Report] = []
    samples = read_all(paths, skipped)
    for name, sample in track(samples, len(paths), "ground") if track else samples:
        begun = time.perf_counter()
        if regions is not None:
            asked = regions(sample)
        else:
            boxes = detector.detect(sample)[1].boxes.numpy()
            asked = asked_regions(sample.image_size, boxes if len(boxes) else None)
        result = ground(
            backbone, finder.looker, sample.image, texts, asked, negatives=finder.negative_rows
        )
        seconds = time.perf_counter() - begun
        write_image(out / f"{name}_found.png", draw_detections(sample.image, result))
        found: Report = {"phrases": located(result), "picture": f"{name}_found.png"}
        records.append({**about(sample, seconds), **found})
    asked_about: Report = {"proposals": proposals} if regions is None else {}
    report: Report = {
        "command": "ground",
        "method": {**finder.describe(), **asked_about},
        "phrases": list(texts.class_names),
        **outcome(records, skipped, started),
    }
    write_json(out / "results.json", report)
    return report


def named(result: RegionNames) -> list[Report]:
    """Regions with their likeliest names, as plain values."""
    rows: list[Report] = []
    for box, chances in zip(result.boxes, result.probabilities, strict=True):
        best = np.argsort(-chances, kind="stable")[:SHOWN]
        names = [
            {"name": result.class_names[k], "score": round(float(chances[k]), 4)} for k in best
        ]
        rows.append({"box": _box(box), "names": names})
    return rows


def located(result: Grounded) -> list[Report]:
    """Phrases with their likeliest regions, as plain values; scores are shares of all regions."""
    rows: list[Report] = []
    for phrase, logits in zip(result.class_names, result.agreement, strict=True):
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        best = np.argsort(-chances, kind="stable")[:SHOWN]
        places = [
            {"box": _box(result.proposals[k]), "score": round(float(chances[k]), 4)} for k in best
        ]
        rows.append({"phrase": phrase, "places": places})
    return rows


def _recorded(sample: Sample, record: BoxRecord | None) -> AskedRegions:
    size, owner = sample.image_size, _name(sample)
    if record is None:
        return asked_regions(size, np.zeros((0, 4), np.float32), owner=owner)
    if not record.segments or not all(record.segments):
        return asked_regions(size, record.boxes, owner=owner)
    masks = [read_segmentation(segment, size, owner) for segment in record.segments]
    return asked_regions(size, record.boxes, np.stack(masks), owner=owner)


def _name(sample: Sample) -> str:
    return "the picture" if sample.image_path is None else sample.image_path.name


def _box(box: NDArray[np.floating]) -> list[float]:
    return [round(float(value), 1) for value in box]
