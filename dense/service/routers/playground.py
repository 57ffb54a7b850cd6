"""Words on a picture: segmentation and detection without any product."""

from __future__ import annotations

import base64

import numpy as np
from fastapi import APIRouter, UploadFile
from numpy.typing import NDArray

from dense.apps.detect import make_detector
from dense.apps.segment import class_shares, hidden_classes, make_segmentor
from dense.legends import palette
from dense.service.auth import CoreDep, Worker
from dense.service.core import Core
from dense.service.models.playground import DetectAnswer, FoundBox, LegendEntry, SegmentAnswer
from dense.service.pictures import decode, encode, suffix_of
from dense.service.routers.shared import PROBLEMS, Words, lines, name_of
from dense.structures import Sample

router = APIRouter(prefix="/api/v1/playground", tags=["playground"], responses=PROBLEMS)
MODEL = "embedded"
SHOWN = 20_000_000
"""Pixels of the largest picture to play with."""


@router.post("/segment")
def segment(
    core: CoreDep, _: Worker, image: UploadFile, words: Words, background: Words = ""
) -> SegmentAnswer:
    """Cut a picture by words, one class a line; synonyms after semicolons."""
    picture = _picture(core, image)
    with core.heavy():
        backbone = core.workshop.fitting.backbone(MODEL)
        segmentor = make_segmentor(backbone, lines(words), background=lines(background))
        (result,) = segmentor.predict([Sample(picture)])
    colours = palette(len(result.class_names))
    hidden = hidden_classes(segmentor)
    drawn = np.zeros((*picture.shape[:2], 4), np.uint8)
    for index, colour in enumerate(colours):
        if index not in hidden:
            drawn[result.class_map == index] = (*colour, 255)
    legend = [
        LegendEntry(
            word=str(row["name"]), color=_hex(colours[index]), share=float(str(row["share"]))
        )
        for row in class_shares(result)
        if (index := int(str(row["index"]))) not in hidden
    ]
    overlay = base64.b64encode(encode(drawn, ".png")).decode()
    return SegmentAnswer(
        legend=legend,
        overlay=f"data:image/png;base64,{overlay}",
        size=(picture.shape[0], picture.shape[1]),
    )


@router.post("/detect")
def detect(
    core: CoreDep, _: Worker, image: UploadFile, words: Words, background: Words = ""
) -> DetectAnswer:
    """Find objects by words, one class a line; synonyms after semicolons."""
    picture = _picture(core, image)
    rest = lines(background)
    with core.heavy():
        backbone = core.workshop.fitting.backbone(MODEL)
        detector = make_detector(backbone, lines(words), background=rest or None)
        (result,) = detector.predict([Sample(picture)])
    colours = palette(len(result.class_names))
    boxes, area = [], float(picture.shape[0] * picture.shape[1])
    shares: dict[int, float] = {}
    for box, score, label in zip(result.boxes, result.scores, result.labels, strict=True):
        x0, y0, x1, y1 = (float(side) for side in box)
        name = result.class_names[int(label)]
        shares[int(label)] = shares.get(int(label), 0.0) + (x1 - x0) * (y1 - y0) / area
        colour = _hex(colours[int(label)])
        boxes.append(FoundBox(box=(x0, y0, x1, y1), word=name, score=float(score), color=colour))
    legend = [
        LegendEntry(word=result.class_names[k], color=_hex(colours[k]), share=min(1.0, share))
        for k, share in sorted(shares.items(), key=lambda pair: -pair[1])
    ]
    return DetectAnswer(legend=legend, boxes=boxes, size=(picture.shape[0], picture.shape[1]))


def _picture(core: Core, upload: UploadFile) -> NDArray[np.uint8]:
    suffix = suffix_of(upload.content_type, upload.filename)
    most = min(SHOWN, core.limits.pixels)
    return decode(upload.file.read(), suffix, name_of(upload), most)


def _hex(colour: NDArray[np.uint8]) -> str:
    return "#" + bytes(colour.tolist()).hex()
