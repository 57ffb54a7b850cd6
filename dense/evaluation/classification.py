"""Zero-shot classification of labelled pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.errors import InputError
from dense.images import find_images, read_image
from dense.metrics import expected_calibration_error


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures with one class name each, and the names to choose from."""

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]


def read_labelled(source: str | Path, *, imagenet: bool = False) -> LabelledPictures:
    """Read class-labelled pictures.

    Args:
        source: A folder with one sub-folder a class, or a ``.jsonl`` file of objects
            ``{"file": ..., "texts": [class name, ...]}`` with paths relative to it.
        imagenet: Choose among open_clip's 1,000 ImageNet names instead of the names that occur;
            pictures with another name are left out.

    Raises:
        InputError: If nothing is labelled.
    """
    source = Path(source)
    if source.is_dir():
        pairs = [
            (path, folder.name.replace("_", " "))
            for folder in sorted(p for p in source.iterdir() if p.is_dir())
            for path in find_images(folder)
        ]
    else:
        pairs = _read_jsonl(source)
    if imagenet:
        from open_clip import IMAGENET_CLASSNAMES

        names = tuple(dict.fromkeys(IMAGENET_CLASSNAMES))
        pairs = [(path, name) for path, name in pairs if name in set(names)]
    else:
        names = tuple(sorted({name for _, name in pairs}))
    if not pairs:
        raise InputError(f"no labelled pictures in {source}: expected class folders or a .jsonl")
    index = {name: k for k, name in enumerate(names)}
    labels = np.array([index[name] for _, name in pairs], np.int64)
    return LabelledPictures(tuple(path for path, _ in pairs), labels, names)


def _read_jsonl(source: Path) -> list[tuple[Path, str]]:
    try:
        rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
        return [(source.parent / row["file"], row["texts"][0]) for row in rows]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"cannot read {source} as labelled pictures: {error}") from error


@torch.inference_mode()
def classify_pictures(
    backbone: CLIPBackbone,
    pictures: LabelledPictures,
    *,
    templates: str = "imagenet",
    batch_size: int = 32,
) -> dict[str, float]:
    """Zero-shot top-1 and top-5 accuracy and calibration error, in percent.

    Pictures are squashed to the tower's own size; no crop.
    """
    classifier = build_text_classifier(backbone, pictures.class_names, templates=templates)
    rows = []
    for start in range(0, len(pictures.paths), batch_size):
        images = [read_image(path) for path in pictures.paths[start : start + batch_size]]
        features = F.normalize(
            backbone.vit.encode_image(_squashed(backbone, images)).float(), dim=-1
        )
        rows.append(features @ classifier.weights.T)
    return _accuracies(torch.cat(rows) * classifier.logit_scale, pictures.labels)


def _squashed(backbone: CLIPBackbone, images: Sequence[NDArray[np.uint8]]) -> Tensor:
    preprocess, size = backbone.preprocess, backbone.image_size
    return backbone.to_batch([preprocess.to_tensor(preprocess.resize(i, size)) for i in images])


def _accuracies(logits: Tensor, labels: NDArray[np.int64]) -> dict[str, float]:
    probability = logits.softmax(-1).cpu()
    best = probability.topk(min(5, probability.shape[1]), dim=-1)
    hits = best.indices.numpy() == labels[:, None]
    calibration = expected_calibration_error(best.values[:, 0].numpy(), hits[:, 0])
    return {
        "top1": 100 * float(hits[:, 0].mean()),
        "top5": 100 * float(hits.any(1).mean()),
        "ece": 100 * float(calibration),
        "count": float(len(labels)),
    }
