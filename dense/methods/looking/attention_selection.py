"""ABS: crops where the class token attends, in the picture and in feature space.

Cai et al., ICML 2025, arXiv:2505.13233.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, DenseViT
from dense.backbones.trace import Trace
from dense.errors import InputError
from dense.methods.batching import encode_pictures, squashed
from dense.methods.looking.base import (
    AskedRegions,
    Looker,
    Picture,
    Views,
    builder,
    fixed,
    require_class_token,
    require_number,
    unit,
)
from dense.regions import cut_box, widen_boxes
from dense.structures import Size, TextClassifier


@dataclass(frozen=True)
class AttentionSelection(Looker):
    """Many crops around the patches that the class token attends to most.

    Centres are drawn among the `top` patches, with probabilities that are the soft-max of their
    attention; crops have 0.6 to 0.9 of the sides. Each crop is cut from the picture and seen
    alone, or cut from the tokens before the last block, where it still knows the whole picture;
    every view votes by its own soft-max over the words (soft matching).

    A region plays the picture of the paper: its box with `margin` is cut out first. Where else we
    differ: attention is the tower's own (DINO's in the paper); crops in feature space are weighted
    instead of resized bicubically, see `crop_tokens`; both kinds of crops count alike, however
    many there are; words are the class list's (descriptions by a language model in the paper;
    synonyms after semicolons may be such descriptions).

    Attributes:
        crops: Cut from the picture; each costs a forward pass (50 in the paper).
        feature_crops: Cut in feature space; all together cost a few percent of one.
        smallest: Least side of a crop, as a share.
        largest: Greatest side.
        top: Patches among which centres are drawn.
        temperature: Of the draw and of the votes.
        margin: Added to a box on each side, as a share of the box.
        seed: Of the draws, the same for every region.
    """

    name: ClassVar[str] = "abs"
    crops: int = 8
    feature_crops: int = 50
    smallest: float = 0.6
    largest: float = 0.9
    top: int = 20
    temperature: float = 0.03
    margin: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("crops", "feature_crops", "seed"):
            require_number(name, getattr(self, name), 0, whole=True)
        require_number("top", self.top, 1, whole=True)
        require_number("temperature", self.temperature, 1e-6)
        require_number("margin", self.margin, 0)
        require_number("largest", self.largest, 0, 1)
        require_number("smallest", self.smallest, 0, self.largest)
        if not self.crops + self.feature_crops:
            raise InputError("crops and feature_crops are both 0: one of them must be positive")

    def views(self, backbone: CLIPBackbone, image: Picture, regions: AskedRegions) -> Views:
        """See the base class."""
        require_class_token(self.name, backbone)
        boxes = regions.boxes
        if not regions.whole:
            boxes = widen_boxes(boxes, self.margin, (image.shape[0], image.shape[1]))
        windows = [cut_box(image, box) for box in boxes.tolist()]
        features, crops = self._look(backbone, windows)
        seen = encode_pictures(backbone, (crop for own in crops for crop in own))
        features = torch.cat([features, unit(seen).unflatten(0, (len(windows), self.crops))], 1)
        counts = [count for count in (self.feature_crops, self.crops) if count]
        weights = [1 / (len(counts) * count) for count in counts for _ in range(count)]
        return Views(features, torch.tensor(weights))

    def probabilities(self, views: Views, words: TextClassifier) -> Tensor:
        """The views' votes. See the base class."""
        texts = words.weights.to(views.features)
        votes = soft_match(views.features @ texts.T, self.temperature)
        weights = torch.ones(votes.shape[1]) if views.weights is None else views.weights
        total = torch.einsum("v,rvp->rp", weights.to(votes), votes)
        if words.class_index is not None:
            index = words.class_index.to(total.device).expand_as(total)
            total = total.new_zeros(len(total), words.num_classes).scatter_add(1, index, total)
        return total.softmax(1)

    def _look(
        self, backbone: CLIPBackbone, windows: Sequence[Picture]
    ) -> tuple[Tensor, list[list[Picture]]]:
        """Features of the crops in feature space (R, M, D), and the crops of each window."""
        vit = backbone.vit
        rows: list[Tensor] = []
        crops: list[list[Picture]] = []
        for batch in squashed(backbone, windows):
            trace = vit.trace(batch)
            maps = class_attention(vit, trace).cpu().numpy()
            drawn = [self._draw(attention) for attention in maps]
            places = np.stack([patch_crops(*own, maps.shape[1:]) for own in drawn])
            chosen = torch.from_numpy(places[:, : self.feature_crops]).to(batch.device)
            rows.append(unit(crop_tokens(vit, trace, chosen)))
            for own in drawn:
                window = windows[len(crops)]
                size = (window.shape[0], window.shape[1])
                boxes = picture_crops(*own, maps.shape[1:], size)[: self.crops]
                crops.append([cut_box(window, box) for box in boxes.tolist()])
        return torch.cat(rows), crops

    def _draw(self, attention: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray]:
        """Centres (M,) in patches and sides (M, 2) as shares, of the largest number of crops."""
        generator = np.random.default_rng(self.seed)
        flat = attention.ravel().astype(np.float64)
        best = np.argsort(-flat, kind="stable")[: self.top]
        chances = np.exp((flat[best] - flat[best].max()) / self.temperature)
        count = max(self.crops, self.feature_crops)
        centres = generator.choice(best, count, p=chances / chances.sum())
        return centres, generator.uniform(self.smallest, self.largest, (count, 2))


