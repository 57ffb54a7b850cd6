"""A vocabulary → zero-shot classifier weights, cached on disk by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.outputs import write_bytes
from dense.prompts import (
    NO_WORDS,
    ClassList,
    Ensemble,
    StateWords,
    anomaly_prompts,
    fill,
    make_class_list,
    template_set,
    word_prompts,
)
from dense.structures import TextClassifier

PHRASES_AT_ONCE = 64


def build_text_classifier(
    backbone: CLIPBackbone,
    classes: ClassList | Sequence[str],
    *,
    templates: str = "imagenet",
    logit_scale: float | None = None,
    cache_dir: str | Path | None = None,
) -> TextClassifier:
    """Zero-shot weights of a class list (Radford et al. 2021, section 3.1.4).

    Each template's embedding is normalised, the templates of a phrase are averaged, the mean is
    normalised; every phrase (synonym) keeps a row of its own.

    Args:
        backbone: The CLIP whose text tower encodes the prompts.
        classes: A class list, or entries for `make_class_list`.
        templates: Name of a template set, see `dense.prompts.template_set`.
        logit_scale: Multiplier to logits; the checkpoint's own if ``None``.
        cache_dir: Where weights are kept, keyed by checkpoint and prompts; no caching if ``None``.

    Raises:
        InputError: If the class list is empty, has duplicates, or the template set is unknown.
    """
    class_list = classes if isinstance(classes, ClassList) else make_class_list(classes)
    phrases = [phrase for row in class_list.phrases for phrase in row]
    index = torch.tensor([k for k, row in enumerate(class_list.phrases) for _ in row])
    forms = template_set(templates)
    weights = _cached(backbone, ["classes", *forms, "", *phrases], cache_dir, phrases, forms)
    return TextClassifier(
        weights=weights,
        class_names=class_list.names,
        class_index=None if len(phrases) == len(class_list.names) else index,
        logit_scale=backbone.logit_scale if logit_scale is None else logit_scale,
        background=class_list.background,
        templates=templates,
        vocabulary=class_list.digest,
    ).to(backbone.device)


def build_state_weights(
    backbone: CLIPBackbone,
    product: str,
    *,
    ensemble: Ensemble = "winclip",
    normalise: bool = True,
    state_words: StateWords = NO_WORDS,
) -> Tensor:
    """(2, D) unit rows: the normal and the anomalous prototype of a product.

    Args:
        backbone: The CLIP whose text tower encodes the prompts.
        product: Words for the inspected thing.
        ensemble: See `dense.prompts.anomaly_prompts`.
        normalise: Normalise each embedding before averaging. Implementations differ; ``False``
            averages the tower's raw outputs, as anomalib does.
        state_words: Words to look for stand in place of the anomalous states; words to ignore
            have half of the normal prototype. The difference of the two similarities is then the
            positive minus the negative attention of CLAP (Park et al. 2024).
    """

    def prototype(prompts: Sequence[str]) -> Tensor:
        features = backbone.encode_text(prompts, normalise=normalise)
        return F.normalize(features.mean(0), dim=0)

    def mean_of_words(words: Sequence[str]) -> Tensor:
        rows = [prototype(word_prompts(product, word)) for word in words]
        return F.normalize(torch.stack(rows).mean(0), dim=0)

    normal, anomalous = (prototype(prompts) for prompts in anomaly_prompts(product, ensemble))
    if state_words.look_for:
        anomalous = mean_of_words(state_words.look_for)
    if state_words.ignore:
        normal = F.normalize(normal + mean_of_words(state_words.ignore), dim=0)
    return torch.stack([normal, anomalous])


def _encode_phrases(
    backbone: CLIPBackbone, phrases: Sequence[str], templates: Sequence[str]
) -> Tensor:
    rows = []
    for start in range(0, len(phrases), PHRASES_AT_ONCE):
        part = phrases[start : start + PHRASES_AT_ONCE]
        features = backbone.encode_text([p for phrase in part for p in fill(templates, phrase)])
        rows.append(F.normalize(features.view(len(part), len(templates), -1).mean(1), dim=-1))
    return torch.cat(rows).cpu()


def _cached(
    backbone: CLIPBackbone,
    content: Sequence[str],
    cache_dir: str | Path | None,
    phrases: Sequence[str],
    templates: Sequence[str],
) -> Tensor:
    if cache_dir is None:
        return _encode_phrases(backbone, phrases, templates)
    key = json.dumps([backbone.fingerprint, str(backbone.dtype), *content]).encode()
    path = Path(cache_dir) / f"text-{hashlib.blake2b(key, digest_size=16).hexdigest()}.safetensors"
    try:
        return load_file(path)["weights"]
    except (OSError, SafetensorError, KeyError):
        weights = _encode_phrases(backbone, phrases, templates)
    write_bytes(path, save({"weights": weights.contiguous()}))
    return weights


def class_texts(classifier: TextClassifier) -> Tensor:
    """(K, D) unit rows: the mean of each class's synonyms."""
    if classifier.class_index is None:
        return classifier.weights.float()
    index = classifier.class_index.to(classifier.weights.device)
    total = classifier.weights.new_zeros(classifier.num_classes, classifier.weights.shape[1])
    return F.normalize(total.index_add_(0, index, classifier.weights).float(), dim=-1)
