"""Region alignment: what each term compares, mixing of weights, what learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense.errors import InputError
from dense.methods.region_training import RegionTraining
from dense.structures import Sample
from dense.training.refiner import Refiner
from dense.training.region_settings import RegionSettings, RegionTerms
from dense.training.region_views import RegionRule, RegionSample
from dense.training.text_table import TextTable
from tests.helpers import photo, tiny_backbone

RULE = RegionRule(side=32, crop=32, most=2)
PLAIN = RegionSettings(attention="value")


def batch(count: int = 2) -> list[RegionSample]:
    return [RULE(Sample(photo(48, 48, seed)), seed) for seed in range(count)]


def whole(seed: int = 0) -> RegionSample:
    """One region, which is all of the picture."""
    image = photo(32, 32, seed)
    return RegionSample(image, np.array([[0, 0, 1, 1]], np.float32), image[None])


def test_content_is_the_cosine_of_mean_patches_to_the_class_token() -> None:
    backbone, sample = tiny_backbone(), whole()
    method = RegionTraining(backbone, RegionTerms(content=2.0), PLAIN)
    loss = method.loss([sample])["loss_content"]
    images = backbone.to_batch([backbone.preprocess.to_tensor(sample.image)])
    features = backbone.vit(images, method.block)
    mean = features.dense.mean((2, 3))
    wanted = 2 * (1 - F.cosine_similarity(mean, features.class_token).mean())
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)


def test_an_unchanged_student_has_no_correlation_loss() -> None:
    method = RegionTraining(tiny_backbone(), RegionTerms(correlation=1.0, refined=1.0), PLAIN)
    found = method.loss(batch())
    assert found["loss_correlation"].item() == pytest.approx(0, abs=1e-5)
    assert found["loss_refined"].item() == pytest.approx(0, abs=1e-5)  # starts as the identity
    assert found["loss_refiner"].item() > 0.01


def test_refiner_starts_as_the_identity() -> None:
    dense = torch.randn(2, 12, 3, 4)
    torch.testing.assert_close(Refiner(12)(dense), dense)


def test_refiner_learns_from_the_teacher_alone() -> None:
    method = RegionTraining(tiny_backbone(), RegionTerms(refined=1.0), PLAIN)
    found = method.loss(batch())
    (gradient,) = torch.autograd.grad(
        found["loss_refiner"], [method.refiner.layers[0].linear2.weight], retain_graph=True
    )
    assert gradient.abs().sum() > 0
    visual = [p for p in method.backbone.vit.parameters() if p.requires_grad]
    reached = torch.autograd.grad(found["loss_refiner"], visual, allow_unused=True)
    assert all(g is None for g in reached)


def test_context_of_another_tower() -> None:
    terms = RegionTerms(context=1.0)
    own = RegionTraining(tiny_backbone(), terms, PLAIN).loss(batch())["loss_context"]
    other = RegionTraining(tiny_backbone(), terms, PLAIN, context=tiny_backbone(3))
    assert 0 < own.item() != pytest.approx(other.loss(batch())["loss_context"].item())


def test_concepts_and_captions_need_words() -> None:
    with pytest.raises(InputError, match="need concepts"):
        RegionTraining(tiny_backbone(), RegionTerms(concepts=1.0))
    with pytest.raises(InputError, match="need captions"):
        RegionTraining(tiny_backbone(), RegionTerms(captions=1.0))
    with pytest.raises(InputError, match="nothing to learn"):
        RegionTerms()
    with pytest.raises(InputError, match="share must lie"):
        RegionSettings(share=1.5)


def test_concept_and_caption_terms_are_finite_and_learn() -> None:
    backbone = tiny_backbone()
    words = backbone.encode_text(["cat", "sky", "road"])
    method = RegionTraining(
        backbone,
        RegionTerms(concepts=1.0, concept_distillation=1.0, captions=1.0),
        RegionSettings(least=0.0),
        concepts=words,
        texts=TextTable(backbone.encode_text, ["cat", "sky"]),
    )
    samples = [
        RegionSample(s.image, s.boxes, s.crops, (text,))
        for s, text in zip(batch(), ("cat", "sky"), strict=True)
    ]
    found = method.loss(samples)
    assert set(found) == {"loss_concepts", "loss_concept_distillation", "loss_captions"}
    sum(found.values()).backward()
    assert backbone.model.visual.conv1.weight.grad.abs().sum() > 0
    assert backbone.model.token_embedding.weight.grad is None
    assert method.loss(batch())["loss_captions"].item() == 0  # nobody speaks


def test_checkpointing_and_a_later_start_change_what_is_kept_not_what_is_found() -> None:
    losses = []
    for settings in (
        RegionSettings(),
        RegionSettings(checkpointing=True),
        RegionSettings(crops=1),
        RegionSettings(start=2),
    ):
        method = RegionTraining(tiny_backbone(), RegionTerms(content=1.0), settings)
        losses.append(method.loss(batch())["loss_content"])
        losses[-1].backward()
        learned = method.backbone.model.visual.conv1.weight.grad
        assert (learned is None) == (settings.start == 2)
    for other in losses[1:]:
        torch.testing.assert_close(losses[0], other)


def test_bf16_is_near_fp32() -> None:
    rows = [
        RegionTraining(tiny_backbone(), RegionTerms(content=1.0), RegionSettings(precision=p))
        for p in ("fp32", "bf16")
    ]
    full, half = (method.loss(batch())["loss_content"].item() for method in rows)
    assert half == pytest.approx(full, abs=0.05)
    with pytest.raises(InputError, match="fp32 or bf16"):
        RegionTraining(tiny_backbone(), RegionTerms(content=1.0), RegionSettings(precision="fp8"))


def test_finished_weights_are_mixed() -> None:
    method = RegionTraining(tiny_backbone(), RegionTerms(content=1.0), RegionSettings(share=0.25))
    before = method.backbone.model.visual.proj.detach().clone()
    with torch.no_grad():
        method.backbone.model.visual.proj += 4.0
    torch.testing.assert_close(method.finished().model.visual.proj, before + 1.0)
    with method.mixed(0.5) as backbone:
        torch.testing.assert_close(backbone.model.visual.proj, before + 2.0)
    torch.testing.assert_close(method.backbone.model.visual.proj, before + 4.0)
    assert method.describe()["share"] == 0.25


def test_whole_pictures_start_at_the_teacher_and_are_pulled_back_to_it() -> None:
    method = RegionTraining(tiny_backbone(), RegionTerms(image=2.0))
    assert method.loss(batch())["loss_image"].item() == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        method.backbone.model.visual.proj.neg_()  # every class token turned round
    loss = method.loss(batch())["loss_image"]
    assert loss.item() == pytest.approx(2 * 2, abs=1e-4)
    with torch.no_grad():
        method.backbone.model.visual.proj += torch.randn_like(method.backbone.model.visual.proj)
    method.loss(batch())["loss_image"].backward()
    assert method.backbone.model.visual.proj.grad.abs().sum() > 0


def test_a_few_steps_bring_regions_nearer_to_their_crops() -> None:
    method = RegionTraining(tiny_backbone(), RegionTerms(content=1.0))
    learned = [p for p in method.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=1e-3)
    values = []
    for _ in range(6):
        optimiser.zero_grad()
        loss = method.loss(batch())["loss_content"]
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert values[-1] < 0.8 * values[0]
