"""Decode heads: what they read, what they learn, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.nn import functional as F

from dense.apps import segment
from dense.backbones import CLIPBackbone
from dense.classifier import class_texts
from dense.engine.decode_heads import KINDS, MaskTextHead, PatchFeatures, make_head
from dense.engine.head_segmentor import (
    IGNORED,
    HeadSegmentor,
    HeadSettings,
    MaskCLIPPlus,
    read_head,
    resized_labels,
)
from dense.errors import InputError
from dense.images import read_mask
from dense.methods.catalog import find_method
from dense.methods.learned_files import save_learned
from dense.methods.segmentation.protocol import SCLIP_FAMILY, SegmentProtocol
from dense.methods.segmentor import OpenVocabSegmentor
from dense.structures import Sample, TextClassifier
from tests.backbones.builders import images
from tests.datasets.made import write
from tests.helpers import photo, tiny_backbone

NAMES = ("left", "right")
TEXTS = torch.eye(16)[:2]


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


def halves(dark: int = 30, bright: int = 220, **more: object) -> Sample:
    """Left half dark, class 0; right half bright, class 1; a strip between is ignored."""
    image = np.full((32, 32, 3), dark, np.uint8)
    image[:, 16:] = bright
    mask = np.zeros((32, 32), np.int64)
    mask[:, 16:] = 1
    mask[:, 14:18] = IGNORED
    return Sample(image, mask=mask, **more)  # type: ignore[arg-type]


def head(backbone: CLIPBackbone, kind: str = "linear", **more: object) -> HeadSegmentor:
    layers = (0.25, 0.5, 0.75, 1.0) if kind == "uper" else (1.0,)
    settings = HeadSettings(NAMES, kind, layers, 8, 32)
    torch.manual_seed(0)
    return HeadSegmentor(
        backbone, settings, TextClassifier(TEXTS, NAMES), name=f"{kind}-head", **more
    )  # type: ignore[arg-type]


def test_features_are_normalised_block_outputs(backbone: CLIPBackbone) -> None:
    batch = images(32, 40)
    last, first = PatchFeatures(backbone, (1.0, 0))(batch)
    expected = backbone.vit(batch, intermediates=(0, 2)).intermediates
    for got, raw in ((first, expected[0]), (last, expected[1])):
        flat = raw.movedim(1, -1)
        centred = (flat - flat.mean(-1, keepdim=True)) / flat.std(-1, keepdim=True, correction=0)
        torch.testing.assert_close(got.movedim(1, -1), centred, atol=1e-3, rtol=1e-3)
    pyramid = PatchFeatures(backbone, (1, 1, 1, 1), pyramid=True)
    sizes = [tuple(level.shape[-2:]) for level in pyramid(batch)]
    assert sizes == [(16, 20), (8, 10), (4, 5), (2, 2)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_learns_two_halves(kind: str, backbone: CLIPBackbone) -> None:
    method = head(backbone, kind)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.02)
    for _ in range(40):
        losses = method.loss([halves(), halves(60, 180)])
        optimizer.zero_grad()
        sum(v for k, v in losses.items() if "loss" in k).backward()  # type: ignore[union-attr]
        optimizer.step()
    (found,) = method.predict([halves()])
    assert found.class_names == NAMES
    assert (found.class_map[:, :12] == 0).mean() > 0.9
    assert (found.class_map[:, 20:] == 1).mean() > 0.9
    assert method.learned.training  # as before predict
    assert all(p.grad is None for p in backbone.parameters())


def test_alignment_by_hand() -> None:
    """Identity projections: each class's mean feature is its own text; class 1 is not there."""
    made = MaskTextHead(torch.eye(2), in_channels=8, channels=8, depth=1)
    with torch.no_grad():
        made.to_text.weight.copy_(torch.eye(2, 8))
        made.to_text.bias.zero_()
        made.sharpness.zero_()
    pixels = torch.zeros(1, 8, 1, 2)
    pixels[0, 0, 0, 0] = pixels[0, 1, 0, 1] = 1.0
    logits = torch.tensor([[[[50.0, -50.0]], [[-50.0, 50.0]]]])
    labels = torch.tensor([[[[0, IGNORED]]]])
    expected = F.cross_entropy(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))
    torch.testing.assert_close(made._alignment(logits, pixels, labels), expected)
    swapped = made._alignment(logits.flip(1), pixels, labels)
    wrong = F.cross_entropy(torch.tensor([[0.0, 1.0]]), torch.tensor([0]))
    torch.testing.assert_close(swapped, wrong)
    assert made._alignment(logits, pixels, torch.full_like(labels, IGNORED)) == 0


def test_pictures_without_any_label_teach_nothing(backbone: CLIPBackbone) -> None:
    method = head(backbone, "mask-text")
    blank = halves()
    blank.mask[:] = IGNORED  # type: ignore[index]
    losses = method.loss([blank])
    assert float(losses["loss_ce"]) == 0 and float(losses["loss_mask_text"]) == 0


def test_labels_take_the_nearest_pixel() -> None:
    mask = np.array([[0, 0, 255, 255], [0, 0, 255, 255], [7, 7, 3, 3], [7, 7, 3, 3]])
    assert resized_labels(mask, (2, 2)).tolist() == [[0, 255], [7, 3]]


