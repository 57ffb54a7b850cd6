"""Zero-shot classification of labelled pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.errors import InputError
from dense.images import find_images, read_image
from dense.methods.batching import encode_pictures
from dense.metrics.naming import naming_scores


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
    """Zero-shot accuracy and calibration error in percent, see `naming_scores`.

    Pictures are squashed to the tower's own size; no crop.
    """
    classifier = build_text_classifier(backbone, pictures.class_names, templates=templates)
    images = (read_image(path) for path in pictures.paths)
    features = F.normalize(encode_pictures(backbone, images, at_once=batch_size), dim=-1)
    logits = features @ classifier.weights.T * classifier.logit_scale
    best = logits.softmax(-1).cpu().topk(min(5, logits.shape[1]), dim=-1)
    return naming_scores(pictures.labels, best.indices.numpy(), best.values[:, 0].numpy())