def class_attention(vit: DenseViT, trace: Trace) -> Tensor:
    """What the class token attends to in the last block, (B, gh, gw), the mean over heads."""
    q, k, _ = vit.tower.blocks[-1].qkv(trace.entering[-1])
    logits = q[:, :, :1] @ k.transpose(2, 3) * q.shape[-1] ** -0.5
    shares = logits.float().softmax(-1).mean(1)[:, 0, trace.layout.prefix :]
    return shares.unflatten(1, trace.layout.grid)


def patch_crops(
    centres: NDArray[np.int64], sides: NDArray[np.floating], grid: Size
) -> NDArray[np.int64]:
    """Crops (M, 4) in whole patches, x0 y0 x1 y1 with the last one left out.

    Args:
        centres: (M,) patch indices, row-major.
        sides: (M, 2) height and width as shares of the grid.
        grid: (gh, gw).
    """
    rows, columns = np.divmod(centres, grid[1])
    spans = []
    for middle, share, length in ((columns, sides[:, 1], grid[1]), (rows, sides[:, 0], grid[0])):
        half = (share * length).astype(np.int64) // 2
        spans.append((np.maximum(middle - half, 0), np.minimum(middle + half + 1, length)))
    (x0, x1), (y0, y1) = spans
    return np.stack([x0, y0, x1, y1], 1)


def picture_crops(
    centres: NDArray[np.int64], sides: NDArray[np.floating], grid: Size, size: Size
) -> NDArray[np.float64]:
    """The same crops in pixels of a picture (H, W), (M, 4) xyxy, cut at its border."""
    rows, columns = np.divmod(centres, grid[1])
    spans = []
    for middle, share, count, length in (
        (columns, sides[:, 1], grid[1], size[1]),
        (rows, sides[:, 0], grid[0], size[0]),
    ):
        centre, half = (middle + 0.5) * length / count, share * length / 2
        spans.append((np.maximum(centre - half, 0), np.minimum(centre + half, length)))
    (x0, x1), (y0, y1) = spans
    return np.stack([x0, y0, x1, y1], 1)


def crop_tokens(vit: DenseViT, trace: Trace, crops: Tensor) -> Tensor:
    """Image features of crops in feature space: the last block's class token sees a crop's patches.

    The paper resizes the crop's n patches to all N of the grid and runs the block. Resizing by
    repetition leaves the patches as they are and makes each count N / n times in the soft-max:
    that is a bias log(N / n) on their logits, so queries, keys and values are computed once and a
    crop costs one token. Bicubic resizing also blends neighbours; ours does not.

    Args:
        vit: The tower, with a class token.
        trace: What enters the blocks, B pictures.
        crops: (B, M, 4) int64 whole patches, x0 y0 x1 y1 with the last one left out, none empty.

    Returns:
        (B, M, D), not normalised.
    """
    block, x, layout = vit.tower.blocks[-1], trace.entering[-1], trace.layout
    if not crops.numel():
        return x.new_zeros(*crops.shape[:2], vit.joint_dim)
    gh, gw = layout.grid
    x0, y0, x1, y1 = crops.unbind(2)
    rows, columns = torch.arange(gh, device=x.device), torch.arange(gw, device=x.device)
    down = (rows >= y0[..., None]) & (rows < y1[..., None])
    across = (columns >= x0[..., None]) & (columns < x1[..., None])
    inside = (down[..., :, None] & across[..., None, :]).flatten(2)
    repeats = gh * gw / inside.sum(-1, keepdim=True).clamp(min=1)
    bias = x.new_zeros(*crops.shape[:2], x.shape[1])
    patches = repeats.log().to(x.dtype).expand(inside.shape)
    bias[..., layout.prefix :] = patches.masked_fill(~inside, -math.inf)
    q, k, v = block.qkv(x)
    queries = q[:, :, :1].expand(-1, -1, crops.shape[1], -1)
    attended = F.scaled_dot_product_attention(queries, k, v, attn_mask=bias[:, None])
    tokens = x[:, :1] + block.attention_branch(attended)
    tokens = tokens + block.feed_forward(tokens)
    return vit.tower.pool(tokens.flatten(0, 1)[:, None]).unflatten(0, crops.shape[:2])


def soft_match(cosines: Tensor, temperature: float) -> Tensor:
    """Votes (…, P) of views whose cosines (…, P) with the words are given.

    A view's vote for a word is its cosine over the temperature, times the soft-max of these over
    all words at once: a view that fits none in particular has little to say.
    """
    logits = cosines / temperature
    return logits.softmax(-1) * logits


build = builder(AttentionSelection)
build_features = builder(fixed(AttentionSelection, "abs-features", crops=0))
