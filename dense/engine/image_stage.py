"""Second and third stage: the image tower, from caches on a CPU or from pictures on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine.dataset import DefaultSampler
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from dense.backbones import CLIPBackbone, load
from dense.datasets.captions import CaptionDataset, CaptionRecord, class_names_of
from dense.engine.augment import Augment
from dense.engine.data import collate
from dense.engine.model import default_device
from dense.engine.text_stage import PhraseTargets, _Numbered, main_first
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
from dense.training.datasets import CachedItems, CachedPairs, PictureItems, PicturePairs, WithPairs
from dense.training.image_teacher import ImageTeacher
from dense.training.items import TrainingItem
from dense.training.phrases import imagenet_names
from dense.training.settings import StepSettings, Terms
from dense.training.state_terms import GENERIC, StateTerms, StateWeights
from dense.training.states import DefectPairs
from dense.training.student import StudentShape, build_student
from dense.training.teacher_targets import TeacherTargets, class_classifiers
from dense.training.text_table import Encoder, StateTable, TextTable
from dense.training.views import ViewRule
from dense.training.vision_onnx import read_onnx_vit
from dense.training.words import EVERYDAY

_SHAPE = StudentShape()
_RULE = ViewRule()
_STATES = StateWeights()


def fresh_student(
    shape: StudentShape = _SHAPE,
    *,
    vision: str | Path | None = None,
    random: bool = False,
    text: str | Path | None = None,
    seed: int = 0,
) -> CLIPBackbone:
    """A student with the self-supervised image tower and a trained text tower.

    Args:
        shape: Its architecture.
        vision: ONNX file of the tower, see `read_onnx_vit`; the installed package if ``None``.
        random: Start from random blocks instead.
        text: Checkpoint of the text stage; a random text tower if ``None``.
        seed: Of what is random.

    Raises:
        InputError: If a part does not fit.
    """
    tower = None if random else read_onnx_vit(vision)
    backbone = build_student(shape, vision=tower, seed=seed)
    if text is not None:
        copy_text_tower(load(str(text)), backbone)
    return backbone.to(default_device())


def copy_text_tower(source: CLIPBackbone, target: CLIPBackbone) -> None:
    """Copy everything but the image tower.

    Raises:
        InputError: If the towers differ in shape.
    """
    state, own = source.model.state_dict(), target.model.state_dict()
    taken = {key: value for key, value in state.items() if not key.startswith("visual.")}
    wrong = [key for key, value in taken.items() if own.get(key, value).shape != value.shape]
    if wrong:
        raise InputError(f"the text towers differ: {len(wrong)} tensors, the first is {wrong[0]}")
    target.model.load_state_dict({**own, **taken})


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
    pairs: DefectPairs | None = None,
    every: int = 5,
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
        pairs: Intact and damaged things.
        every: One pair in this many items.
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
    items = views[0] if len(views) == 1 else _Joined(views)
    if pairs is None:
        return items
    made = main_first(
        lambda: cache_pairs(pairs, backbone, folder, start=start, precision=precision)
    )
    return WithPairs(items, CachedPairs(pairs.names, made), every=every)


def picture_items(
    captions: CaptionDataset,
    augment: Augment,
    *,
    pairs: DefectPairs | None = None,
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
    return items if pairs is None else WithPairs(items, PicturePairs(pairs, grid), every=every)


def item_loader(
    items: Dataset[TrainingItem], *, batch_size: int = 48, num_workers: int = 0, seed: int = 0
) -> DataLoader[TrainingItem]:
    """Loader for training, shuffled by seed and epoch, equal shares for all processes."""
    numbered = _Numbered(items)
    return DataLoader(
        numbered,
        batch_size=batch_size,
        sampler=DefaultSampler(numbered, shuffle=True, seed=seed),
        num_workers=num_workers,
        collate_fn=collate,  # type: ignore[arg-type]
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
    pairs: DefectPairs | None = None,
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
    from dataclasses import replace

    blocks = backbone.vit.num_blocks
    if not 0 <= learn <= blocks:
        raise InputError(f"the tower has {blocks} blocks, cannot train the last {learn}")
    return image_student(backbone, captions, terms, replace(settings, start=blocks - learn))


def records_of(captions: CaptionDataset, *, kinds: Sequence[str]) -> list[CaptionRecord]:
    """Records of some kinds, e.g. photos of one named thing to damage."""
    return [record for record in captions.records if record.kind in kinds]


class _Joined(Dataset[TrainingItem]):
    """Several data sets one after the other."""

    def __init__(self, parts: Sequence[CachedItems]) -> None:
        self.parts = list(parts)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __getitem__(self, index: int) -> TrainingItem:
        for part in self.parts:
            if index < len(part):
                return part[index]
            index -= len(part)
        raise IndexError(index)


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
    """(V, D): the aligned words first, then other everyday words as alternatives."""
    words, _ = word_vocabulary(records)
    others = sorted(set(EVERYDAY) - set(words))
    return F.normalize(encode([*words, *others]).float(), dim=-1).cpu()


def _state_terms(
    encode: Callable[[Sequence[str]], Tensor],
    pairs: DefectPairs | None,
    weights: StateWeights,
    settings: StepSettings,
) -> StateTerms:
    names = {*GENERIC, *(() if pairs is None else pairs.names)}
    with torch.no_grad():
        table = StateTable(encode, names)
    return StateTerms(table, weights, keep=settings.keep)
