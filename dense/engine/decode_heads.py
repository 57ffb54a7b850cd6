"""MMSegmentation's decode heads on the patch features of a frozen CLIP."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.backbones.depth import layer_indices
from dense.compat import ensure_mmcv_ops
from dense.errors import InputError, unknown_name

ensure_mmcv_ops()

from mmseg.models.decode_heads import ASPPHead, FCNHead, UPerHead  # noqa: E402
from mmseg.models.decode_heads.decode_head import BaseDecodeHead  # noqa: E402
from mmseg.models.losses import CrossEntropyLoss  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

KINDS = ("linear", "uper", "aspp", "mask-text")
PYRAMID = (4.0, 2.0, 1.0, 0.5)
"""Sizes of UPerNet's four inputs over the patch grid, as usual for plain Vision Transformers."""
SHARPNESS = 1 / 0.07
"""Start of the learned multiplier from cosine to logits, CLIP's own."""
LOSS = {"type": CrossEntropyLoss, "avg_non_ignore": True}
"""A class, not a name: names are looked up in whichever library runs at the time."""
GROUPS = 4


def make_head(
    kind: str, width: int, levels: int, texts: Tensor, *, channels: int = 256
) -> BaseDecodeHead:
    """A decode head for K classes.

    Norms are over groups of channels: batches are small and may be of one picture.

    Args:
        kind: ``"linear"``: one linear layer on normalised patches; ``"uper"``: UPerNet (Xiao et
            al., ECCV 2018); ``"aspp"``: DeepLabV3's (Chen et al., arXiv:1706.05587);
            ``"mask-text"``: `MaskTextHead`.
        width: C of each feature map.
        levels: Feature maps that come in.
        texts: (K, D) unit rows, one a class; all but mask-text read K alone.
        channels: Inner width, a multiple of 8.

    Raises:
        InputError: If the kind is unknown, or the widths do not fit.
    """
    if kind not in KINDS:
        raise unknown_name("decode head", kind, KINDS)
    if channels % (2 * GROUPS) or channels < 2 * GROUPS:  # one value has no spread
        raise InputError(f"channels must be a positive multiple of {2 * GROUPS}, got {channels}")
    options = {"num_classes": len(texts), "align_corners": False, "loss_decode": LOSS}
    norm = {"norm_cfg": {"type": "GN", "num_groups": GROUPS}, "channels": channels}
    if kind == "linear":
        one = {"in_channels": width, "channels": width, "dropout_ratio": 0.0}
        return FCNHead(num_convs=0, concat_input=False, **one, **options)
    if kind == "mask-text":
        return MaskTextHead(texts, in_channels=width, channels=channels, align_corners=False)
    if kind == "aspp":
        return ASPPHead(dilations=(1, 6, 12, 18), in_channels=width, **norm, **options)
    if levels != len(PYRAMID):
        raise InputError(f"UPerNet reads {len(PYRAMID)} layers, got {levels}")
    return UPerHead(in_channels=[width] * levels, in_index=list(range(levels)), **norm, **options)


class PatchFeatures:
    """Patch tokens of some blocks of a frozen CLIP as feature maps.

    Args:
        backbone: The CLIP.
        layers: Blocks, by index or share of the depth, see `dense.backbones.depth`.
        pyramid: Resize four layers to the steps of a pyramid.
    """

    def __init__(
        self, backbone: CLIPBackbone, layers: Sequence[int | float], *, pyramid: bool = False
    ) -> None:
        backbone.eval().requires_grad_(False)
        self.backbone = backbone
        depth = backbone.vit.num_blocks
        self.layers = tuple(layer_indices([layer], depth)[0] for layer in layers)
        self.pyramid = pyramid

    @torch.no_grad()
    def __call__(self, images: Tensor) -> list[Tensor]:
        """(B, 3, h, w) → (B, C, gh, gw) a layer in fp32, normalised over channels."""
        maps = self.backbone.vit(images, intermediates=self.layers).intermediates
        found = [F.layer_norm(m.float().movedim(1, -1), m.shape[1:2]).movedim(-1, 1) for m in maps]
        if not self.pyramid:
            return found
        return [
            F.interpolate(m, scale_factor=s, mode="bilinear", align_corners=False) if s != 1 else m
            for m, s in zip(found, PYRAMID, strict=True)
        ]