def test_synonyms_make_one_text() -> None:
    rows = torch.eye(4)[:3]
    classifier = TextClassifier(rows, ("a", "b"), torch.tensor([0, 1, 1]))
    half = 0.5**0.5
    torch.testing.assert_close(
        class_texts(classifier), torch.tensor([[1.0, 0, 0, 0], [0, half, half, 0]])
    )
    assert torch.equal(class_texts(TextClassifier(rows, ("a", "b", "c"))), rows)


def test_maskclip_plus_learns_from_the_teacher_then_from_itself(backbone: CLIPBackbone) -> None:
    classifier = TextClassifier(F.normalize(torch.randn(2, 16), dim=-1), NAMES, None, 5.0)
    teacher = OpenVocabSegmentor(backbone, classifier, protocol=SegmentProtocol(short_side=32))
    settings = HeadSettings(NAMES, "aspp", (1.0,), 8, 32)
    student = MaskCLIPPlus(backbone, settings, teacher, guided=1)
    sample = Sample(photo(32, 32))
    (first,) = student.labels([sample], (32, 32))
    (guide,) = teacher.predict([sample])
    assert (first.numpy() == guide.class_map).all() and int(student.steps) == 1
    (second,) = student.labels([sample], (32, 32))
    assert (second.numpy() == student.predict([sample])[0].class_map).all()
    student.least, student.guided = 0.7, 9
    (sure,) = student.labels([sample], (32, 32))
    assert ((sure.numpy() == IGNORED) == (guide.confidence < 0.7)).all()
    assert 0 < (sure == IGNORED).float().mean() < 1
    masked = halves()
    with_mask, without = (student.labels([s], (32, 32)) for s in (masked, Sample(masked.image)))
    assert torch.equal(with_mask[0], without[0])  # no mask is read


def test_a_file_of_a_head_and_its_classes(backbone: CLIPBackbone, tmp_path: Path) -> None:
    method = head(backbone)
    path = tmp_path / "learned.safetensors"
    save_learned(path, method)
    classifier = TextClassifier(TEXTS, NAMES)
    build = find_method("linear-head", "segment").builder()
    made = build(backbone, classifier, weights=str(path))
    assert made.settings == method.settings and made.origin == "learned.safetensors"
    sample = Sample(photo(40, 60))
    expected = method.predict([sample])[0]
    assert (made.predict([sample])[0].class_map == expected.class_map).all()
    assert made.describe()["layers"] == [2]
    with pytest.raises(InputError, match="knows the classes left, right in this order, got right"):
        build(backbone, TextClassifier(TEXTS, NAMES[::-1]), weights=str(path))
    with pytest.raises(InputError, match="learned parts of linear-head, not of uper-head"):
        read_head("uper-head", backbone, classifier, str(path), 1)
    with pytest.raises(InputError, match=r"takes no windows, .* got the protocol 'sclip'"):
        build(backbone, classifier, weights=str(path), protocol=SCLIP_FAMILY)
    with pytest.raises(InputError, match=r"needs learned parts: .*train/linear_head_embedded"):
        build(backbone, classifier)


def test_segments_files_like_every_method(
    backbone: CLIPBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = TextClassifier(TEXTS, NAMES)
    save_learned(tmp_path / "learned.safetensors", head(backbone))
    write(tmp_path / "a.png", photo(40, 60))
    monkeypatch.setattr(segment, "build_text_classifier", lambda *_: classifier)
    segmentor = segment.make_segmentor(
        backbone, NAMES, method="linear-head", weights=tmp_path / "learned.safetensors"
    )
    report = segment.segment_images(segmentor, [tmp_path / "a.png"], tmp_path / "out")
    (record,) = report["images"]
    (found,) = segmentor.predict([Sample(photo(40, 60))])
    assert (read_mask(tmp_path / "out" / record["mask"]) == found.class_map).all()


def test_refusals(backbone: CLIPBackbone) -> None:
    with pytest.raises(InputError, match=r"unknown decode head 'upper'.*uper"):
        make_head("upper", 32, 1, TEXTS)
    with pytest.raises(InputError, match="positive multiple of 8, got 12"):
        make_head("aspp", 32, 1, TEXTS, channels=12)
    with pytest.raises(InputError, match="UPerNet reads 4 layers, got 1"):
        make_head("uper", 32, 1, TEXTS)
    with pytest.raises(InputError, match="tells two classes apart at least"):
        HeadSegmentor(
            backbone,
            HeadSettings(("one",)),
            TextClassifier(TEXTS[:1], ("one",)),
            name="linear-head",
        )
    with pytest.raises(InputError, match="has no mask: a head learns from masks"):
        head(backbone).loss([Sample(photo(32, 32))])


def test_losses_are_mmsegmentations(backbone: CLIPBackbone) -> None:
    """The linear head's loss is the mean cross-entropy over pixels that count."""
    method, sample = head(backbone), halves()
    got = method.loss([sample])["loss_ce"]
    preprocess = backbone.preprocess
    batch = backbone.to_batch([preprocess.to_tensor(sample.image)])
    logits = method.learned(method.features(batch))
    logits = F.interpolate(logits, (32, 32), mode="bilinear", align_corners=False)
    label = torch.from_numpy(sample.mask)[None]
    torch.testing.assert_close(got, F.cross_entropy(logits, label, ignore_index=IGNORED))
    rows = [SegDataSample(gt_sem_seg=PixelData(data=label))]
    again = method.learned.loss(method.features(batch), rows, {})["loss_ce"]
    torch.testing.assert_close(got, again)
