"""ResCLIP: the last attention borrows from the middle blocks, then from a first segmentation.

Yang et al., "ResCLIP: Residual Attention for Training-free Dense Vision-language Inference", CVPR
2025, arXiv:2411.15851. Attention of the middle blocks still links patches of one object across the
picture, which self-self attention of the last block alone does not; hence it stands above NACLIP,
its host here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.attention import attention_sum, gaussian_window
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.heads.pixel import class_probabilities, text_similarity
from dense.methods.segmentation.base import PatchMethod, builder, scaled_block
from dense.structures import Size, TextClassifier

MIDDLE = range(5, 9)
"""Blocks, 0-based of 12, whose attention is borrowed: the sixth to the ninth."""

NARROW = 255
"""Labels and distances below this are kept in one byte."""


@dataclass(frozen=True)
class ResCLIP(PatchMethod):
    """ResCLIP on NACLIP (Yang et al. 2025): residual attention, then semantic feedback.

    The authors choose `share`, `feedback_gain`, `feedback_share` and `feedback_below` for every
    benchmark; the defaults are the setting that the repository uses most often (COCO-Stuff), for
    all data. What differs from their code: the first segmentation is decided on the patch grid
    from class probabilities (theirs: at pixels after PAMR, from query probabilities, then the mode
    of each patch).

    Attributes:
        gain: Factor on the mixed attention (τ of RCS); it acts against the output bias only.
        share: Of the middle blocks' attention in the mix (λ of RCS).
        feedback: Run the second pass with the first segmentation as feedback (SFR).
        feedback_gain: Factor on the mixed logits (τ of SFR).
        feedback_share: Of the feedback in the mixed logits (λ of SFR).
        feedback_below: Patches of the first segmentation below this probability join class 0.
        std: Of NACLIP's Gaussian, in patches; the feedback is blurred with the same.
    """

    name: ClassVar[str] = "resclip"
    gain: float = 2.0
    share: float = 0.4
    feedback: bool = True
    feedback_gain: float = 1.8
    feedback_share: float = 0.7
    feedback_below: float = 0.11
    std: float = 5.0

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Features of the first pass, residual attention alone. See the base class."""
        return self._pass(vit, trace, self._read(vit, trace))

    def similarity(self, vit: DenseViT, trace: Trace, classifier: TextClassifier) -> Tensor:
        """Cosine similarity after the feedback pass. See the base class."""
        read = self._read(vit, trace)
        first = text_similarity(self._pass(vit, trace, read), classifier.weights)
        if not self.feedback:
            return first
        logits = first.movedim(1, 0) * classifier.logit_scale
        confidence, labels = class_probabilities(logits, classifier).max(0)
        labels = labels.masked_fill(confidence < self.feedback_below, 0)
        dense = self._pass(vit, trace, read, feedback_links(labels, self.std))
        return text_similarity(dense, classifier.weights)

    @staticmethod
    def _read(vit: DenseViT, trace: Trace) -> _Read:
        """What both passes need of the trace."""
        _, keys, values = vit.tower.blocks[-1].qkv(trace.entering[-1])
        middle = sorted({scaled_block(vit, block) for block in MIDDLE})
        pairs = [vit.tower.blocks[index].qkv(trace.entering[index])[:2] for index in middle]
        return _Read(keys, values, attention_sum(pairs, values) / len(pairs))

    def _pass(
        self, vit: DenseViT, trace: Trace, read: _Read, links: Tensor | None = None
    ) -> Tensor:
        """Dense features of the last block. links (B, N, N)."""
        block, layout = vit.tower.blocks[-1], trace.layout
        keys = queries = read.keys
        bias = gaussian_window(layout.grid, self.std, keys.device)[None]
        if links is not None:
            queries = keys * (self.feedback_gain * (1 - self.feedback_share))
            feedback = links / links.amax((1, 2), keepdim=True)
            bias = bias + self.feedback_gain * self.feedback_share * feedback
        bias = F.pad(bias, (layout.prefix, 0, layout.prefix, 0)).to(keys.dtype)[:, None]
        own = F.scaled_dot_product_attention(queries, keys, read.values, attn_mask=bias)
        mixed = self.gain * ((1 - self.share) * own + self.share * read.borrowed)
        return vit.project(block.attention_branch(mixed)[:, layout.prefix :], layout.grid)


