"""`dense demo`: both jobs on the sample pictures, shown on one page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dense import apps
from dense.apps.explain import plain
from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.explain.draw import draw_explanation
from dense.explain.explain import explain
from dense.images import read_image, read_mask, write_image
from dense.legends import palette
from dense.outputs import check_writable, write_json
from dense.report import Entry, Figure, Section, Table, write_report
from dense.structures import AnomalyResult, Sample
from dense.visualize import draw_anomaly, draw_contour, draw_segmentation

Report = dict[str, Any]


@dataclass(frozen=True)
class Photo:
    """A sample photo with the words to look for."""

    name: str
    classes: tuple[str, ...]
    background: tuple[str, ...] = ()


PHOTOS = (
    Photo("coffee", ("coffee cup", "wooden table")),
    Photo("rocket", ("metal tower", "evening sky; sky")),
    Photo("china", ("temple; palace", "sky", "tree")),
)
EXPLAINED = ("china", "a temple with a roof", "heads")
"""Photo, sentence and method of the explained picture."""
METHOD = "words-memory"
"""One pass a picture; the packaged model is better at it than at windows."""

DRAWN_DEFECTS = (
    "The surfaces are real photographs; the cracks and stains on them were drawn by a documented "
    "script, because no freely licensed photo of a real defect was at hand."
)


def find_samples(folder: Path | None = None) -> Path:
    """Find the sample pictures: the folder given, the checkout's, or that of the working place.

    Raises:
        InputError: If there are none.
    """
    checkout = Path(__file__).resolve().parent.parent
    places = [folder] if folder else [checkout / "data/samples", Path("data/samples")]
    for place in places:
        if (place / "photos").is_dir() and (place / "surfaces").is_dir():
            return place
    raise InputError(
        f"no sample pictures (folders photos and surfaces) in {places[0]}: they are part of the "
        "repository, not of the installed package; pass their place as --samples"
    )


def run(
    options: apps.ModelOptions, samples: Path, out: Path, *, track: Any | None = None
) -> Report:
    """Run both jobs, write pictures, ``results.json`` and ``index.html``; return the results."""
    out, started = check_writable(out), time.perf_counter()
    backbone = apps.load_backbone(options)
    loading = time.perf_counter() - started
    photos = [photo for photo in PHOTOS if (samples / "photos" / f"{photo.name}.jpg").is_file()]
    products = sorted(path for path in (samples / "surfaces").iterdir() if path.is_dir())
    segmented, segment_entries = _segment(backbone, samples, photos, out, track)
    inspected, inspect_sections = _inspect(backbone, products, out)
    explained, explain_sections = _explain(backbone, samples / "photos", out)
    report: Report = {
        "command": "demo",
        "model": backbone.name,
        "loading_seconds": round(loading, 2),
        "segmentation": segmented,
        "explanation": explained,
        "inspection": inspected,
        "seconds": round(time.perf_counter() - started, 1),
    }
    overview = [
        Section(title, "", (), Table(header, rows)) for title, header, rows in tables(report)
    ]
    write_report(
        out / "index.html",
        "Words on pictures, defects on surfaces",
        [
            Section(
                "Segmentation by words",
                "Every pixel gets the word that fits it best. These photos and words were picked "
                "because the small packaged model manages them; they measure nothing. Change them "
                "in PHOTOS of dense/demo.py, or run dense segment on your own pictures.",
                segment_entries,
            ),
            *explain_sections,
            *inspect_sections,
            *overview,
        ],
        subtitle=f"The packaged model ({options.model}) on the sample pictures of the repository: "
        f"{len(segmented) + len(inspected)} results in {report['seconds']} s, loading included.",
        footer="Pictures: see data/samples/LICENSES.md for authors and licences. " + DRAWN_DEFECTS,
    )
    write_json(out / "results.json", report)
    return report


def tables(report: Report) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, header, rows) of the two result tables."""
    words = [
        [
            record["name"],
            ", ".join(
                f"{c['name']} {c['share']:.0%}" for c in record["classes"] if c["share"] >= 0.005
            ),
            f"{record['seconds']:.2f}",
        ]
        for record in report["segmentation"]
    ]
    scores = [
        [
            f"{record['product']}, {record['name']}",
            record["truth"],
            f"{record['zero_shot']:.3f}",
            f"{record['few_shot']:.3f}",
            f"{record['seconds']:.2f}",
        ]
        for record in report["inspection"]
    ]
    return [
        ("Shares of the words", ["photo", "share of the picture", "seconds"], words),
        (
            "Anomaly scores",
            ["picture", "is", "by words alone", "with 4 normal pictures", "seconds"],
            scores,
        ),
    ]


def _segment(
    backbone: CLIPBackbone, samples: Path, photos: Sequence[Photo], out: Path, track: Any | None
) -> tuple[list[Report], list[Entry]]:
    records: list[Report] = []
    entries: list[Entry] = []
    for photo in track(photos, len(photos), "segment") if track else photos:
        image = read_image(samples / "photos" / f"{photo.name}.jpg")
        segmentor = apps.make_segmentor(backbone, photo.classes, background=photo.background)
        begun = time.perf_counter()
        result = segmentor.predict([Sample(image)])[0]
        seconds = time.perf_counter() - begun
        hidden = apps.hidden_classes(segmentor)
        write_image(
            out / f"segment_{photo.name}.png", draw_segmentation(image, result, hidden=hidden)
        )
        overlay = draw_segmentation(image, result, legend=False, hidden=hidden)
        shares = apps.class_shares(result)
        colours = palette(len(result.class_names))
        records.append({"name": photo.name, "classes": shares, "seconds": round(seconds, 3)})
        entries.append(
            Entry(
                photo.name,
                (Figure(image, "the photo"), Figure(overlay, "the words on it")),
                facts=(("seconds", f"{seconds:.2f}"),),
                tags=[
                    (f"{c['name']} {c['share']:.0%}", _rgb(colours[int(str(c["index"]))]))
                    for c in shares
                    if float(str(c["share"])) >= 0.005
                ],
            )
        )
    return records, entries


