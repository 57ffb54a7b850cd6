"""What F-ViT learns: MMDetection's pyramid, proposals and region head on frozen patches."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

import torch
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn import functional as F

from dense.compat import ensure_mmcv_ops
from dense.engine.f_vit_settings import GROUP, FViTSettings
from dense.errors import InputError, MissingDependencyError
from dense.structures import Size

ensure_mmcv_ops()

try:
    from mmcv.ops import RoIAlign
    from mmdet.models.dense_heads import RPNHead
    from mmdet.models.losses import CrossEntropyLoss, L1Loss
    from mmdet.models.necks import FPN
    from mmdet.models.roi_heads import StandardRoIHead
    from mmdet.models.roi_heads.bbox_heads import ConvFCBBoxHead
    from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
    from mmdet.models.task_modules.assigners import BboxOverlaps2D, MaxIoUAssigner
    from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
    from mmdet.models.task_modules.prior_generators import AnchorGenerator
    from mmdet.models.task_modules.samplers import RandomSampler
    from mmdet.structures import DetDataSample
except ModuleNotFoundError as error:
    raise MissingDependencyError(
        "F-ViT needs MMDetection: pip install 'dense-clip[detection]'"
    ) from error

LEVELS = 5
"""Steps of the pyramid: a quarter of the patch to four patches."""
CELLS = 7
"""Side of the grid that a region is cut into."""
CELLS_OF_FINEST = 14
"""Regions below twice this many cells of the finest level are read there (FPN's rule, 56 / 4)."""


class TextScores(nn.Module):
    """Region features → logits of K texts and of a learned background, which comes last.

    Cosines to unit rows times a learned scale. The official code ends the projection by a ReLU;
    ours does not, since texts have negative entries.

    Args:
        in_features: Width of the region features.
        out_features: K + 1; MMDetection passes it.
        texts: (K, D) unit rows.
        background: (D,) start of the learned row.
        scale: Start of the multiplier.
    """

    texts: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        texts: Tensor,
        background: Tensor,
        scale: float = 50.0,
    ) -> None:
        super().__init__()
        if out_features != len(texts) + 1:
            raise InputError(f"{len(texts)} texts make {len(texts) + 1} classes of the head")
        self.register_buffer("texts", texts.detach().clone().float(), persistent=False)
        self.project = nn.Linear(in_features, texts.shape[1])
        self.background = nn.Parameter(background.detach().clone().float())
        self.scale = nn.Parameter(torch.tensor(scale))

    def rows(self) -> Tensor:
        """(K + 1, D) unit rows."""
        return torch.cat([self.texts, F.normalize(self.background, dim=0)[None]])

    def forward(self, regions: Tensor) -> Tensor:
        """(R, in_features) → logits (R, K + 1)."""
        return F.normalize(self.project(regions), dim=-1) @ self.rows().T * self.scale


class FViTParts(nn.Module):
    """Pyramid, proposals and region head; a state dict of them holds no texts.

    As in F-ViT's code for OV-COCO but for: norms over groups of channels (theirs: over the batch of
    all processes), four samples a cell in RoIAlign (theirs: as many as pixels), `TextScores`.

    Args:
        width: C of the tower.
        patch: Side of a patch in pixels.
        texts: (K, D) unit rows.
        background: (D,) start of the learned background.
        settings: Sizes of the layers.
    """

    def __init__(
        self, width: int, patch: int, texts: Tensor, background: Tensor, settings: FViTSettings
    ) -> None:
        super().__init__()
        strides = [patch / 4 * 2**level for level in range(LEVELS)]
        norm = {"type": "GN", "num_groups": settings.channels // GROUP}
        self.pyramid = _pyramid(width)
        self.neck = FPN([width] * 4, settings.channels, LEVELS, norm_cfg=norm)
        self.rpn = _proposal_head(strides, settings)
        self.roi = _region_head(strides, norm, texts, background, settings)
        with _quiet():
            for part in (self.neck, self.rpn, self.roi):
                part.init_weights()

    @property
    def scores(self) -> TextScores:
        """Where regions meet texts."""
        return self.roi.bbox_head.fc_cls

    def levels(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Four maps (B, C, gh, gw) of rising blocks → five levels of the pyramid."""
        return self.neck([step(one) for step, one in zip(self.pyramid, maps, strict=True)])

    def losses(
        self, levels: tuple[Tensor, ...], boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """Losses of proposals and regions.

        Args:
            levels: Of B pictures, see `levels`.
            boxes: (R, 4) xyxy in input pixels for each picture.
            labels: (R,) int64 for each picture.
        """
        size = self._size(levels)
        rows = [_row(size, b, n) for b, n in zip(boxes, labels, strict=True)]
        plain = deepcopy(rows)
        for row in plain:
            row.gt_instances.labels = torch.zeros_like(row.gt_instances.labels)
        losses, proposals = self.rpn.loss_and_predict(
            levels, plain, proposal_cfg=self.rpn.train_cfg.proposal
        )
        losses |= self.roi.loss(levels, proposals, rows)
        return {k: torch.stack(v).sum() if isinstance(v, list) else v for k, v in losses.items()}

    def propose(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Boxes (R, 4) xyxy in input pixels and their objectness (R,), for one picture."""
        (found,) = self.rpn.predict(levels, [_row(self._size(levels))], rescale=False)
        return found.bboxes, found.scores

    def read(self, levels: tuple[Tensor, ...], boxes: Tensor) -> tuple[Tensor, Tensor]:
        """What the region head says of boxes (R, 4) of one picture.

        Returns:
            Logits (R, K + 1), the background last, and better boxes (R, 4), in input pixels.
        """
        regions = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], 1)
        head = self.roi.bbox_head
        logits, deltas = head(self.roi.bbox_roi_extractor(levels[: LEVELS - 1], regions))
        return logits, head.bbox_coder.decode(boxes, deltas, max_shape=self._size(levels))

    def _size(self, levels: tuple[Tensor, ...]) -> Size:
        """(h, w) of the input: the finest level has a quarter of the patch."""
        step = self.rpn.prior_generator.strides[0][0]
        return round(levels[0].shape[-2] * step), round(levels[0].shape[-1] * step)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MMEngine from listing how each tensor starts."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def _row(size: Size, boxes: Tensor | None = None, labels: Tensor | None = None) -> DetDataSample:
    shapes = {"img_shape": size, "pad_shape": size, "batch_input_shape": size}
    row = DetDataSample(metainfo=shapes)
    if boxes is not None:
        row.gt_instances = InstanceData(bboxes=boxes, labels=labels)
    return row