class _Read(NamedTuple):
    """What both passes need of a trace, each (B, heads, T, d).

    `borrowed` are the last block's values mixed by the mean attention of the middle blocks.
    """

    keys: Tensor
    values: Tensor
    borrowed: Tensor


def feedback_links(labels: Tensor, std: float) -> Tensor:
    """How strongly the first segmentation links patches (ResCLIP's SFR).

    Patches of one class are linked by 1 where the straight path between them stays in the class,
    else by a weight that decays with their distance; rows are blurred along the row-major order
    of patches, as in the authors' code, and sum to one.

    Args:
        labels: (B, gh, gw) class of each patch.
        std: Of the blur, in patches.

    Returns:
        (B, N, N) float32.
    """
    grid: Size = (labels.shape[1], labels.shape[2])
    count = grid[0] * grid[1]
    flat = labels.flatten(1)
    same = (flat[:, :, None] == flat[:, None]).float()
    steps = _steps(grid, labels.device)
    decay = _by_patch(torch.exp(-steps.float() / max(1, max(grid) - 1)))
    links = torch.where(_by_patch(_straight_paths(labels, steps)), same, same * decay)
    length = min(count, int(6 * std + 1)) | 1
    offset = torch.arange(length, device=labels.device) - length // 2
    kernel = torch.exp(-(offset**2) / (2 * std**2))
    blurred = _filter_rows(links, kernel / kernel.sum())
    return blurred / (blurred.sum(-1, keepdim=True) + 1e-8)


def _filter_rows(x: Tensor, kernel: Tensor) -> Tensor:
    """Correlate the last axis (zeros beyond its ends) with an odd kernel. (..., n) → the same.

    As products with one band matrix: an order faster than convolving a single channel.
    """
    reach, count = len(kernel) // 2, x.shape[-1]
    width = 4 * reach + 1
    band = kernel.new_zeros(width + 2 * reach, width)
    for column in range(width):
        band[column : column + len(kernel), column] = kernel
    pieces = F.pad(x, (reach, reach + -count % width)).unfold(-1, len(band), width)
    return (pieces @ band).flatten(-2)[..., :count]


def _by_patch(pairs: Tensor) -> Tensor:
    """(..., gh, gh, gw, gw), rows and columns of two patches, → (..., N, N)."""
    return pairs.transpose(-3, -2).flatten(-4, -3).flatten(-2)


def _steps(grid: Size, device: torch.device) -> Tensor:
    """(gh, gh, gw, gw), larger of the row and column distances of two patches."""
    kind = torch.uint8 if max(grid) <= NARROW else torch.int16
    y, x = (torch.arange(side, device=device, dtype=torch.int16) for side in grid)
    rows, columns = (y[:, None] - y).abs(), (x[:, None] - x).abs()
    return torch.maximum(rows.to(kind)[:, :, None, None], columns.to(kind))


def _straight_paths(labels: Tensor, steps: Tensor) -> Tensor:
    """(B, gh, gh, gw, gw) bool: all patches met on the way share the first one's class.

    The way is sampled at fractions of the grid's longest side, and only as many samples as there
    are steps between the two patches are looked at (so the authors' code: for near patches it
    covers the beginning of the way). labels (B, gh, gw), steps from `_steps`.
    """
    kind = torch.uint8 if labels.max() < NARROW else torch.int16
    narrow = labels.to(kind)  # an eighth of the memory to walk through
    y, x = (torch.arange(side, device=labels.device) for side in labels.shape[1:])
    longest = max(labels.shape[1:]) - 1
    open_way = torch.ones(len(labels), *steps.shape, dtype=torch.bool, device=labels.device)
    first = narrow[:, :, None, :, None].expand_as(open_way).contiguous()
    for number, t in enumerate(torch.linspace(0, 1, longest + 1, device=labels.device)):
        rows, columns = ((p[:, None] * (1 - t) + p * t).round().long() for p in (y, x))
        met = narrow[:, :, columns].flatten(2)[:, rows].view(open_way.shape)  # whole rows at once
        open_way &= (met == first) | (steps < number)
    return open_way


build = builder(ResCLIP)