def _explain(
    backbone: CLIPBackbone, photos: Path, out: Path
) -> tuple[Report | None, list[Section]]:
    name, words, method = EXPLAINED
    if not (photos / f"{name}.jpg").is_file():
        return None, []
    image = read_image(photos / f"{name}.jpg")
    explanation = explain(backbone, image, words, method=method)
    heat, bars = draw_explanation(image, explanation)
    write_image(out / f"explain_{name}.png", heat)
    entry = Entry(
        f"{name}: {words}",
        (Figure(image, "the photo"), Figure(heat, words), Figure(bars, "its words")),
        facts=(("score", f"{explanation.score:.3f}"), ("method", method)),
    )
    text = (
        "Red places and words raise the similarity of photo and sentence, blue ones lower it; "
        "dense explain --check measures how true such a map is."
    )
    return plain(explanation), [Section("Why photo and words match", text, [entry])]


def _inspect(
    backbone: CLIPBackbone, products: Sequence[Path], out: Path
) -> tuple[list[Report], list[Section]]:
    records: list[Report] = []
    sections: list[Section] = []
    for folder in products:
        words = folder.name.replace("_", " ")
        support = apps.read_support(folder / "train" / "good")
        paths = sorted((folder / "test").glob("*/*.jpg"), key=_defects_first)
        by_words = apps.make_inspector(backbone, words, method=METHOD)
        by_memory = apps.make_inspector(backbone, words, method=METHOD, support=support)
        zero = [_look(by_words, path) for path in paths]
        few = [_look(by_memory, path) for path in paths]
        entries = []
        for path, looks in zip(paths, zip(zero, few, strict=True), strict=True):
            record, entry = _compare(path, folder, looks, out)
            records.append(record)
            entries.append(entry)
        sections.append(
            Section(
                f"Inspection: {words}",
                "The picture, the marked defect, the heat map by words alone, "
                f"and with {len(support)} normal pictures. " + DRAWN_DEFECTS,
                entries,
            )
        )
    return records, sections


@dataclass(frozen=True)
class _Look:
    """One picture seen by one method."""

    result: AnomalyResult
    scale: tuple[float, float]
    seconds: float


def _look(inspector: apps.Inspector, path: Path) -> _Look:
    image = read_image(path)
    begun = time.perf_counter()
    result = inspector.predict([Sample(image, path)])[0]
    return _Look(result, inspector.heat_scale, time.perf_counter() - begun)


def _compare(
    path: Path, folder: Path, looks: tuple[_Look, _Look], out: Path
) -> tuple[Report, Entry]:
    image, kind = read_image(path), path.parent.name
    mask_path = folder / "ground_truth" / kind / f"{path.stem}_mask.png"
    truth = read_mask(mask_path, image.shape[:2]) > 0 if mask_path.is_file() else None
    results, seconds = [look.result for look in looks], sum(look.seconds for look in looks)
    heats = [draw_anomaly(image, look.result, scale=look.scale) for look in looks]
    name = f"{kind}, tile {path.stem}"
    for heat, word in zip(heats, ("zero_shot", "few_shot"), strict=True):
        write_image(out / f"inspect_{folder.name}_{kind}_{path.stem}_{word}.png", heat)
    record: Report = {
        "product": folder.name.replace("_", " "),
        "name": name,
        "truth": "normal" if truth is None else "defective",
        "zero_shot": results[0].score,
        "few_shot": results[1].score,
        "peak_on_defect": None if truth is None else [_hits(r, truth) for r in results],
        "seconds": round(seconds, 3),
    }
    figures = (
        Figure(image, "the picture"),
        Figure(_marked(image, truth), "nothing marked" if truth is None else f"the {kind}, marked"),
        Figure(heats[0], f"by words alone, score {results[0].score:.3f}"),
        Figure(heats[1], f"with normal pictures, score {results[1].score:.3f}"),
    )
    return record, Entry(name, figures, facts=(("seconds for both", f"{seconds:.2f}"),))


def _hits(result: AnomalyResult, truth: NDArray[np.bool_]) -> bool:
    place = np.unravel_index(int(np.argmax(result.anomaly_map)), truth.shape)
    return bool(truth[place])


def _marked(image: NDArray[np.uint8], truth: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """The picture enlarged, so that the contour does not cover a thin defect."""
    size = (3 * image.shape[1], 3 * image.shape[0])
    large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    if truth is None:
        return large
    mask = cv2.resize(truth.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return draw_contour(large, mask, (0, 255, 255))


def _defects_first(path: Path) -> tuple[bool, Path]:
    return path.parent.name == "good", path


def _rgb(colour: NDArray[np.uint8]) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in colour)
    return red, green, blue
