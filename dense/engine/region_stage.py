"""Region alignment in the Runner: loaders, and what the terms learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.datasets.captions import CaptionDataset
from dense.datasets.photos import PhotoFolder
from dense.engine.model import default_device
from dense.engine.train_common import epoch_loader, main_first
from dense.errors import InputError
from dense.methods.region_training import DEFAULT, RegionTraining
from dense.structures import Sample
from dense.training.build_caches import word_vocabulary
from dense.training.region_settings import RegionSettings, RegionTerms
from dense.training.region_views import RegionRule, RegionSample, RegionViews
from dense.training.text_table import TextTable


def region_loader(
    photos: Dataset[Sample],
    rule: RegionRule,
    *,
    batch_size: int = 8,
    num_workers: int = 0,
    seed: int = 0,
) -> DataLoader[tuple[int, RegionSample]]:
    """Loader for region alignment: other regions every epoch, equal shares for all processes."""
    views = RegionViews(photos, rule)
    return epoch_loader(views, batch_size=batch_size, num_workers=num_workers, seed=seed)


def region_student(
    backbone: CLIPBackbone,
    terms: RegionTerms,
    settings: RegionSettings = DEFAULT,
    *,
    learn: int | None = None,
    context: CLIPBackbone | None = None,
    concepts: Sequence[str] = (),
    photos: PhotoFolder | None = None,
) -> RegionTraining:
    """Put the training of a region-aligned CLIP together.

    Args:
        backbone: The CLIP that learns; the teacher is its copy.
        terms: Weights of the losses.
        settings: What a step costs and sees.
        learn: Blocks that learn, from the last; `settings.start` decides if ``None``.
        context: See `RegionTraining`.
        concepts: Words of the concept terms, see `concept_words`.
        photos: Whose captions `terms.captions` reads.

    Raises:
        InputError: If the tower has fewer blocks, or a term lacks its words.
    """
    blocks = backbone.vit.num_blocks
    if learn is not None:
        if not 0 <= learn <= blocks:
            raise InputError(f"the tower has {blocks} blocks, cannot train the last {learn}")
        settings = replace(settings, start=blocks - learn)
    table = None
    if terms.captions:
        if photos is None or not photos.texts:
            raise InputError("captions are to be learned, but the photos have no captions.jsonl")
        said = {row[0] for row in photos.texts.values()}
        table = main_first(lambda: TextTable(backbone.encode_text, said))
    weights: Tensor | None = None
    if terms.need_concepts:
        if not concepts:
            raise InputError("concepts are to be learned, but no words are given for them")
        weights = main_first(
            lambda: build_text_classifier(backbone, list(concepts), templates="short").weights
        )
    return RegionTraining(
        backbone, terms, settings, context=context, concepts=weights, texts=table
    ).to(default_device())


def concept_words(captions: CaptionDataset, *, least: int = 4) -> list[str]:
    """Things that the words of a data set speak of (RegionCLIP parses nouns of its captions).

    Args:
        captions: Pictures with words.
        least: Pictures that must have a word, and a class name, for it to count.

    Raises:
        InputError: If fewer than two words are left.
    """
    words, _ = word_vocabulary(captions.records, least=least)
    if len(words) < 2:
        raise InputError(
            f"the captions name {len(words)} things at least {least} times: expected two or more; "
            "lower `least`, or bring more captions"
        )
    return list(words)


@torch.no_grad()
def count_correct(backbone: CLIPBackbone, images: Tensor, weights: Tensor, labels: Tensor) -> int:
    """Pictures (B, 3, h, w) whose nearest class (K, D) is their label (B,)."""
    tokens = F.normalize(backbone.vit.encode_image(images).float(), dim=-1)
    return int((tokens @ weights.T).argmax(1).eq(labels.to(tokens.device)).sum())
