"""The fitted models of a product, and what they say of pictures.

A product usually has one model. After calibration by folds it has one for each fold, a part is
then as abnormal as the mildest of them says (the minmax rule, see `dense.inspection.conformal`).
Models on patch features share one forward pass, those with memories also one search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.classifier import build_state_weights
from dense.errors import InputError
from dense.inspection.view import View
from dense.methods.anomaly.base import Inspector
from dense.methods.anomaly.memory import MemoryInspector
from dense.methods.anomaly.patches import Look, PatchFeatureInspector
from dense.methods.anomaly.together import Together, can_share
from dense.methods.batching import encode_pictures
from dense.methods.catalog import find_method
from dense.prompts import NO_WORDS, StateWords
from dense.structures import AnomalyResult, Sample, Size

WORD_TEMPERATURE = 0.01
"""Divides cosine similarities to words: CLIP's own."""


@dataclass(frozen=True)
class Reading:
    """What a team says of one picture.

    Attributes:
        result: Map (H, W) and score, the lowest over members.
        scores: By region, the lowest over members.
        peaks: By region, the highest value of the map.
        feature: (D,) unit feature of the picture, on the CPU.
        parts: Its parts as the model saw them; empty for methods without patch features.
    """

    result: AnomalyResult
    scores: dict[str, float]
    peaks: dict[str, float]
    feature: Tensor
    parts: tuple[Look, ...] = ()


@dataclass(frozen=True)
class Maker:
    """Makes the inspectors of a product.

    Attributes:
        backbone: A loaded CLIP, shared by all products.
        words: What the product is.
        method: A name of `dense.methods.catalog`.
        state_words: Words to look for and to ignore.
    """

    backbone: CLIPBackbone
    words: str
    method: str = "words-memory"
    state_words: StateWords = NO_WORDS

    def __call__(self, shots: int) -> Inspector:
        """An inspector for so many support pictures, not fitted.

        Raises:
            InputError: If the method is unknown, uses no support, or cannot use the words.
        """
        row = find_method(self.method, "inspect")
        if row.trained or not row.few_shot:
            raise InputError(
                f"method {self.method} cannot serve a product: it "
                + ("needs learned parts" if row.trained else "takes no support pictures")
                + "; choose words-memory, patch or another few-shot method of `dense methods`"
            )
        inspector: Inspector = row.builder()(self.backbone, self.words, shots=shots)
        return inspector.steer(self.state_words) if self.state_words else inspector