class MaskTextHead(BaseDecodeHead):
    """Masks asked for by words, aligned with them (after MTA-CLIP).

    Das et al., "MTA-CLIP: Language-Guided Semantic Segmentation with Mask-Text Alignment", ECCV
    2024, arXiv:2407.21654: queries made of the classes' texts read the picture and each other,
    each says which pixels are its own, and the mean feature of its pixels is pulled to its text.
    Simpler than the paper: one query a class and no free ones, no matching, texts from the
    frozen text tower with one learned shift a class in place of its several learned contexts.

    Args:
        texts: (K, D) unit rows.
        in_channels: C of the patches.
        channels: Width of queries and pixels.
        depth: Layers of the decoder.
        heads: Of its attention.
        align_corners: For resizing, as in all heads.
    """

    def __init__(
        self,
        texts: Tensor,
        *,
        in_channels: int,
        channels: int,
        depth: int = 3,
        heads: int = 8,
        align_corners: bool = False,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            channels=channels,
            num_classes=len(texts),
            dropout_ratio=0.0,
            align_corners=align_corners,
            loss_decode=LOSS,
        )
        del self.conv_seg  # classes are told apart by their queries
        layer = nn.TransformerDecoderLayer(channels, heads, 2 * channels, 0.0, batch_first=True)
        self.register_buffer("texts", texts.detach().clone().float())
        self.shift = nn.Parameter(torch.zeros_like(self.texts))
        self.query = nn.Linear(texts.shape[1], channels)
        self.pixel = nn.Conv2d(in_channels, channels, 1)
        self.decoder = nn.TransformerDecoder(layer, depth)
        self.to_text = nn.Linear(channels, texts.shape[1])
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS).log())

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Feature maps (B, C, gh, gw) → logits (B, K, gh, gw) from the last of them."""
        return self._masks(inputs)[0]

    def loss(
        self, inputs: Sequence[Tensor], batch_data_samples: list[SegDataSample], train_cfg: object
    ) -> dict[str, Tensor]:
        """Pixel-wise cross-entropy, and mask-to-text cross-entropy of the classes it shows."""
        logits, pixels = self._masks(inputs)
        losses = self.loss_by_feat(logits, batch_data_samples)
        labels = self._stack_batch_gt(batch_data_samples)
        losses["loss_mask_text"] = self._alignment(logits, pixels, labels)
        return losses

    def _masks(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (B, K, gh, gw) and pixel features (B, channels, gh, gw)."""
        pixels = self.pixel(self._transform_inputs(list(inputs)))
        tokens = pixels.flatten(2).transpose(1, 2)
        queries = self.query(self.texts + self.shift).expand(len(pixels), -1, -1)
        asked = F.normalize(self.decoder(queries, tokens), dim=-1)
        logits = asked @ F.normalize(tokens, dim=-1).transpose(1, 2) * self.sharpness.exp()
        return logits.unflatten(2, pixels.shape[-2:]), pixels

    def _alignment(self, logits: Tensor, pixels: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each present class's mean feature against all texts."""
        share = logits.softmax(1).flatten(2)
        share = share / share.sum(-1, keepdim=True)
        means = self.to_text(share @ pixels.flatten(2).transpose(1, 2))
        texts = F.normalize(self.texts + self.shift, dim=-1)
        found = F.normalize(means, dim=-1) @ texts.T * self.sharpness.exp()
        classes = torch.arange(self.num_classes, device=labels.device)
        present = (labels.flatten(1)[:, None] == classes[:, None]).any(-1)
        if not present.any():
            return found.sum() * 0
        target = classes.expand(len(labels), -1)
        return F.cross_entropy(found[present], target[present])
