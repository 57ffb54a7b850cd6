"""First stage of training a small CLIP: its text tower from a sentence encoder's phrases."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from mmengine.dist import get_dist_info
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dense.datasets.captions import CaptionDataset, CaptionRecord
from dense.engine.data import collate
from dense.engine.model import default_device
from dense.engine.train_common import Numbered, main_first
from dense.methods.text_distillation import Phrase, TextDistillation
from dense.training.build_caches import cache_phrases
from dense.training.cache import FeatureCache, content_key
from dense.training.phrases import (
    PhraseCorpus,
    PhraseCounts,
    build_phrases,
    imagenet_names,
    wordnet_names,
)
from dense.training.pseudo_labels import TextSpace, fit_text_space
from dense.training.sentence_teacher import SentenceTeacher
from dense.training.student import StudentShape, build_student
from dense.training.token_table import token_strings, token_table

CONTEXT = 48
"""Tokens of a training phrase; longer ones are cut."""

_COUNTS = PhraseCounts()
_SHAPE = StudentShape()


@dataclass(frozen=True)
class PhraseTargets:
    """Phrases with what the teacher says of them.

    Attributes:
        corpus: The phrases.
        cache: Raw embeddings of `corpus.train`.
        space: From raw embeddings to the joint space.
        teacher: The sentence encoder.
        folder: Where derived tables are kept.
        bf16: Precision of the teacher.
    """

    corpus: PhraseCorpus
    cache: FeatureCache
    space: TextSpace
    teacher: SentenceTeacher
    folder: Path
    bf16: bool

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings (P, D) of any texts."""
        return self.space(self.teacher.encode(texts, bf16=self.bf16))

    def table(self, strings: Sequence[str], width: int, shallow: int) -> Tensor:
        """First token table, kept on disk."""
        key = content_key(self.cache.folder.name, strings, f"{width} {shallow}")
        place = self.folder / f"table-{key}.safetensors"
        if not place.is_file():
            table = token_table(
                strings, self.encode, self.teacher.piece_means, width=width, shallow=shallow
            )
            _save(place, {"table": table.contiguous()})
        return load_file(place)["table"]


def phrase_targets(
    captions: CaptionDataset,
    teacher: SentenceTeacher,
    *,
    cache_dir: str | Path,
    counts: PhraseCounts = _COUNTS,
    imagenet: bool = True,
    wordnet: bool = True,
    held_out: float = 0.035,
    seed: int = 7,
    bf16: bool = True,
) -> PhraseTargets:
    """Build the phrases of a caption data set and embed them; slow once, then read from disk.

    Args:
        captions: Whose names, tags and captions are learned.
        teacher: The sentence encoder.
        cache_dir: For the embeddings.
        counts: How many phrases of each kind.
        imagenet: Also ImageNet's class names.
        wordnet: Also names and definitions of WordNet's 22k ImageNet nouns, and the single words
            that the teacher knows.
        held_out: Share of words that no training phrase contains.
        seed: Of every draw.
        bf16: Run the teacher in bfloat16.
    """
    classes = imagenet_names() if imagenet else []
    corpus = build_phrases(
        _names(captions.records),
        classes=classes,
        extra=wordnet_names() if wordnet else [],
        captions=[*_sentences(captions.records), *(teacher.vocabulary if wordnet else ())],
        counts=counts,
        held_out=held_out,
        seed=seed,
    )
    folder = Path(cache_dir)

    def encode(texts: Sequence[str]) -> Tensor:
        return teacher.encode(texts, bf16=bf16)

    def make() -> tuple[FeatureCache, TextSpace]:
        name = content_key(teacher.word_embeddings.numpy().tobytes(), str(bf16))
        cache = cache_phrases(corpus.train, encode, teacher.width, folder, name=name)
        return cache, _space(cache)

    cache, space = main_first(make)
    return PhraseTargets(corpus, cache, space, teacher, folder, bf16)


