"""Which words and which places made an inspector's score: exact shares, no approximation.

Similarities are linear in the text prototypes, prototypes are means of prompts, and image scores
are means of a map's highest patches, so a score splits into shares that sum to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.methods.anomaly.base import Inspector
from dense.methods.anomaly.patch import PatchInspector
from dense.methods.anomaly.patches import Look
from dense.methods.anomaly.winclip import WinCLIPInspector
from dense.methods.anomaly.words import text_logits
from dense.methods.anomaly.words_memory import WordsMemoryInspector
from dense.prompts import (
    ANOMALOUS_STATES,
    NO_WORDS,
    NORMAL_STATES,
    Ensemble,
    StateWords,
    anomaly_prompts,
    fill,
    word_prompts,
)
from dense.structures import Sample, Size

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class PatchShare:
    """What one patch gave to the score.

    Attributes:
        box: (x0, y0, x1, y1) in original pixels.
        part: Which part of the decision it belongs to.
        share: In units of the score.
    """

    box: Box
    part: str
    share: float


@dataclass(frozen=True)
class Decision:
    """An image score taken apart.

    Attributes:
        score: As `Inspector.predict` gives it.
        parts: Shares by name; they sum to the score.
        evidence: Log-odds of the anomalous state that the words gave, before any soft-max: mean
            of the patches that made the score, or that of the whole picture.
        words: (phrase, log-odds) each; they sum to `evidence`. Normal phrases count negatively.
        patches: Those that made the score, largest share first; the shares of a part's patches
            sum to the part, unless the part is made of the whole picture.
    """

    score: float
    parts: Mapping[str, float]
    evidence: float
    words: tuple[tuple[str, float], ...]
    patches: tuple[PatchShare, ...]

    def plain(self, *, limit: int = 8) -> dict[str, object]:
        """As plain values: the `limit` words of the largest values, all patches."""
        words = sorted(self.words, key=lambda row: -abs(row[1]))[:limit]
        return {
            "score": self.score,
            "parts": dict(self.parts),
            "evidence": self.evidence,
            "words": [{"words": phrase, "log_odds": share} for phrase, share in words],
            "patches": [
                {"box": [round(v, 1) for v in p.box], "part": p.part, "share": p.share}
                for p in self.patches
            ],
        }


@torch.inference_mode()
def explain_decision(inspector: Inspector, sample: Sample) -> Decision:
    """Take the image score of a picture apart.

    Raises:
        InputError: If the method's score is not made of words and patches in a linear way.
    """
    if isinstance(inspector, WinCLIPInspector) and inspector.protocol.tiling.kind == "whole":
        return _of_windows(inspector, sample)
    if isinstance(inspector, PatchInspector):
        (look,) = inspector.look([sample])
        return _of_patches(inspector, look)
    raise InputError(
        f"{inspector.describe()['method']} has no exact shares: decisions are explained for "
        "winclip (whole pictures), winclip-fast, patch and words-memory"
    )


def phrase_vectors(
    backbone: CLIPBackbone,
    product: str,
    *,
    ensemble: Ensemble = "winclip",
    normalise: bool = True,
    state_words: StateWords = NO_WORDS,
) -> tuple[list[str], Tensor]:
    """Phrases and (P, D) vectors whose sum is anomalous less normal prototype.

    Takes `dense.classifier.build_state_weights` apart: normal phrases have their sign turned.
    """

    def mean(prompts: Sequence[str]) -> Tensor:
        return backbone.encode_text(prompts, normalise=normalise).mean(0)

    def general(states: Sequence[str], prompts: Sequence[str]) -> tuple[list[str], Tensor]:
        rows = backbone.encode_text(prompts, normalise=normalise).unflatten(0, (len(states), -1))
        rows = rows.mean(1) / len(states)
        return fill(states, product.replace("_", " ")), rows / rows.sum(0).norm()

    def chosen(words: Sequence[str]) -> tuple[list[str], Tensor]:
        rows = torch.stack([F.normalize(mean(word_prompts(product, w)), dim=0) for w in words])
        return list(words), rows / rows.sum(0).norm()

    normal, anomalous = anomaly_prompts(product, ensemble)
    bad, up = (
        chosen(state_words.look_for)
        if state_words.look_for
        else general(ANOMALOUS_STATES, anomalous)
    )
    good, down = general(NORMAL_STATES, normal)
    if state_words.ignore:
        more, rows = chosen(state_words.ignore)
        good, down = [*good, *more], torch.cat([down, rows])
        down = down / down.sum(0).norm()
    return [*bad, *good], torch.cat([up, -down])


def _of_windows(inspector: WinCLIPInspector, sample: Sample) -> Decision:
    """WinCLIP: soft-max of the whole picture; WinCLIP+: its mean with the map's highest patch."""
    category, protocol = sample.category, inspector.protocol
    fitted = category in inspector._memories
    features = inspector.extract([sample], patches=fitted).row(0)
    _, score = inspector._score(features, category)
    names, vectors = phrase_vectors(
        inspector.backbone,
        inspector.words(category),
        ensemble=protocol.ensemble,
        normalise=protocol.normalise_prompts,
        state_words=inspector.state_words,
    )
    image = F.normalize(features.image[0].float(), dim=0)
    odds = vectors @ image / protocol.temperature
    evidence = float(odds.sum())
    probability = float(torch.sigmoid(odds.sum()))
    words = tuple(zip(names, odds.tolist(), strict=True))
    if not fitted:
        return Decision(score, {"words": probability}, evidence, words, ())
    memory = inspector._memory_map(features, inspector._memories[category])[0]
    place = int(memory.argmax())
    peak = float(memory.flatten()[place])
    boxes = _boxes(features.grid, sample.image_size, [place])
    parts = {"words": probability / 2, "memory": peak / 2}
    patches = (PatchShare(boxes[0], "memory", peak / 2),)
    return Decision(score, parts, evidence, words, patches)


