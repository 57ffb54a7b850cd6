"""A tiny teacher of each kind and a folder of captioned pictures; nothing is downloaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from dense.training.image_teacher import ImageTeacher
from dense.training.sentence_teacher import SentenceTeacher
from dense.training.student import StudentShape
from tests.helpers import fill_by_formula, photo

SHAPE = StudentShape(
    layers=3, image_size=32, width=64, patch_size=8, joint_dim=8,
    text_width=16, text_layers=1, text_heads=2,
)  # fmt: skip
WIDTH, PIECES = 8, 50


def tiny_tokenizer(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Words by hash, between the marks 0 and 1, padded with 2."""
    rows = [
        [
            0,
            *(3 + int(hashlib.md5(w.encode()).hexdigest(), 16) % (PIECES - 3) for w in t.split()),
            1,
        ]
        for t in texts
    ]
    longest = max(len(row) for row in rows)
    ids = torch.tensor([row + [2] * (longest - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


def bert_weights(layers: int = 1, width: int = WIDTH, hidden: int = 16) -> dict[str, Tensor]:
    torch.manual_seed(3)
    sizes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (PIECES, width),
        "embeddings.position_embeddings.weight": (64, width),
        "embeddings.token_type_embeddings.weight": (2, width),
        "embeddings.LayerNorm.weight": (width,),
        "embeddings.LayerNorm.bias": (width,),
    }
    for number in range(layers):
        p = f"encoder.layer.{number}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value"):
            sizes |= {f"{p}{name}.weight": (width, width), f"{p}{name}.bias": (width,)}
        for name, out, into in (
            ("attention.output.dense", width, width),
            ("intermediate.dense", hidden, width),
            ("output.dense", width, hidden),
        ):
            sizes |= {f"{p}{name}.weight": (out, into), f"{p}{name}.bias": (out,)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            sizes |= {f"{p}{name}.weight": (width,), f"{p}{name}.bias": (width,)}
    return {
        name: torch.randn(size) * 0.5 + (1.0 if name.endswith("LayerNorm.weight") else 0.0)
        for name, size in sizes.items()
    }


def tiny_sentences(path: object = None) -> SentenceTeacher:
    return SentenceTeacher(bert_weights(), tiny_tokenizer, heads=2)


class TinyClassifier(nn.Module):
    """One convolution, then five classes; the interface of a timm classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 4, stride=4)
        self.classifier = nn.Linear(6, 5)

    def forward_features(self, images: Tensor) -> Tensor:
        return self.body(images).relu()

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        pooled = maps.mean((2, 3))
        return pooled if pre_logits else self.classifier(pooled)


def tiny_teacher(variant: int = 2, weights: object = None) -> ImageTeacher:
    network = TinyClassifier()
    fill_by_formula(network)
    return ImageTeacher(network, rank=4, resolution=32, dense_resolution=32)


def make_captions(root: Path) -> Path:
    """Twelve pictures: four of two classes, two captioned, six tagged; one for validation."""
    rows = []
    for number in range(12):
        name = f"images/{number}.png"
        (root / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(40, 48, seed=number)).save(root / name)
        kind = ("class", "class", "caption", "tags", "tags", "tags")[number // 2]
        texts = {
            "class": ["cat" if number % 2 else "metal nut"],
            "caption": [f"a dog number {number} runs over the grass", "dogs run on grass"],
            "tags": ["sky water", "sky", "water"],
        }[kind]
        split = "val" if number == 11 else "train"
        rows.append({"file": name, "texts": texts, "kind": kind, "source": kind, "split": split})
    (root / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root
