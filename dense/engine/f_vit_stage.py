"""F-ViT for configs and the catalogue: in training, and from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.engine.f_vit import FViT
from dense.engine.f_vit_settings import AS_PUBLISHED, NAME, FViTSettings
from dense.errors import InputError
from dense.methods.detection.detector import DetectSettings
from dense.methods.detection.proposals import Proposer
from dense.methods.detection.vocabulary import object_classes
from dense.methods.learned_files import fill_learned, read_learned
from dense.methods.method import needs_weights
from dense.prompts import readable_name
from dense.structures import TextClassifier


def f_vit_student(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    settings: FViTSettings | None = None,
    words: Mapping[str, str] | None = None,
    templates: str = "imagenet",
    cache_dir: str | None = None,
) -> FViT:
    """F-ViT in training; the learned background starts at the word "background".

    Args:
        backbone: The CLIP.
        classes: Names whose boxes are learned, in the data set's order.
        settings: Of the learned parts; its classes come from here.
        words: What to call a class in the prompts, by its name; others get `readable_name`.
        templates: Name of a template set.
        cache_dir: Where text weights are kept.
    """
    called = [(words or {}).get(name, readable_name(name)) for name in classes]

    def texts(names: Sequence[str]) -> TextClassifier:
        listed = object_classes(names, [])
        return build_text_classifier(backbone, listed, templates=templates, cache_dir=cache_dir)

    classifier = texts(called)
    chosen = replace(settings or FViTSettings(), classes=classifier.class_names)
    return FViT(backbone, classifier, chosen, background=texts(["background"]).weights[0])


def build(
    backbone: CLIPBackbone,
    classifier: TextClassifier,
    *,
    proposer: Proposer | None = None,
    settings: DetectSettings | None = None,
    weights: str | Path | None = None,
) -> FViT:
    """The catalogue's ``f-vit``, from a file of its learned parts.

    Raises:
        InputError: If there is no file, it is corrupt or of another method or model, or a proposer
            is given.
    """
    if weights is None:
        raise needs_weights(NAME)
    if proposer is not None:
        raise InputError(f"{NAME} makes its own proposals: leave boxes and segment-anything out")
    state, learned = read_learned(weights, NAME, backbone, FViTSettings)
    made = FViT(
        backbone, classifier, learned, detect=settings or AS_PUBLISHED, origin=Path(weights).name
    )
    fill_learned(made.learned, state, weights)
    made.learned.eval().requires_grad_(False)
    return made