def _pyramid(width: int) -> nn.ModuleList:
    """From the patch grid to 4, 2, 1 and a half of its resolution (Li et al., ECCV 2022)."""

    def twice() -> nn.Module:
        return nn.ConvTranspose2d(width, width, 2, stride=2)

    finest = nn.Sequential(twice(), nn.GroupNorm(1, width), nn.GELU(), twice())
    return nn.ModuleList([finest, twice(), nn.Identity(), nn.MaxPool2d(2, ceil_mode=True)])


def _proposal_head(strides: Sequence[float], settings: FViTSettings) -> RPNHead:
    nms = {"type": "nms", "iou_threshold": 0.7}
    proposal = {"nms_pre": 2 * settings.proposals, "max_per_img": settings.proposals, "nms": nms}
    assigner = _assigner(0.7, 0.3, 0.3, match_low_quality=True)
    train = {"assigner": assigner, "sampler": _sampler(256, 0.5), "allowed_border": -1}
    return RPNHead(
        in_channels=settings.channels,
        feat_channels=settings.channels,
        num_convs=2,
        anchor_generator={
            "type": AnchorGenerator,
            "scales": [8],
            "ratios": [0.5, 1.0, 2.0],
            "strides": list(strides),
        },
        bbox_coder=_coder(1.0, 1.0),
        loss_cls={"type": CrossEntropyLoss, "use_sigmoid": True},
        loss_bbox={"type": L1Loss},
        train_cfg=ConfigDict(train, pos_weight=-1, proposal={**proposal, "min_bbox_size": 0}),
        test_cfg=ConfigDict(proposal, min_bbox_size=0),
    )


def _region_head(
    strides: Sequence[float],
    norm: dict[str, object],
    texts: Tensor,
    background: Tensor,
    settings: FViTSettings,
) -> StandardRoIHead:
    align = {"output_size": CELLS, "sampling_ratio": 2, "use_torchvision": True}
    extractor = {
        "type": SingleRoIExtractor,
        "roi_layer": {"type": RoIAlign, **align},
        "out_channels": settings.channels,
        "featmap_strides": list(strides[: LEVELS - 1]),
        "finest_scale": CELLS_OF_FINEST * strides[0],
    }
    head = {
        "type": ConvFCBBoxHead,
        "in_channels": settings.channels,
        "conv_out_channels": settings.channels,
        "fc_out_channels": settings.width,
        "roi_feat_size": CELLS,
        "num_classes": len(texts),
        "num_shared_convs": settings.convs,
        "num_shared_fcs": 2,
        "num_reg_fcs": 1,
        "norm_cfg": norm,
        "reg_class_agnostic": True,
        "bbox_coder": _coder(0.1, 0.2),
        "reg_predictor_cfg": {"type": nn.Linear},
        "cls_predictor_cfg": {"type": TextScores, "texts": texts, "background": background},
        "loss_cls": {
            "type": CrossEntropyLoss,
            "class_weight": [1.0] * len(texts) + [settings.background_weight],
        },
        "loss_bbox": {"type": L1Loss},
    }
    assigner = _assigner(0.5, 0.5, 0.5, match_low_quality=False)
    sampler = _sampler(512, 0.25) | {"add_gt_as_proposals": True}
    train = ConfigDict(assigner=assigner, sampler=sampler, pos_weight=-1)
    return StandardRoIHead(bbox_roi_extractor=extractor, bbox_head=head, train_cfg=train)


def _assigner(
    positive: float, negative: float, least: float, *, match_low_quality: bool
) -> dict[str, object]:
    return {
        "type": MaxIoUAssigner,
        "pos_iou_thr": positive,
        "neg_iou_thr": negative,
        "min_pos_iou": least,
        "match_low_quality": match_low_quality,
        "ignore_iof_thr": -1,
        "iou_calculator": {"type": BboxOverlaps2D},
    }


def _sampler(count: int, positive: float) -> dict[str, object]:
    return {
        "type": RandomSampler,
        "num": count,
        "pos_fraction": positive,
        "neg_pos_ub": -1,
        "add_gt_as_proposals": False,
    }


def _coder(centre: float, side: float) -> dict[str, object]:
    return {
        "type": DeltaXYWHBBoxCoder,
        "target_means": [0.0] * 4,
        "target_stds": [centre, centre, side, side],
    }