class Team:
    """Fitted inspectors of one product.

    Args:
        members: Fitted on the product's pictures, all of the same method and settings.
        view: Where they look.
    """

    def __init__(self, members: Sequence[Inspector], view: View) -> None:
        self.members = list(members)
        self.view = view
        first = self.members[0]
        self.backbone, self.input_size = first.backbone, input_size(first)
        self._together = Together(self.members) if can_share(self.members) else None
        self._word_weights: tuple[tuple[str, ...], Tensor] | None = None

    @property
    def heat_scale(self) -> tuple[float, float]:
        """(low, high) of the heat colours."""
        return self.members[0].heat_scale

    @torch.inference_mode()
    def read(self, images: Sequence[NDArray[np.uint8]]) -> list[Reading]:
        """Score pictures (H, W, 3), in order."""
        cuts = [self.view.cut(Sample(image), self.input_size) for image in images]
        looks = self._looks([part for cut in cuts for part in cut])
        by_member = self._results(cuts, looks)
        features = self._features(images, cuts, looks)
        readings, start = [], 0
        for number, (image, cut) in enumerate(zip(images, cuts, strict=True)):
            stop = start + len(cut)
            results = [
                self.view.join(parts[start:stop], _size(image), self.input_size)
                for parts in by_member
            ]
            seen = tuple(looks[start:stop]) if looks else ()
            readings.append(self._reading(results, features[number], seen))
            start = stop
        return readings

    @torch.inference_mode()
    def word_maps(self, reading: Reading) -> dict[str, NDArray[np.float32]]:
        """Probability (H, W) of each word to look for, against the normal state and the others.

        Softmax over the cosine similarities of a patch with the normal prototype and with that of
        each word; empty for methods without words or without patch features.
        """
        inspector = self.members[0]
        words = inspector.state_words.look_for
        if not (words and reading.parts and inspector.reads_words):
            return {}
        _, weights = self._weights(inspector)
        maps = []
        for look in reading.parts:
            unit = F.normalize(look.dense.float(), dim=0)
            logits = torch.einsum("dhw,kd->khw", unit, weights.to(unit)) / WORD_TEMPERATURE
            maps.append(logits.softmax(0)[1:].cpu().numpy())
        size = reading.result.anomaly_map.shape
        whole = (int(size[0]), int(size[1]))
        return {
            word: self.view.join_map([part[place] for part in maps], whole, self.input_size)
            for place, word in enumerate(words)
        }

    def _weights(self, inspector: Inspector) -> tuple[tuple[str, ...], Tensor]:
        """(1 + K, D) normal prototype and that of each word."""
        chosen = inspector.state_words
        if self._word_weights is None or self._word_weights[0] != chosen.look_for:
            pairs = [
                build_state_weights(
                    self.backbone,
                    inspector.words(""),
                    state_words=StateWords((word,), chosen.ignore),
                )
                for word in chosen.look_for
            ]
            rows = torch.stack([pairs[0][0], *(pair[1] for pair in pairs)])
            self._word_weights = (chosen.look_for, rows)
        return self._word_weights

    def _looks(self, parts: Sequence[Sample]) -> list[Look]:
        """One forward pass for all members; empty where members do not share one."""
        first = self.members[0]
        return list(first.look(parts)) if isinstance(first, PatchFeatureInspector) else []

    def _results(
        self, cuts: Sequence[Sequence[Sample]], looks: Sequence[Look]
    ) -> list[list[AnomalyResult]]:
        """By member, the result of each part."""
        if looks and self._together is not None:
            return [list(parts) for parts in zip(*map(self._together.read, looks), strict=True)]
        if looks:
            return [
                [member.read(look) for look in looks]
                for member in self.members
                if isinstance(member, PatchFeatureInspector)
            ]
        parts = [part for cut in cuts for part in cut]
        return [member.predict(parts) for member in self.members]

    def _features(
        self,
        images: Sequence[NDArray[np.uint8]],
        cuts: Sequence[Sequence[Sample]],
        looks: Sequence[Look],
    ) -> Tensor:
        """(B, D) unit features: the mean of the parts', or the tower's own of whole pictures."""
        if not looks:
            return F.normalize(encode_pictures(self.backbone, images), dim=1).cpu()
        tokens = torch.stack([F.normalize(look.class_token.float(), dim=0) for look in looks])
        means = [part.mean(0) for part in tokens.cpu().split([len(cut) for cut in cuts])]
        return F.normalize(torch.stack(means), dim=1)

    def _reading(
        self, results: Sequence[AnomalyResult], feature: Tensor, looks: tuple[Look, ...]
    ) -> Reading:
        scores = [self.view.scores(result) for result in results]
        lowest = {name: min(score[name] for score in scores) for name in self.view.names}
        if len(results) == 1:
            result = results[0]
        else:
            lowest_map = np.minimum.reduce([result.anomaly_map for result in results])
            result = AnomalyResult(lowest_map, min(result.score for result in results))
        return Reading(result, lowest, self.view.peaks(result), feature, looks)


def fit_members(
    maker: Maker,
    images: Sequence[NDArray[np.uint8]],
    groups: Sequence[Sequence[int]],
    view: View,
) -> list[Inspector]:
    """Fit one inspector on each group of pictures; pictures are looked at once.

    Args:
        maker: Makes them.
        images: Support pictures (H, W, 3).
        groups: Places in `images`.
        view: Where to look.

    Raises:
        InputError: If the method cannot be fitted on a group.
    """
    inspectors = [maker(len(group)) for group in groups]
    first = inspectors[0]
    parts = [
        part
        for place, image in enumerate(images)
        for part in view.cut(Sample(image, Path(str(place)), label=0), input_size(first))
    ]
    with torch.inference_mode():
        if isinstance(first, MemoryInspector):
            lessons = list(first.lessons(parts))
            for inspector, group in zip(inspectors, groups, strict=True):
                chosen = [lesson for lesson in lessons if int(lesson.image) in group]
                inspector.remember("", chosen)  # type: ignore[attr-defined]
            return inspectors
    for inspector, group in zip(inspectors, groups, strict=True):
        inspector.fit([part for part in parts if int(str(part.image_path)) in group])
    return inspectors


def input_size(inspector: Inspector) -> Size:
    """(h, w) of the network's input, for tiles."""
    if isinstance(inspector, PatchFeatureInspector):
        return inspector.settings.short_side, inspector.settings.short_side
    return getattr(inspector, "input_size", inspector.backbone.image_size)


def _size(image: NDArray[np.uint8]) -> Size:
    return image.shape[0], image.shape[1]
