"""F-ViT: a detector learned on base classes, on a frozen CLIP that knows the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.backbones.depth import layer_indices
from dense.backbones.preprocess import fit_short_side
from dense.classifier import class_texts
from dense.engine.f_vit_parts import FViTParts
from dense.engine.f_vit_settings import AS_PUBLISHED, NAME, FViTSettings
from dense.errors import InputError
from dense.methods.batching import LONGEST_RATIO
from dense.methods.detection.detector import DetectSettings
from dense.methods.detection.proposals import Proposals
from dense.methods.detection.regions import as_result
from dense.methods.detection.scoring import fuse
from dense.prompts import readable_name
from dense.regions import pool_boxes, to_patches
from dense.structures import DetectionResult, Sample, Size, TextClassifier


class FrozenMaps:
    """Patch tokens of four blocks of a frozen CLIP, and its dense features.

    Args:
        backbone: The CLIP.
        layers: See `FViTSettings`.
    """

    def __init__(self, backbone: CLIPBackbone, layers: Sequence[int | float]) -> None:
        backbone.eval().requires_grad_(False)
        self.backbone = backbone
        depth = backbone.vit.num_blocks
        self.layers = tuple(layer_indices([layer], depth)[0] for layer in layers)

    @torch.no_grad()
    def __call__(self, samples: Sequence[Sample], size: Size) -> tuple[list[Tensor], Tensor]:
        """Pictures resized to (h, w) → maps (B, C, gh, gw), normalised over channels, and dense.

        The normalisation is ours: without it single channels of CLIP's towers outweigh the others.
        """
        backbone, preprocess = self.backbone, self.backbone.preprocess
        batch = [preprocess.to_tensor(preprocess.resize(s.image, size)) for s in samples]
        found = backbone.vit(
            backbone.to_batch(batch), backbone.recommended.block, intermediates=self.layers
        )
        maps = [m.float().movedim(1, -1) for m in found.intermediates]
        unit = [F.layer_norm(m, m.shape[-1:]).movedim(-1, 1) for m in maps]
        return unit, found.dense.float()


class FViT(nn.Module):
    """F-ViT; its own weights alone are the module's.

    Wu et al., "CLIPSelf: Vision Transformer Distills Itself for Open-Vocabulary Dense Prediction",
    ICLR 2024, arXiv:2310.01403, section 3.3, after F-VLM (Kuo et al., ICLR 2023): proposals and a
    region head learn from the boxes of base classes on the maps of a frozen tower; a region's class
    is the geometric mean of the head's and the frozen dense features' probabilities.

    Differs from the official code: `FViTParts`; the background is a learned vector (their option,
    off in the published configs); pictures keep their shape within `side` and are not padded;
    suppression is `class_nms`. Masks, where asked for, are cut from the patches: nothing learns
    them.

    Args:
        backbone: The CLIP.
        classifier: The vocabulary; its background words take probability away, too.
        settings: Of the learned parts.
        detect: What is reported.
        background: (D,) start of the learned background; zero if ``None``, to be filled.
        origin: Where the learned parts come from, for the protocol card.

    Raises:
        InputError: If the vocabulary is empty, or `detect` asks for crops.
    """

    name = NAME

    def __init__(
        self,
        backbone: CLIPBackbone,
        classifier: TextClassifier,
        settings: FViTSettings,
        *,
        detect: DetectSettings = AS_PUBLISHED,
        background: Tensor | None = None,
        origin: str = "in training",
    ) -> None:
        super().__init__()
        if detect.crops:
            raise InputError(f"{NAME} sees no crops: leave them out, or choose regions-crops")
        self.settings, self.detection, self.origin = settings, detect, origin
        self.classifier = classifier
        self.features = FrozenMaps(backbone, settings.layers)
        texts = class_texts(classifier).cpu()
        start = torch.zeros(texts.shape[1]) if background is None else background
        width, patch = backbone.vit.tower.width, max(backbone.patch_size)
        parts = FViTParts(width, patch, texts, start, settings)
        self.learned = parts.to(backbone.device)
        names = enumerate(classifier.class_names)
        self.reported = [k for k, _ in names if k != classifier.background]
        self.class_names = tuple(classifier.class_names[k] for k in self.reported)
        known = {readable_name(name).lower() for name in settings.classes}
        self.known = torch.tensor([readable_name(n).lower() in known for n in self.class_names])

    @property
    def backbone(self) -> CLIPBackbone:
        """The frozen CLIP."""
        return self.features.backbone

    def loss(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Named losses of a batch; pictures are squashed to the square.

        Raises:
            InputError: If a picture has no list of boxes and labels, or a label is no class.
        """
        patch, side = self.backbone.patch_size, self.settings.side
        size = max(1, side // patch[0]) * patch[0], max(1, side // patch[1]) * patch[1]
        maps, _ = self.features(samples, size)
        boxes, labels = zip(*(self._truth(sample, size) for sample in samples), strict=True)
        return self.learned.losses(self.learned.levels(maps), boxes, labels)

    @torch.no_grad()
    def predict(self, samples: Sequence[Sample]) -> list[DetectionResult]:
        """Detect in pictures of any sizes, in order; boxes in original pixels."""
        return [self.detect(sample)[0] for sample in samples]

    @torch.no_grad()
    def detect(self, sample: Sample) -> tuple[DetectionResult, Proposals]:
        """Detect in one picture; also the learned proposals, before any words."""
        was_training = self.learned.training
        self.learned.eval()
        size, given = self._input_size(sample.image_size), sample.image_size
        maps, dense = self.features([sample], size)
        levels = self.learned.levels(maps)
        proposed, objectness = self.learned.propose(levels)
        logits, better = self.learned.read(levels, proposed)
        scores = self._fuse(logits, self._frozen(dense[0], proposed, size)).cpu()
        self.learned.train(was_training)
        boxes, before = (to_patches(rows, size, given).cpu() for rows in (better, proposed))
        scores[(boxes[:, 2:] <= boxes[:, :2]).any(1)] = -1  # nothing is left inside the picture
        moved, found = Proposals(boxes, objectness.cpu()), self.detection.pick(boxes, scores)
        cut = maps[-1][0] if self.detection.masks else None
        result = as_result(moved, found, self.class_names, patches=cut, size=given)
        return result, Proposals(before, moved.objectness)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        settings = {k: v for k, v in asdict(self.settings).items() if k != "classes"}
        detect = asdict(self.detection)
        kept = ("short_side", "least", "overlap", "inside", "limit", "masks")
        return {
            "method": NAME,
            "learned": self.origin,
            "model": self.backbone.name,
            **settings,
            "layers": list(self.features.layers),
            **{name: detect[name] for name in kept},
            "proposals": f"learned, {self.settings.proposals} at most",
            "base_classes": int(self.known.sum()),
            "classes": len(self.class_names),
            "background": True,
            "templates": self.classifier.templates,
            "vocabulary": self.classifier.vocabulary,
        }

    def _truth(self, sample: Sample, size: Size) -> tuple[Tensor, Tensor]:
        """Boxes in input pixels and labels of a training picture."""
        if sample.boxes is None or sample.box_labels is None:
            raise InputError(
                f"{sample.image_path or 'a picture'} has no boxes with labels: F-ViT learns from "
                "boxes"
            )
        count = len(self.class_names)
        strange = sample.box_labels[(sample.box_labels >= count) | (sample.box_labels < 0)]
        if len(strange):
            raise InputError(
                f"{sample.image_path or 'a picture'} has a box of class {strange[0]}: expected 0 "
                f"to {count - 1}, see `ClassSubset`"
            )
        device = self.backbone.device
        boxes = torch.from_numpy(np.asarray(sample.boxes, np.float32)).to(device)
        labels = torch.from_numpy(np.asarray(sample.box_labels, np.int64)).to(device)
        return to_patches(boxes, sample.image_size, size), labels

    def _input_size(self, size: Size) -> Size:
        """(h, w) for a picture (H, W): its long side is `side`, or the short side what is asked."""
        patch, asked = self.backbone.patch_size, self.detection.short_side
        if asked is not None:
            return fit_short_side(size, asked, patch, asked * LONGEST_RATIO)
        side = self.settings.side
        return fit_short_side(size, side, patch, side)

    def _frozen(self, dense: Tensor, boxes: Tensor, size: Size) -> Tensor:
        """Logits (R, K + 1) of the proposals by the frozen dense features (D, gh, gw)."""
        grid = (dense.shape[1], dense.shape[2])
        pooled = F.normalize(pool_boxes(dense, to_patches(boxes, size, grid)), dim=-1)
        scale = self.settings.sharpness * self.classifier.logit_scale
        return pooled @ self.learned.scores.rows().T * scale

    def _fuse(self, head: Tensor, frozen: Tensor) -> Tensor:
        """Probabilities (R, K') of the reported classes from both logits (R, K + 1)."""
        learned, known = (logits.softmax(1)[:, self.reported] for logits in (head, frozen))
        base = fuse(learned, known, self.settings.base)
        novel = fuse(learned, known, self.settings.novel)
        return torch.where(self.known.to(head.device), base, novel)
