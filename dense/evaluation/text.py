"""How near a text tower is to the sentence encoder that taught it, on phrases it has not seen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.training.sentence_teacher import SentenceTeacher

Scores = dict[str, dict[str, float]]
_EXPECTED = 'expected {"centre": [numbers], "phrases": {"name of the set": ["phrase", ...]}}'


@dataclass(frozen=True)
class HeldOutPhrases:
    """Phrases by set, and the teacher's mean that the tower's space is centred on.

    Attributes:
        centre: (E,) fp32, subtracted from the teacher's unit embeddings.
        sets: Phrases by the name of their set; none is empty.
    """

    centre: Tensor
    sets: dict[str, tuple[str, ...]]


def read_held_out(path: str | Path) -> HeldOutPhrases:
    """Read a JSON file such as `data/held_out_phrases.json`.

    Raises:
        InputError: If it cannot be read or holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        centre = torch.tensor([float(x) for x in content["centre"]])
        sets = {str(name): tuple(phrases) for name, phrases in content["phrases"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"cannot read phrases from {path}: {_EXPECTED}") from error
    texts = [phrase for phrases in sets.values() for phrase in phrases]
    if not texts or not all(sets.values()) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"{path} has a set without phrases: {_EXPECTED}")
    return HeldOutPhrases(centre, sets)


@torch.inference_mode()
def text_cosine(
    backbone: CLIPBackbone, teacher: SentenceTeacher, phrases: HeldOutPhrases
) -> Scores:
    """Mean cosine between the tower's features and the teacher's centred embeddings.

    Args:
        backbone: A CLIP whose joint space is the teacher's, centred.
        teacher: The sentence encoder.
        phrases: What to compare on.

    Returns:
        By set: `cosine`, `top1` (percent of phrases whose own embedding is the nearest among
        those of the set) and `count`.

    Raises:
        InputError: If the spaces have different widths.
    """
    scores: Scores = {}
    for name, texts in phrases.sets.items():
        given = F.normalize(backbone.encode_text(list(texts)).float().cpu(), dim=-1)
        widths = {given.shape[1], teacher.width, len(phrases.centre)}
        if len(widths) > 1:
            raise InputError(
                f"text features of width {given.shape[1]} cannot be compared with embeddings of "
                f"width {teacher.width} and a centre of {len(phrases.centre)}: the card's text "
                "figures are for models taught by this sentence encoder"
            )
        wanted = F.normalize(teacher.encode(texts) - phrases.centre, dim=-1)
        nearest = (given @ wanted.T).argmax(1) == torch.arange(len(texts))
        scores[name] = {
            "cosine": float((given * wanted).sum(-1).mean()),
            "top1": 100 * float(nearest.float().mean()),
            "count": float(len(texts)),
        }
    return scores
