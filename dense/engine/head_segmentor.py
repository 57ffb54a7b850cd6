"""Segmentation by a trained decode head: the supervised end of the scale, and MaskCLIP+."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.backbones.preprocess import fit_short_side
from dense.classifier import class_texts
from dense.engine.decode_heads import PatchFeatures, make_head
from dense.errors import InputError
from dense.methods.batching import iter_batches, resized
from dense.methods.learned_files import fill_learned, read_learned
from dense.methods.method import needs_weights
from dense.methods.segmentor import LONGEST_RATIO, OpenVocabSegmentor
from dense.postprocess import segment_map
from dense.structures import Sample, SegmentationResult, Size, TextClassifier

IGNORED = 255


@dataclass(frozen=True)
class HeadSettings:
    """Settings of a head, kept with its learned parts.

    Attributes:
        classes: K class names, in the head's order.
        kind: See `dense.engine.decode_heads.make_head`.
        layers: Blocks whose patches it reads, by index or share of the depth.
        channels: Inner width.
        side: Short side of pictures in pixels; in training, of the square.
    """

    classes: tuple[str, ...]
    kind: str = "linear"
    layers: tuple[float | int, ...] = (1.0,)
    channels: int = 256
    side: int = 448


class HeadSegmentor(nn.Module):
    """A decode head on a frozen CLIP; its own weights alone are the module's.

    Args:
        backbone: The CLIP.
        settings: Of the head.
        classifier: The vocabulary: what the head's classes are called, and their texts.
        name: Of the method, in the catalogue.
        origin: Where the learned parts come from, for the protocol card.
        batch_size: Pictures at once.

    Raises:
        InputError: If there are fewer than two classes, or the settings do not fit.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        settings: HeadSettings,
        classifier: TextClassifier,
        *,
        name: str,
        origin: str = "in training",
        batch_size: int = 4,
    ) -> None:
        super().__init__()
        if len(settings.classes) < 2:
            raise InputError(f"a head tells two classes apart at least, got {settings.classes}")
        self.name = name
        self.settings = settings
        self.classifier = classifier
        self.origin = origin
        self.batch_size = batch_size
        pyramid = settings.kind == "uper"
        self.features = PatchFeatures(backbone, settings.layers, pyramid=pyramid)
        levels, width = len(self.features.layers), backbone.vit.tower.width
        texts = class_texts(classifier)
        head = make_head(settings.kind, width, levels, texts, channels=settings.channels)
        self.learned = head.to(backbone.device)

    @property
    def backbone(self) -> CLIPBackbone:
        """The frozen CLIP."""
        return self.features.backbone

    def loss(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Named losses of a batch; pictures and masks are squashed to the square.

        Raises:
            InputError: If a picture has no mask.
        """
        rows, columns = self.backbone.patch_size
        side = self.settings.side
        size: Size = (side // rows * rows, side // columns * columns)
        images = resized(self.backbone, (sample.image for sample in samples), size)
        truth = [
            SegDataSample(gt_sem_seg=PixelData(data=label[None].to(images.device)))
            for label in self.labels(samples, size)
        ]
        return self.learned.loss(self.features(images), truth, {})

    def labels(self, samples: Sequence[Sample], size: Size) -> list[Tensor]:
        """Classes (h, w) to learn from: the masks.

        Raises:
            InputError: If a picture has no mask.
        """
        for sample in samples:
            if sample.mask is None:
                raise InputError(
                    f"{sample.image_path or 'a picture'} has no mask: a head learns from masks"
                )
        return [resized_labels(s.mask, size) for s in samples if s.mask is not None]

    @torch.no_grad()
    def predict(self, samples: Sequence[Sample]) -> list[SegmentationResult]:
        """Segment pictures of any sizes; results come at original size, in order."""
        count = len(self.settings.classes)
        plain = TextClassifier(torch.zeros(count, 1), self.settings.classes, logit_scale=1.0)
        results, was_training = [], self.learned.training
        self.learned.eval()
        for batch, images in iter_batches(self.backbone, samples, self._size, self.batch_size):
            logits = self.learned(self.features(images))
            for sample, scores in zip(batch, logits, strict=True):
                results.append(segment_map(scores, sample.image_size, plain))
        self.learned.train(was_training)
        return results

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        card = {k: v for k, v in asdict(self.settings).items() if k != "classes"}
        return {
            "method": self.name,
            "learned": self.origin,
            **card,
            "layers": list(self.features.layers),
            "short_side": self.settings.side,
            "model": self.backbone.name,
            "protocol": "whole",
            "classes": len(self.settings.classes),
            "precision": str(self.backbone.dtype).removeprefix("torch."),
        }

    def _size(self, size: Size) -> Size:
        side = self.settings.side
        return fit_short_side(size, side, self.backbone.patch_size, side * LONGEST_RATIO)


class MaskCLIPPlus(HeadSegmentor):
    """MaskCLIP+: a head learns from MaskCLIP's predictions, then from its own.

    Zhou, Loy and Dai, "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071, section
    3.3. The authors train DeepLab on a ResNet of its own; here the head (DeepLabV3's) reads the
    frozen CLIP. No mask is read.

    Args:
        backbone: The CLIP.
        settings: Of the head.
        teacher: Predicts the pseudo-labels.
        guided: Steps with the teacher's labels; afterwards the head's own predictions are learned.
        least: Pixels whose label is less probable are ignored.
    """

    steps: Tensor

    def __init__(
        self,
        backbone: CLIPBackbone,
        settings: HeadSettings,
        teacher: OpenVocabSegmentor,
        *,
        guided: int,
        least: float = 0.0,
    ) -> None:
        super().__init__(backbone, settings, teacher.classifier, name="maskclip-plus")
        self.teacher = teacher
        self.guided = guided
        self.least = least
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def labels(self, samples: Sequence[Sample], size: Size) -> list[Tensor]:
        """The teacher's classes at first, then the head's own. See the base class."""
        guide = self.teacher.predict if int(self.steps) < self.guided else self.predict
        self.steps += 1
        found = []
        for result in guide([Sample(s.image, s.image_path) for s in samples]):
            confidence = result.confidence
            sure = result.class_map.copy()
            if confidence is not None:
                sure[confidence < self.least] = IGNORED
            found.append(resized_labels(sure, size))
        return found


def resized_labels(mask: np.ndarray, size: Size) -> Tensor:
    """Class indices (H, W) → (h, w) int64 by the nearest pixel."""
    whole = torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, None]
    return F.interpolate(whole, size, mode="nearest")[0, 0].long()


def read_head(
    name: str,
    backbone: CLIPBackbone,
    classifier: TextClassifier,
    weights: str | None,
    batch_size: int,
) -> HeadSegmentor:
    """A head from its file of learned parts.

    Raises:
        InputError: If there is no file, it is corrupt or of another method, model or vocabulary.
    """
    if weights is None:
        raise needs_weights(name)
    state, settings = read_learned(weights, name, backbone, HeadSettings)
    if settings.classes != classifier.class_names:
        raise InputError(
            f"{weights} knows the classes {', '.join(settings.classes)} in this order, got "
            f"{', '.join(classifier.class_names)}: a trained head has no others"
        )
    origin = Path(weights).name
    made = HeadSegmentor(
        backbone, settings, classifier, name=name, origin=origin, batch_size=batch_size
    )
    fill_learned(made.learned, state, weights)
    return made
