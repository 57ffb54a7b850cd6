"""Fill the feature caches of a training run: pictures, pairs, aligned words, phrases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.datasets.captions import CaptionRecord
from dense.images import read_image
from dense.training.cache import FeatureCache, Field, content_key
from dense.training.image_teacher import ImageTeacher
from dense.training.keywords import keywords_of
from dense.training.pseudo_labels import affinity
from dense.training.states import DefectPairs, draw_windows, kind_index
from dense.training.student import run_prefix, window_tokens
from dense.training.text_table import Encoder
from dense.training.views import ViewRule
from dense.training.word_alignment import align_words, fit_kinds, patch_words

TOKENS_AT_ONCE = 24


def prefix_key(backbone: CLIPBackbone, start: int) -> str:
    """Hash of everything before block `start`: what cached tokens depend on."""
    rows: list[bytes] = []
    for name, value in sorted(backbone.vit.tower.visual.state_dict().items()):
        tail = name.partition("resblocks.")[2]
        ending = not tail and ("ln_post" in name or name == "proj")
        if ending or (tail and int(tail.partition(".")[0]) >= start):
            continue
        flat = value.detach().cpu().float().contiguous()
        rows += [name.encode(), flat.numpy().tobytes()]
    return content_key(*rows)


def cache_pictures(
    records: Sequence[CaptionRecord],
    backbone: CLIPBackbone,
    folder: str | Path,
    *,
    start: int,
    side: int,
    rule: ViewRule,
    teacher: ImageTeacher | None = None,
    precision: str = "fp32",
) -> FeatureCache:
    """Tokens after the frozen blocks, and the teacher's codes, of one view of each picture.

    Args:
        records: The pictures.
        backbone: Its first `start` blocks run.
        folder: Caches lie in sub-folders, named by content.
        start: Number of frozen blocks.
        side: Input side in pixels, a multiple of the patch.
        rule: Which view.
        teacher: Adds `codes` and `dense_codes`.
        precision: Of the blocks.
    """
    grid = (side // backbone.patch_size[0], side // backbone.patch_size[1])
    patches = grid[0] * grid[1]
    tokens = patches + backbone.vit.tower.prefix
    fields = {"tokens": Field((tokens, backbone.vit.tower.width))}
    if teacher is not None:
        rank = teacher.codebook.weights.shape[1]
        fields["codes"] = Field((rank,), "fp16")
        fields["dense_codes"] = Field((patches, rank), "fp16")
    key = content_key(
        prefix_key(backbone, start),
        [f"{record.path.name}:{record.path.stat().st_size}" for record in records],
        repr(astuple(rule)),
        f"{start} {side} {precision}",
        b"" if teacher is None else teacher.codebook.weights.numpy().tobytes(),
    )

    @torch.no_grad()
    def compute(begin: int, end: int) -> dict[str, Tensor]:
        images = [read_image(record.path) for record in records[begin:end]]
        views = [rule(im.shape[:2], i) for i, im in enumerate(images, begin)]

        def render(size: int) -> list[np.ndarray]:
            return [view.render(im, size) for view, im in zip(views, images, strict=True)]

        rows = {"tokens": _tokens(backbone, render(side), start, precision)}
        if teacher is not None:
            rows["codes"] = teacher.codes(_raw(render(teacher.resolution)))
            finer = _raw(render(teacher.dense_resolution))
            rows["dense_codes"] = teacher.dense_codes(finer, grid)
        return rows

    cache = FeatureCache(Path(folder) / f"pictures-{key}", len(records), fields)
    return cache.fill(compute, batch=TOKENS_AT_ONCE)


def cache_pairs(
    pairs: DefectPairs,
    backbone: CLIPBackbone,
    folder: str | Path,
    *,
    start: int,
    windows: Sequence[int] = (3, 2),
    count: int = 4,
    precision: str = "fp32",
) -> FeatureCache:
    """Tokens, coverage, name and kind of pairs of intact and damaged things, and of windows.

    Args:
        pairs: The generator.
        backbone: Its first `start` blocks run.
        folder: Caches lie in sub-folders, named by content.
        start: Number of frozen blocks.
        windows: Sides of windows in patches.
        count: Windows of each side and pair.
        precision: Of the blocks.
    """
    grid = (pairs.side // backbone.patch_size[0], pairs.side // backbone.patch_size[1])
    prefix, width = backbone.vit.tower.prefix, backbone.vit.tower.width
    fields = {
        "tokens": Field((2, grid[0] * grid[1] + prefix, width)),
        "coverage": Field((grid[0] * grid[1],), "fp16"),
        "name": Field((), "fp32"),
        "kind": Field((), "fp32"),
    }
    for side in windows:
        fields[f"window_tokens_{side}"] = Field((2, count, side * side + prefix, width))
        fields[f"window_coverage_{side}"] = Field((count,), "fp16")
    number = {name: place for place, name in enumerate(pairs.names)}
    preprocess = backbone.preprocess

    @torch.no_grad()
    def compute(begin: int, end: int) -> dict[str, Tensor]:
        drawn = [pairs[index] for index in range(begin, end)]
        pictures = [image for pair in drawn for image in (pair.normal, pair.damaged)]
        batch = backbone.to_batch([preprocess.to_tensor(picture) for picture in pictures])
        tokens = run_prefix(backbone.vit, batch, start, precision=precision)
        coverage = torch.stack([pair.coverage(grid) for pair in drawn])
        rows = {
            "tokens": tokens.cpu().unflatten(0, (-1, 2)),
            "coverage": coverage,
            "name": torch.tensor([float(number[pair.name]) for pair in drawn]),
            "kind": torch.tensor([float(kind_index(pair.kind)) for pair in drawn]),
        }
        generator = torch.Generator().manual_seed(pairs.seed * 1_000_003 + begin)
        for side in windows:
            index = torch.stack([draw_windows(c, grid, side, count, generator) for c in coverage])
            both = index.repeat_interleave(2, 0).to(batch.device)
            seen = window_tokens(backbone.vit, batch, both, start, precision=precision)
            rows[f"window_tokens_{side}"] = seen.cpu().unflatten(0, (-1, 2))
            rows[f"window_coverage_{side}"] = worst_patch(coverage, index)
        return rows

    key = _pairs_key(pairs, prefix_key(backbone, start), (start, precision, tuple(windows), count))
    cache = FeatureCache(Path(folder) / f"pairs-{key}", len(pairs), fields)
    return cache.fill(compute, batch=TOKENS_AT_ONCE // 2)


def worst_patch(coverage: Tensor, index: Tensor) -> Tensor:
    """Greatest coverage of a patch of each window: (P, N) at (P, K, n) → (P, K)."""
    rows = torch.arange(len(index), device=index.device)[:, None, None]
    return coverage[rows, index].amax(-1)


def _pairs_key(pairs: DefectPairs, weights: str, settings: tuple[object, ...]) -> str:
    own = (pairs.count, pairs.side, pairs.photo_share, pairs.second, pairs.cells, pairs.seed)
    photos = [r.path.name for r in [*pairs.textures, *pairs.objects]]
    return content_key(weights, repr(own), photos, pairs.names, repr(settings))


def word_vocabulary(
    records: Sequence[CaptionRecord], *, least: int = 4
) -> tuple[tuple[str, ...], list[dict[int, float]]]:
    """Words to align, and which of them each picture may show, with prior probabilities.

    Args:
        records: The pictures' words.
        least: Pictures that must have a word, and a class name, for it to count.
    """
    often = Counter(r.texts[0] for r in records if r.kind == "class")
    objects = sorted(name for name, count in often.items() if count >= least)
    said = [keywords_of(record, objects=objects) for record in records]
    counts = Counter(word for row in said for word in row)
    vocabulary = tuple(sorted(word for word, count in counts.items() if count >= least))
    number = {word: place for place, word in enumerate(vocabulary)}
    rows = [{number[word]: p for word, p in row.items() if word in number} for row in said]
    return vocabulary, rows


def aligned_words(
    records: Sequence[CaptionRecord],
    cache: FeatureCache,
    *,
    prefix: int = 1,
    kinds: int = 1200,
    most: int = 8,
    seed: int = 0,
) -> dict[int, tuple[Tensor, Tensor]]:
    """Find the words of pictures in their patches; kept beside the cache.

    Args:
        records: The pictures' words.
        cache: Their tokens, complete.
        prefix: Class tokens before the patches.
        kinds: Kinds of patches; fewer if there are few patches.
        most: Words a picture.
        seed: Of k-means and its sample.

    Returns:
        By picture (N, most) indices into `word_vocabulary` and (N, most) weights.
    """
    vocabulary, rows = word_vocabulary(records)
    key = content_key(vocabulary, repr((rows, kinds, most, seed)))
    place = cache.folder / f"words-{key}.safetensors"
    if not place.is_file():
        found = _align(rows, cache, len(vocabulary), prefix, kinds, most, seed)
        partial = place.with_suffix(".partial")
        save_file(found, partial)
        partial.replace(place)
    kept = load_file(place)
    items = zip(kept["picture"].tolist(), kept["index"], kept["weight"], strict=True)
    return {picture: (index, weight) for picture, index, weight in items}


def _align(
    rows: Sequence[Mapping[int, float]],
    cache: FeatureCache,
    words: int,
    prefix: int,
    kinds: int,
    most: int,
    seed: int,
) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(cache.count)[:1500]
    sample = torch.cat(
        [
            patches[torch.from_numpy(rng.permutation(len(patches))[:60])]
            for patches in (cache.read(int(i), "tokens")[prefix:] for i in chosen)
        ]
    )
    sorter = fit_kinds(sample, min(kinds, len(sample)), seed=seed)
    seen = torch.stack([sorter(cache.read(i, "tokens")[prefix:]) for i in range(cache.count)])
    table = align_words(rows, seen, words=words, kinds=len(sorter.centres))
    picture, index, weight = [], [], []
    for number, said in enumerate(rows):
        if not said:
            continue
        patches = sorter.normalise(cache.read(number, "tokens")[prefix:])
        share = affinity(patches[None])[0] @ patch_words(table, said, seen[number])
        best = share.sum(0).argsort(descending=True)[:most]
        pad = most - len(best)
        picture.append(number)
        weight.append(F.pad(share[:, best], (0, pad)).half())
        some = torch.tensor(list(said))[best]
        index.append(F.pad(some, (0, pad)).to(torch.int16).expand(len(share), -1))
    return {
        "picture": torch.tensor(picture),
        "index": torch.stack(index).contiguous(),
        "weight": torch.stack(weight).contiguous(),
    }


def cache_phrases(
    texts: Sequence[str], encode: Encoder, width: int, folder: str | Path, *, name: str
) -> FeatureCache:
    """Raw sentence embeddings of phrases.

    Args:
        texts: The phrases.
        encode: Texts → (P, E).
        width: E.
        folder: See `cache_pictures`.
        name: Of the teacher, for the key.
    """

    def compute(begin: int, end: int) -> Mapping[str, Tensor]:
        return {"raw": encode(texts[begin:end])}

    key = content_key(name, texts)
    cache = FeatureCache(
        Path(folder) / f"phrases-{key}", len(texts), {"raw": Field((width,), "fp16")}
    )
    return cache.fill(compute, batch=4096, every=1)


def _tokens(
    backbone: CLIPBackbone, pictures: Sequence[np.ndarray], start: int, precision: str
) -> Tensor:
    batch = backbone.to_batch([backbone.preprocess.to_tensor(picture) for picture in pictures])
    return run_prefix(backbone.vit, batch, start, precision=precision).cpu()


def _raw(pictures: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
