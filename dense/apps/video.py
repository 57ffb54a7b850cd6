"""Whole jobs over videos: read, segment, draw, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from dense.apps.files import Report
from dense.apps.segment import hidden_classes
from dense.methods.segmentor import OpenVocabSegmentor
from dense.structures import Sample
from dense.video import FilmWriter, Frame, FrameReader
from dense.visualize import draw_segmentation

FrameTrack = Callable[[Iterable[Frame], int | None, str], Iterable[Frame]]


def segment_video(
    segmentor: OpenVocabSegmentor,
    source: str | int | Path,
    out: str | Path,
    *,
    every: int = 1,
    limit: int | None = None,
    opacity: float = 0.5,
    track: FrameTrack | None = None,
) -> Report:
    """Write an mp4 with overlay and legend; its speed is that of the source.

    Args:
        segmentor: Carries the words.
        source: A file, a camera index or a stream address.
        out: Where the mp4 goes; it appears when the last frame is written.
        every: Segment one frame of this many.
        limit: Stop after this many segmented frames.
        opacity: Of the class colours.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If the source cannot be opened, has no frame, or `out` cannot be written.
    """
    reader = FrameReader(source, every=every, limit=limit)
    hidden = hidden_classes(segmentor)
    classes = range(segmentor.classifier.num_classes)
    started = time.perf_counter()
    with FilmWriter(out, rate=reader.rate / every) as film:
        for frame in track(reader, reader.expected, "segment") if track else reader:
            result = segmentor.predict([Sample(frame.image)])[0]
            film.write(
                draw_segmentation(
                    frame.image,
                    result,
                    opacity=opacity,
                    legend_classes=classes,
                    hidden=hidden,
                )
            )
    return {
        "command": "segment video",
        "source": str(source),
        "out": str(out),
        "frames": film.count,
        "broken_frames": reader.broken,
        "seconds": round(time.perf_counter() - started, 2),
    }