def _of_patches(inspector: PatchInspector, look: Look) -> Decision:
    if look.sample.category not in inspector._memories:
        return _of_patch_words(inspector, look)
    if isinstance(inspector, WordsMemoryInspector):
        return _of_words_and_memory(inspector, look)
    _, score = inspector.score(look)
    patches = _top(inspector, look, inspector.distance(look), "memory", 1.0)
    return Decision(score, {"memory": score}, 0.0, (), patches)


def _of_patch_words(inspector: PatchInspector, look: Look) -> Decision:
    """Mean probability of the highest patches, and a share of the whole picture's."""
    settings = inspector.settings
    names, vectors = _phrases(inspector, look)
    weights = inspector.state_weights(look.sample.category)
    patch_map = inspector._probability(look.dense.permute(1, 2, 0), weights)
    whole = float(inspector._probability(look.class_token, weights))
    share = settings.class_token
    patches = _top(inspector, look, patch_map, "patches", 1 - share)
    odds = _odds(look, vectors, _places(inspector, patch_map), share) / settings.temperature
    _, score = inspector.score(look)
    parts = {"patches": sum(p.share for p in patches), "whole picture": share * whole}
    words = tuple(zip(names, odds.tolist(), strict=True))
    return Decision(score, parts, float(odds.sum()), words, patches)


def _of_words_and_memory(inspector: WordsMemoryInspector, look: Look) -> Decision:
    """Both in standard deviations of normal patches; what is normal counts negatively."""
    settings = inspector.settings
    by_words, by_memory = inspector._scales[look.sample.category]
    names, vectors = _phrases(inspector, look)
    weights = inspector.state_weights(look.sample.category)
    logits, text = text_logits(look, weights, settings)
    distance = inspector.distance(look)
    of_words = settings.score_words / by_words.spread
    of_memory = (1 - settings.score_words) / by_memory.spread
    patches = (
        *_top(inspector, look, logits, "words", of_words * (1 - settings.class_token)),
        *_top(inspector, look, distance, "memory", of_memory),
    )
    far = sum(p.share for p in patches if p.part == "memory")
    parts = {
        "words": of_words * text,
        "words on normal pictures": -of_words * by_words.score,
        "memory": far,
        "memory on normal pictures": -of_memory * by_memory.score,
    }
    odds = _odds(look, vectors, _places(inspector, logits), settings.class_token)
    odds = odds / settings.temperature
    words = tuple(zip(names, odds.tolist(), strict=True))
    _, score = inspector.score(look)
    ordered = tuple(sorted(patches, key=lambda p: -abs(p.share)))
    return Decision(score, parts, float(odds.sum()), words, ordered)


def _phrases(inspector: PatchInspector, look: Look) -> tuple[list[str], Tensor]:
    return phrase_vectors(
        inspector.backbone,
        inspector.words(look.sample.category),
        state_words=inspector.state_words,
    )


def _odds(look: Look, vectors: Tensor, places: Tensor, whole: float) -> Tensor:
    """(P,) mean similarity of each phrase over places of the grid, mixed with the whole's."""
    unit = F.normalize(look.dense.float(), dim=0).flatten(1)[:, places]
    picture = F.normalize(look.class_token.float(), dim=0)
    return (1 - whole) * (vectors @ unit).mean(1) + whole * (vectors @ picture)


def _places(inspector: PatchInspector, patch_map: Tensor) -> Tensor:
    """Where the highest patches are, whose mean is the score."""
    values = patch_map.flatten()
    return values.topk(max(1, round(inspector.settings.top * len(values)))).indices


def _top(
    inspector: PatchInspector, look: Look, patch_map: Tensor, part: str, weight: float
) -> tuple[PatchShare, ...]:
    places = _places(inspector, patch_map)
    values = patch_map.flatten()[places] * weight / len(places)
    boxes = _boxes(look.grid, look.sample.image_size, places.tolist())
    rows = zip(boxes, values.tolist(), strict=True)
    return tuple(PatchShare(box, part, share) for box, share in rows)


def _boxes(grid: Size, size: Size, places: Sequence[int]) -> list[Box]:
    high, wide = size[0] / grid[0], size[1] / grid[1]
    found = []
    for place in places:
        row, column = divmod(place, grid[1])
        found.append((column * wide, row * high, (column + 1) * wide, (row + 1) * high))
    return found
