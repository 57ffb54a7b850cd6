"""Second and third stage: the image tower, from caches on a CPU or from pictures on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from mmengine.dataset import DefaultSampler
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from dense.backbones import CLIPBackbone
from dense.datasets.captions import CaptionDataset, CaptionRecord, class_names_of
from dense.engine.augment import Augment
from dense.engine.data import collate
from dense.engine.model import default_device
from dense.engine.text_stage import PhraseTargets
from dense.engine.train_common import Numbered, main_first
from dense.errors import InputError
from dense.methods.image_text import DEFAULT, ImageTextTraining
from dense.prompts import SHORT_TEMPLATES, fill
from dense.structures import Size
from dense.training.build_caches import (
    aligned_words,
    cache_pairs,
    cache_pictures,
    word_vocabulary,
)
from dense.training.datasets import (
    CachedItems,
    CachedPairs,
    Joined,
    PictureItems,
    PicturePairs,
    WithPairs,
)
from dense.training.image_teacher import ImageTeacher
from dense.training.items import TrainingItem
from dense.training.phrases import imagenet_names
from dense.training.settings import StepSettings, Terms
from dense.training.state_terms import GENERIC, StateTerms, StateWeights
from dense.training.states import DefectPairs
from dense.training.teacher_targets import TeacherTargets, class_classifiers
from dense.training.text_table import Encoder, StateTable, TextTable
from dense.training.views import ViewRule
from dense.training.words import EVERYDAY

_RULE = ViewRule()
_STATES = StateWeights()


def cached_items(
    captions: CaptionDataset,
    backbone: CLIPBackbone,
    *,
    cache_dir: str | Path,
    start: int,
    side: int = 168,
    rules: Sequence[ViewRule] = (_RULE,),
    teacher: ImageTeacher | None = None,
    words: bool = False,
    pairs: Sequence[DefectPairs] = (),
    every: int = 5,
    windows: Sequence[int] = (3, 2),
    precision: str = "bf16",
) -> Dataset[TrainingItem]:
    """Items from caches, which are filled first if need be (resumed where they stopped).

    Args:
        captions: Pictures with words.
        backbone: Its first `start` blocks are run once.
        cache_dir: For the caches.
        start: Number of frozen blocks.
        side: Input side in pixels.
        rules: One view of each picture for each rule.
        teacher: For the codes.
        words: Align words with patches, too.
        pairs: Intact and damaged things, maybe of several sizes.
        every: One pair in this many items.
        windows: Sides of windows of the pairs that are kept, too.
        precision: Of the frozen blocks.
    """
    records, folder = captions.records, Path(cache_dir)

    def view(rule: ViewRule) -> CachedItems:
        cache = cache_pictures(
            records,
            backbone,
            folder,
            start=start,
            side=side,
            rule=rule,
            teacher=teacher,
            precision=precision,
        )
        found = aligned_words(records, cache, prefix=backbone.vit.tower.prefix) if words else None
        return CachedItems(records, cache, words=found)

    views = [main_first(lambda rule=rule: view(rule)) for rule in rules]  # type: ignore[misc]
    items = views[0] if len(views) == 1 else Joined(views)
    if not pairs:
        return items

    def made(drawn: DefectPairs) -> CachedPairs:
        cache = cache_pairs(
            drawn, backbone, folder, start=start, windows=windows, precision=precision
        )
        return CachedPairs(drawn.names, cache)

    pools = [main_first(lambda drawn=drawn: made(drawn)) for drawn in pairs]  # type: ignore[misc]
    return WithPairs(items, Joined(pools), every=every)


def picture_items(
    captions: CaptionDataset,
    augment: Augment,
    *,
    pairs: Sequence[DefectPairs] = (),
    grid: Size = (16, 16),
    every: int = 5,
) -> Dataset[TrainingItem]:
    """Items as augmented pictures: for a GPU, or where a cache does not pay.

    Args:
        captions: Pictures with words.
        augment: Must give pictures of one size.
        pairs: Intact and damaged things.
        grid: (gh, gw) of the student's patches, for the pairs' masks.
        every: One pair in this many items.
    """
    items = PictureItems(captions, augment)  # type: ignore[arg-type]
    if not pairs:
        return items
    return WithPairs(items, Joined([PicturePairs(drawn, grid) for drawn in pairs]), every=every)


def item_loader(
    items: Dataset[TrainingItem], *, batch_size: int = 48, num_workers: int = 0, seed: int = 0
) -> DataLoader[tuple[int, TrainingItem]]:
    """Loader for training, shuffled by seed and epoch, equal shares for all processes."""
    numbered = Numbered(items)
    return DataLoader(
        numbered,
        batch_size=batch_size,
        sampler=DefaultSampler(numbered, shuffle=True, seed=seed),
        num_workers=num_workers,
        collate_fn=collate,
        drop_last=len(numbered) > batch_size,
    )


def image_student(
    backbone: CLIPBackbone,
    captions: CaptionDataset,
    terms: Terms,
    settings: StepSettings = DEFAULT,
    *,
    texts: PhraseTargets | None = None,
    teacher: ImageTeacher | None = None,
    run_teacher: bool = False,
    pairs: Sequence[DefectPairs] = (),
    states: StateWeights = _STATES,
) -> ImageTextTraining:
    """Put the training of an image tower together.

    Args:
        backbone: The student.
        captions: Its data: all their words get text features, once.
        terms: Weights of the losses.
        settings: What a step costs and sees.
        texts: Where text features come from: the sentence teacher's space; the student's own
            text tower if ``None``.
        teacher: ImageNet classifier, if a term needs it.
        run_teacher: Run it in every step, for items without codes.
        pairs: Whose names the state losses know.
        states: Weights of the parts of the state losses.
    """
    encode: Encoder = backbone.encode_text if texts is None else texts.encode
    names = class_names_of(captions.records)
    table = None
    if not settings.text:
        said = {text for record in captions.records for text in record.texts}
        table = main_first(lambda: TextTable(_prompted(encode, names, texts is None), said))
    targets = None
    if teacher is not None:
        classifiers = class_classifiers(encode, imagenet_names()[: len(teacher.codebook.weights)])
        used = teacher if run_teacher else None
        targets = TeacherTargets(teacher.codebook, classifiers, teacher=used)
    return ImageTextTraining(
        backbone,
        terms,
        settings,
        texts=table,
        class_names=names if terms.classes else (),
        teacher=targets,
        words=_word_features(captions.records, encode) if terms.words else None,
        states=_state_terms(encode, pairs, states, settings) if terms.states else None,
    ).to(default_device())


def adaptation(
    backbone: CLIPBackbone,
    captions: CaptionDataset,
    terms: Terms,
    settings: StepSettings = DEFAULT,
    *,
    learn: int = 2,
) -> ImageTextTraining:
    """Fine-tune the last `learn` blocks of a finished CLIP on one's own pictures.

    Args:
        backbone: The CLIP.
        captions: Pictures with words.
        terms: Weights of the losses; `anchor` keeps it from forgetting.
        settings: As for `image_student`; `start` follows from `learn`.
        learn: Blocks that learn, from the last; all of them unfreeze the whole tower.

    Raises:
        InputError: If the tower has fewer blocks.
    """
    blocks = backbone.vit.num_blocks
    if not 0 <= learn <= blocks:
        raise InputError(f"the tower has {blocks} blocks, cannot train the last {learn}")
    return image_student(backbone, captions, terms, replace(settings, start=blocks - learn))


def records_of(
    captions: CaptionDataset, *, kinds: Sequence[str], sources: Sequence[str] = ()
) -> list[CaptionRecord]:
    """Records of some kinds and sources (all, if none is named), e.g. photos of single objects."""
    return [
        record
        for record in captions.records
        if record.kind in kinds and (not sources or record.source in sources)
    ]


def _prompted(encode: Encoder, names: Sequence[str], wanted: bool) -> Encoder:
    """Class names as the mean over templates (for the student's own tower), other texts bare."""
    known = frozenset(names)

    def run(texts: Sequence[str]) -> Tensor:
        rows = encode(list(texts))
        for place, text in enumerate(texts):
            if wanted and text in known:
                forms = F.normalize(encode(fill(SHORT_TEMPLATES, text)), dim=-1)
                rows[place] = F.normalize(forms.mean(0), dim=-1)
        return rows

    return run


def _word_features(records: Sequence[CaptionRecord], encode: Encoder) -> Tensor:
    """(2, V, D): the aligned words first, then other everyday words as alternatives.

    The first version are the bare words, the second their mean over templates.
    """
    words, _ = word_vocabulary(records)
    names = [*words, *sorted(set(EVERYDAY) - set(words))]
    bare = F.normalize(encode(names).float(), dim=-1)
    forms = encode([form for name in names for form in fill(SHORT_TEMPLATES, name)])
    mean = F.normalize(forms.float(), dim=-1).view(len(names), len(SHORT_TEMPLATES), -1).mean(1)
    return torch.stack([bare, F.normalize(mean, dim=-1)]).cpu()


def _state_terms(
    encode: Callable[[Sequence[str]], Tensor],
    pairs: Sequence[DefectPairs],
    weights: StateWeights,
    settings: StepSettings,
) -> StateTerms:
    names = {*GENERIC, *(name for drawn in pairs for name in drawn.names)}
    with torch.no_grad():
        table = StateTable(encode, names)
    return StateTerms(table, weights, keep=settings.keep)
