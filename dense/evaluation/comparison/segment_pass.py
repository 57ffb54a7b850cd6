"""One pass over pictures for many segmentors: the frozen blocks run once for all.

Segmentors of one protocol see the same windows, and differ in the last block, the words and the
post-processing alone; each window is traced once and every method starts from its trace.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor

from dense.backbones.attention import AS_TRAINED
from dense.evaluation.resources import Usage
from dense.methods.batching import iter_batches
from dense.methods.segmentation.base import LastBlockMethod
from dense.methods.segmentation.windows import WindowMean, WindowPlan
from dense.methods.segmentor import OpenVocabSegmentor
from dense.structures import Sample, SegmentationResult, Size

Key = TypeVar("Key", bound=Hashable)
Seen = Callable[[Key, Sample, SegmentationResult], None]
LAST = LastBlockMethod(AS_TRAINED)


@contextmanager
def note_errors(errors: dict[Key, Exception], *keys: Key) -> Iterator[None]:
    """Note an error of a ``with`` block for some keys: a bug must not cost others their numbers."""
    try:
        yield
    except Exception as error:  # bugs included
        errors.update(dict.fromkeys(keys, error))


@dataclass
class Work:
    """What a segmentor used, apart from what it shares.

    Attributes:
        score: The method's own layers and the words.
        refine: Post-processing.
        decide: Resizing to original size, and the choice of classes.
    """

    score: Usage = field(default_factory=Usage)
    refine: Usage = field(default_factory=Usage)
    decide: Usage = field(default_factory=Usage)

    @property
    def peak(self) -> int:
        """Largest memory in bytes."""
        return max(self.score.peak, self.refine.peak, self.decide.peak)


class SharedPass(Generic[Key]):
    """Segment pictures by many segmentors of one backbone and protocol.

    One that fails is dropped, with its error in `errors`; the others go on.

    Args:
        segmentors: By any key; those of equal `sources` share their scores.
        sources: What each segmentor's scores depend on: its method and words.

    Attributes:
        trace: Work of the frozen blocks, shared by all.
        last: Work of the last block as trained: with `trace`, the backbone's forward pass.
        work: Each segmentor's own; `score` is shared by those of equal sources.
        errors: What went wrong, by key.
    """

    def __init__(
        self, segmentors: Mapping[Key, OpenVocabSegmentor], sources: Mapping[Key, Hashable]
    ) -> None:
        self.segmentors = segmentors
        self.sources = sources
        self.trace, self.last = Usage(), Usage()
        shared: dict[Hashable, Usage] = {}
        self.work = {
            key: Work(score=shared.setdefault(sources[key], Usage())) for key in segmentors
        }
        self.errors: dict[Key, Exception] = {}
        self._first = next(iter(segmentors.values()))

    @torch.inference_mode()
    def run(self, samples: Sequence[Sample], seen: Seen[Key]) -> None:
        """Segment pictures of any sizes; `seen` gets every key, sample and result."""
        first = self._first
        for batch, images in iter_batches(
            first.backbone, samples, first.input_size, first.batch_size
        ):
            size: Size = (images.shape[-2], images.shape[-1])
            if not self._alive():
                return
            scores = self._scores(images, first.windows(size))
            for key, source in self._alive():
                for sample, each in zip(batch, scores[source], strict=True):
                    with note_errors(self.errors, key):
                        seen(key, sample, self._decide(key, sample, each, size))
                    if key in self.errors:
                        break

    def _alive(self) -> list[tuple[Key, Hashable]]:
        return [(k, s) for k, s in self.sources.items() if k not in self.errors]

    def _scores(self, images: Tensor, plan: WindowPlan) -> dict[Hashable, Tensor]:
        """(B, P, gh, gw) mean scores of all windows, by source."""
        first, device = self._first, images.device
        vit = first.backbone.vit
        means: dict[Hashable, WindowMean] = {}
        scorers = {source: self.segmentors[key] for key, source in self._alive()}
        for corners, windows in plan.batches(images, first.batch_size):
            with self.trace.watch(device):
                trace = vit.trace(windows)
            with self.last.watch(device):
                LAST.dense(vit, trace)
            for source, segmentor in list(scorers.items()):
                keys = [key for key, other in self._alive() if other == source]
                mean = means.setdefault(source, WindowMean(plan, len(images)))
                with note_errors(self.errors, *keys), self.work[keys[0]].score.watch(device):
                    mean.add(corners, segmentor.score(trace))
                if keys[0] in self.errors:
                    scorers.pop(source)
        return {source: means[source].scores() for source in scorers}

    def _decide(self, key: Key, sample: Sample, scores: Tensor, size: Size) -> SegmentationResult:
        segmentor, work = self.segmentors[key], self.work[key]
        with work.refine.watch(scores.device):
            refined, probabilities = segmentor.refine(sample, scores, size)
        with work.decide.watch(scores.device):
            return segmentor.finish(sample, refined, probabilities)
