"""Fine-tune a CLIP so that its patch features speak for regions: CLIPSelf and its line."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, last_block
from dense.backbones.attention import LastBlock
from dense.backbones.blocks import run_patches
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.regions import align_boxes, pool_boxes
from dense.training import region_losses as losses
from dense.training.losses import contrastive
from dense.training.refiner import Refiner
from dense.training.region_settings import RegionSettings, RegionTerms
from dense.training.region_views import RegionSample
from dense.training.student import autocast, check_precision, train_only
from dense.training.text_table import TextTable

DEFAULT = RegionSettings()


class RegionTraining(nn.Module):
    """Student dense features against the frozen teacher, region by region.

    One trainable method for CLIPSelf (Wu et al., ICLR 2024, arXiv:2310.01403), R-SC-CLIPSelf (Qiu
    et al., ICLR 2025, arXiv:2504.02328), DeCLIP (Wang et al., CVPR 2025, arXiv:2505.04410) and
    RegionCLIP (Zhong et al., CVPR 2022, arXiv:2112.09106): they differ in `terms`. The teacher is
    the backbone as given; neither it nor the text tower learns.

    Where it differs: boxes are pooled by RoIAlign in fp32 as matrix products; correlations are
    cross entropies within regions with our temperatures; the context of DeCLIP is taken from the
    sum of queries and keys, and its teacher is any tower that is given (DINOv2 in the paper).

    Args:
        backbone: The CLIP that learns.
        terms: Weights of the losses.
        settings: What a step costs and sees.
        context: Tower whose patches say what belongs together, for `terms.context`; the frozen
            teacher's own penultimate tokens if ``None``.
        concepts: (K, D) unit rows, for the concept terms.
        texts: Text features of all captions, for `terms.captions`.

    Raises:
        InputError: If a term has a weight but nothing to learn from.
    """

    share: Tensor

    def __init__(
        self,
        backbone: CLIPBackbone,
        terms: RegionTerms,
        settings: RegionSettings = DEFAULT,
        *,
        context: CLIPBackbone | None = None,
        concepts: Tensor | None = None,
        texts: TextTable | None = None,
    ) -> None:
        super().__init__()
        check_precision(settings.precision)
        for name, wanted, there in (
            ("concepts", terms.need_concepts, concepts is not None),
            ("captions", terms.captions, texts is not None),
        ):
            if wanted and not there:
                raise InputError(f"these terms need {name}: pass them, or set their weight to 0")
        self.terms = terms
        self.settings = settings
        self.block = last_block(settings.attention)
        self._teacher = (copy.deepcopy(backbone.vit).requires_grad_(False).eval(),)
        self._context = None if context is None else (context.vit.requires_grad_(False).eval(),)
        self.backbone = backbone
        train_only(backbone, start=settings.start)
        backbone.vit.grad_checkpointing = settings.checkpointing
        self.refiner = Refiner(backbone.joint_dim) if terms.refined else None
        self.texts = texts
        self.register_buffer("concepts", concepts, persistent=False)
        self.register_buffer("share", torch.tensor(settings.share))

    @property
    def teacher(self) -> DenseViT:
        """The frozen tower, on the student's device; it is no part of checkpoints."""
        return self._teacher[0].to(self.backbone.device)

    def loss(self, samples: Sequence[RegionSample]) -> dict[str, Tensor]:
        """Named losses of a batch; see `RegionTerms`."""
        images, crops = self._views(samples)
        counts = [len(sample.boxes) for sample in samples]
        vit, device = self.backbone.vit, images.device
        boxes = torch.from_numpy(np.concatenate([s.boxes for s in samples])).to(device)
        with autocast(device, self.settings.precision):
            trace = vit.trace(images)
            dense = dense_of(vit, trace, self.block).float()
        grid = (dense.shape[2], dense.shape[3])
        places = (boxes * boxes.new_tensor([grid[1], grid[0]] * 2)).split(counts)
        found: dict[str, Tensor] = {}
        if self.terms.content or self.terms.need_concepts:
            pooled = torch.cat([pool_boxes(d, b) for d, b in zip(dense, places, strict=True)])
            found |= self._region_terms(pooled, self._crop_tokens(crops))
        if self.terms.correlation or self.terms.refined:
            found |= self._correlation_terms(images, crops, dense, places)
        if self.terms.context:
            found["loss_context"] = self.terms.context * self._context_term(images, trace)
        if self.terms.captions:
            found["loss_captions"] = self.terms.captions * self._caption_term(trace, samples)
        if self.terms.image:
            found["loss_image"] = self.terms.image * self._image_term(images)
        return found

    def finished(self) -> CLIPBackbone:
        """The CLIP as it is to be used: α · student + (1 − α) · teacher."""
        whole = copy.deepcopy(self.backbone)
        whole.vit.grad_checkpointing = False
        mix_weights(whole.vit, self.teacher, float(self.share))
        return whole.eval()

    @contextmanager
    def mixed(self, share: float) -> Iterator[CLIPBackbone]:
        """The backbone with its weights mixed by `share` for as long as the context lasts."""
        vit, training = self.backbone.vit, self.backbone.training
        kept = {name: value.detach().clone() for name, value in vit.state_dict().items()}
        mix_weights(vit, self.teacher, share)
        self.backbone.eval()
        try:
            yield self.backbone
        finally:
            vit.load_state_dict(kept)
            self.backbone.train(training)

    def describe(self) -> dict[str, object]:
        """Protocol card: the losses and settings that are in use."""
        used = {name: weight for name, weight in asdict(self.terms).items() if weight}
        settings = {**asdict(self.settings), "share": round(float(self.share), 4)}
        return {"method": "region training", **used, **settings}

    def _views(self, samples: Sequence[RegionSample]) -> tuple[Tensor, Tensor]:
        """Preprocessed views (B, 3, s, s) and all crops (R, 3, c, c) on the device."""
        images = self._batch(np.stack([sample.image for sample in samples]))
        return images, self._batch(np.concatenate([sample.crops for sample in samples]))

    def _batch(self, pictures: np.ndarray) -> Tensor:
        preprocess, device = self.backbone.preprocess, self.backbone.device
        raw = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float().div_(255)
        mean, std = (
            torch.tensor(value, device=device).view(1, 3, 1, 1)
            for value in (preprocess.mean, preprocess.std)
        )
        return raw.sub_(mean).div_(std)

    @torch.no_grad()
    def _crop_tokens(self, crops: Tensor) -> Tensor:
        """The teacher's class tokens (R, D)."""
        with autocast(crops.device, self.settings.precision):
            rows = [self.teacher.encode_image(some) for some in crops.split(self.settings.crops)]
        return torch.cat(rows).float()

    def _region_terms(self, pooled: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        terms, found = self.terms, {}
        if terms.content:
            found["loss_content"] = terms.content * losses.region_distillation(pooled, tokens)
        if self.concepts is None:
            return found
        concepts: Tensor = self.concepts  # type: ignore[assignment]
        if terms.concepts:
            labels = losses.concept_labels(tokens, concepts, least=self.settings.least)
            value = losses.concept_contrast(pooled, concepts, labels)
            found["loss_concepts"] = terms.concepts * value
        if terms.concept_distillation:
            value = losses.concept_distillation(pooled, tokens, concepts)
            found["loss_concept_distillation"] = terms.concept_distillation * value
        return found

    def _correlation_terms(
        self, images: Tensor, crops: Tensor, dense: Tensor, places: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        own = self._places(dense, places)
        whole = self._teacher_dense(images)
        found = {}
        if self.terms.correlation:
            value = self._correlation(own, self._places(whole, places))
            found["loss_correlation"] = self.terms.correlation * value
        if self.refiner is not None:
            refined = self._places(self.refiner(whole), places)
            shown = self._teacher_dense(crops)
            side = shown.shape[2:]
            one = shown.new_tensor([[0.0, 0.0, side[1], side[0]]])
            near = torch.cat([align_boxes(d, one, self.settings.bins) for d in shown])
            found["loss_refiner"] = losses.refinement(refined, near)
            value = self._correlation(own, refined.detach())
            found["loss_refined"] = self.terms.refined * value
        return found

    def _correlation(self, student: Tensor, teacher: Tensor) -> Tensor:
        return losses.correlation_distillation(
            student,
            teacher,
            student_temperature=self.settings.temperature,
            teacher_temperature=self.settings.teacher_temperature,
        )

    def _places(self, dense: Tensor, boxes: Sequence[Tensor]) -> Tensor:
        """(R, bins², D) places of all regions of a batch (B, D, gh, gw)."""
        rows = zip(dense, boxes, strict=True)
        return torch.cat([align_boxes(d, b, self.settings.bins) for d, b in rows])

    @torch.no_grad()
    def _teacher_dense(self, images: Tensor) -> Tensor:
        """(B, D, gh, gw) of the frozen tower."""
        with autocast(images.device, self.settings.precision):
            some = images.split(self.settings.crops)
            rows = [dense_of(self.teacher, self.teacher.trace(part), self.block) for part in some]
        return torch.cat(rows).float()

    def _context_term(self, images: Tensor, trace: Trace) -> Tensor:
        layout, tower = trace.layout, self.backbone.vit.tower
        with autocast(images.device, self.settings.precision):
            q, k, _ = tower.blocks[-1].qkv(trace.entering[-1])
        context = (q + k).transpose(1, 2).flatten(2)[:, layout.prefix :]
        with torch.no_grad(), autocast(images.device, self.settings.precision):
            if self._context is None:
                shown = self.teacher.trace(images)
                wanted = shown.entering[-1][:, layout.prefix :]
            else:
                vit = self._context[0].to(images.device)
                size = tuple(n * p for n, p in zip(layout.grid, vit.patch_size, strict=True))
                wanted = vit(F.interpolate(images, size, mode="bilinear")).patch_tokens
        return losses.relation_distillation(context.float(), wanted.float())

    def _image_term(self, images: Tensor) -> Tensor:
        """Whole pictures keep the teacher's class tokens, at the size at which they are used."""
        shown = F.interpolate(images, self.backbone.image_size, mode="bilinear", antialias=True)
        with autocast(images.device, self.settings.precision):
            own = self.backbone.vit.encode_image(shown)
        return losses.region_distillation(own, self._crop_tokens(shown))

    def _caption_term(self, trace: Trace, samples: Sequence[RegionSample]) -> Tensor:
        """Contrastive loss of the pictures that have words."""
        told = [place for place, sample in enumerate(samples) if sample.texts]
        with autocast(trace.entering[-1].device, self.settings.precision):
            tokens = self.backbone.vit.pool(trace).float()
        if self.texts is None or len(told) < 2:
            return tokens.sum() * 0.0
        texts = self.texts([samples[place].texts[0] for place in told])
        scale = tokens.new_tensor(self.backbone.logit_scale)
        return contrastive(F.normalize(tokens[told], dim=-1), texts, scale)


def dense_of(vit: DenseViT, trace: Trace, block: LastBlock) -> Tensor:
    """Dense features (B, D, gh, gw) of what was traced, by a chosen last block."""
    patches = run_patches(vit.tower.blocks[-1], trace.entering[-1], block, trace.layout)
    return vit.project(patches, trace.layout.grid)


@torch.no_grad()
def mix_weights(student: nn.Module, teacher: nn.Module, share: float) -> None:
    """Replace the student's weights by share · student + (1 − share) · teacher, in place."""
    frozen = teacher.state_dict()
    for name, value in student.state_dict().items():
        if value.is_floating_point():
            value.lerp_(frozen[name].to(value.device), 1.0 - share)