def text_student(
    targets: PhraseTargets,
    *,
    shape: StudentShape = _SHAPE,
    cosine: float = 4.0,
    relational: float = 0.1,
    shallow: int = 96,
    table: bool = True,
    precision: str = "bf16",
    seed: int = 0,
) -> TextDistillation:
    """A fresh student whose text tower learns; its token table comes from the teacher.

    Args:
        targets: Gives the table.
        shape: Of the student.
        cosine: See `TextDistillation`.
        relational: See `TextDistillation`.
        shallow: See `token_table`; 0 starts from a random table.
        table: Whether the token table learns, too.
        precision: Of the step.
        seed: Of the first weights.
    """
    backbone = build_student(shape, seed=seed)
    if shallow:
        strings = token_strings(backbone.tokenizer)
        rows = main_first(lambda: targets.table(strings, shape.text_width, shallow))
        with torch.no_grad():
            embedding: torch.nn.Embedding = backbone.model.token_embedding  # type: ignore[assignment]
            embedding.weight.copy_(rows)
    method = TextDistillation(
        backbone, cosine=cosine, relational=relational, table=table, precision=precision
    )
    return method.to(default_device())


class PhraseItems(Dataset[Phrase]):
    """Phrases by number, as tokens with targets.

    Args:
        targets: The phrases.
        tokenize: Texts → (P, L).
    """

    def __init__(self, targets: PhraseTargets, tokenize: Callable[[list[str]], Tensor]) -> None:
        self.targets = targets
        self.tokenize = tokenize

    def __len__(self) -> int:
        return self.targets.cache.count

    def __getitem__(self, index: int) -> Phrase:
        tokens = self.tokenize([self.targets.corpus.train[index]])[0]
        return Phrase(tokens, self.targets.space(self.targets.cache.read(index, "raw")))


class LengthBatches(Sampler[list[int]]):
    """Batches of texts of about the same length, so that little is computed on padding.

    Each epoch is shuffled, cut into a few parts, and each part sorted by length.

    Args:
        lengths: Of all texts.
        batch_size: Texts a batch and process.
        parts: Parts an epoch.
        seed: Of the order.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, *, parts: int = 12, seed: int = 0
    ) -> None:
        self.lengths = list(lengths)
        self.batch_size = batch_size
        self.parts = parts
        self.seed = seed
        self.epoch = 0
        self.rank, self.world = get_dist_info()
        self.sampler = self  # where MMEngine looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(1, len(self.lengths) // (self.batch_size * self.world))

    def __iter__(self) -> Iterator[list[int]]:
        rng = random.Random(f"{self.seed} {self.epoch}")  # nosec B311  # repeatable shuffling
        order = rng.sample(range(len(self.lengths)), len(self.lengths))
        size = -(-len(order) // self.parts)
        rows: list[int] = []
        for begin in range(0, len(order), size):
            rows += sorted(order[begin : begin + size], key=self.lengths.__getitem__)
        step = min(self.batch_size, max(1, len(rows) // self.world))
        batches = [rows[i : i + step] for i in range(0, len(rows) - step + 1, step)]
        rng.shuffle(batches)
        return iter(batches[self.rank : len(self) * self.world : self.world])


def phrase_loader(
    targets: PhraseTargets, *, batch_size: int = 256, num_workers: int = 0, seed: int = 0
) -> DataLoader[tuple[int, Phrase]]:
    """Loader of phrases in batches of like length."""
    tokenizer = open_clip.SimpleTokenizer(context_length=CONTEXT)
    items = PhraseItems(targets, tokenizer)
    lengths = [len(text) for text in targets.corpus.train]
    return DataLoader(
        Numbered(items),
        batch_sampler=LengthBatches(lengths, batch_size, seed=seed),
        num_workers=num_workers,
        collate_fn=collate,
    )


def _names(records: Sequence[CaptionRecord]) -> list[str]:
    """Class names and single tags."""
    names = {text for r in records if r.kind == "class" for text in r.texts}
    return sorted(names | {tag for r in records if r.kind == "tags" for tag in r.texts[1:]})


def _sentences(records: Sequence[CaptionRecord]) -> list[str]:
    told = [r for r in records if r.kind == "caption" and r.split == "train"]
    return sorted({text for record in told for text in record.texts})


def _space(cache: FeatureCache) -> TextSpace:
    place = cache.folder / "space.safetensors"
    if not place.is_file():
        space = fit_text_space(torch.stack([cache.read(i, "raw") for i in range(cache.count)]))
        _save(place, {"mean": space.mean})
    return TextSpace(load_file(place)["mean"])


def _save(place: Path, tensors: dict[str, Tensor]) -> None:
    partial = place.with_suffix(".partial")
    save_file(tensors, partial)
    partial.replace(place)
