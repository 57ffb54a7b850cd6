"""Video: class probabilities smoothed over time, so that single frames do not flicker."""

from __future__ import annotations

import torch
from torch import Tensor

from dense.errors import InputError
from dense.methods.segmentor import OpenVocabSegmentor
from dense.postprocess import segment_map
from dense.structures import Sample, SegmentationResult


class TemporalSegmentor:
    """Exponential smoothing of a segmentor's class probabilities over the frames of one video.

    Smoothed = (1 − d) · frame + d · smoothed before, with d = lag / (1 + lag): a frame weighs d
    times the next one, and the result is `lag` frames late on average (the mean age of what it is
    made of). A change of class that lasts is followed after log 2 / log(1 / d) frames, half-way
    confident; one that lasts a single frame is outvoted where d > 1/2, that is above a lag of 1.

    Probabilities are smoothed on the patch grid (at input size after refinement), where that costs
    next to nothing. Nothing follows motion: what moves by more than a patch in `lag` frames leaves
    a trace of that length. Call `restart` at a cut.

    Args:
        segmentor: Segments the frames.
        lag: Mean delay in frames; 0 smooths nothing.

    Raises:
        InputError: If the lag is negative.
    """

    def __init__(self, segmentor: OpenVocabSegmentor, *, lag: float) -> None:
        if lag < 0:
            raise InputError(f"the lag of temporal smoothing is 0 or more frames, got {lag:g}")
        self.segmentor = segmentor
        self.lag = lag
        self._decay = lag / (1 + lag)
        self._before: Tensor | None = None

    def restart(self) -> None:
        """Forget all frames."""
        self._before = None

    @torch.inference_mode()
    def predict(self, frame: Sample, *, missed: int = 0) -> SegmentationResult:
        """Segment the next frame.

        Args:
            frame: The picture; one of another size than the last starts anew.
            missed: Frames lost before this one: what came before weighs less by as many.
        """
        now, before = self.segmentor.probabilities(frame), self._before
        if before is not None and before.shape == now.shape:
            kept = self._decay ** (1 + missed)
            now = (1 - kept) * now + kept * before
        self._before = now
        return segment_map(
            now,
            frame.image_size,
            self.segmentor.classifier,
            threshold=self.segmentor.protocol.threshold,
            probabilities=True,
        )
