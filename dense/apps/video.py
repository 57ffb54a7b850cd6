"""Whole jobs over videos: read, segment, draw, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from dense.apps.files import Report
from dense.apps.segment import hidden_classes
from dense.methods.segmentation.temporal import TemporalSegmentor
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
    lag: float = 0.0,
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
        lag: Mean delay of temporal smoothing in segmented frames, see `TemporalSegmentor`; 0
            segments every frame alone.
        track: Wraps the loop in a progress bar.

    Raises:
        InputError: If the lag is negative, the source cannot be opened, has no frame, or `out`
            cannot be written.
    """
    reader = FrameReader(source, every=every, limit=limit)
    hidden = hidden_classes(segmentor)
    classes = range(segmentor.classifier.num_classes)
    smooth = TemporalSegmentor(segmentor, lag=lag)
    started, last = time.perf_counter(), None
    with FilmWriter(out, rate=reader.rate / every) as film:
        for frame in track(reader, reader.expected, "segment") if track else reader:
            sample = Sample(frame.image)
            missed = 0 if last is None else (frame.index - last) // every - 1
            last = frame.index
            result = (
                smooth.predict(sample, missed=missed) if lag else segmentor.predict([sample])[0]
            )
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
        "lag_frames": lag,
        "lag_seconds": round(lag * every / reader.rate, 3),
        "seconds": round(time.perf_counter() - started, 2),
    }
