"""F-ViT: hand-set heads, what is learned, written, read back and refused."""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from safetensors import safe_open
from torch.nn import functional as F

from dense import apps
from dense.backbones import CLIPBackbone
from dense.datasets.open_vocabulary import OV_COCO_BASE
from dense.engine import factories
from dense.engine.checkpoint import read_run_checkpoint, state_dict_of
from dense.engine.f_vit import FViT
from dense.engine.f_vit_parts import TextScores
from dense.engine.f_vit_settings import AS_PUBLISHED, FViTSettings
from dense.engine.f_vit_stage import build, f_vit_student
from dense.engine.run import test_config, train_config
from dense.errors import InputError, MissingDependencyError
from dense.methods.catalog import find_method
from dense.methods.detection.detector import DetectSettings
from dense.methods.detection.proposals import OwnBoxes
from dense.methods.learned_files import save_learned
from dense.prompts import readable_name
from dense.regions import pool_boxes, to_patches
from dense.structures import Sample, TextClassifier
from tests.datasets.made import make_detection
from tests.engine.test_detection_configs import make_coco
from tests.engine.test_mmdet_data import complete
from tests.helpers import photo, tiny_backbone

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = FViTSettings(side=64, channels=8, width=16, convs=1, proposals=30)
NAMES = ("cat", "dog")
TEXTS = torch.eye(16)[:2]
EVERYTHING = DetectSettings(least=0.0, overlap=1.0, limit=1000)


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "load", lambda name, **options: tiny_backbone())


def detector(backbone: CLIPBackbone, names: Sequence[str] = NAMES, **settings: object) -> FViT:
    """With a background that is the third axis of the joint space."""
    torch.manual_seed(0)
    return FViT(
        backbone,
        TextClassifier(TEXTS, tuple(names), None, 10.0),
        replace(SMALL, **{"classes": ("Cat",), **settings}),  # type: ignore[arg-type]
        detect=EVERYTHING,
        background=torch.eye(16)[2],
    )


def set_by_hand(method: FViT, deltas: Sequence[float]) -> None:
    """Proposals are anchors, boxes are moved by `deltas`, every region is "dog" for the head."""
    with torch.no_grad():
        for head in (method.learned.rpn.rpn_reg, method.learned.roi.bbox_head.fc_reg):
            head.weight.zero_()
            head.bias.zero_()
        method.learned.roi.bbox_head.fc_reg.bias.copy_(torch.tensor(deltas))
        method.learned.scores.project.weight.zero_()
        method.learned.scores.project.bias.copy_(TEXTS[1])


def test_a_hand_set_head_gives_the_boxes_one_expects(backbone: CLIPBackbone) -> None:
    """Deltas count in tenths of the width and fifths of the log side; the side is 64 of 128."""
    method = detector(backbone, base=0.0, novel=0.0)
    set_by_hand(method, [1.0, 0.0, 0.0, 5 * math.log(2)])
    sample = Sample(photo(96, 128))
    proposed = method.detect(sample)[1]
    sides = (proposed.boxes[:, 2:] - proposed.boxes[:, :2]).numpy()
    inside = ((proposed.boxes > 0) & (proposed.boxes < torch.tensor([128, 96, 128, 96]))).all(1)
    area = sides[inside.numpy()].prod(1)
    assert len(area) and all(any(abs(a / side**2 - 1) < 1e-3 for side in (32, 64)) for a in area)
    (found,) = method.predict([sample])
    low, high = proposed.boxes[:, :2].numpy(), proposed.boxes[:, 2:].numpy()
    middle = (low + high) / 2 + np.array([0.1, 0]) * sides
    half = sides * np.array([1, 2]) / 2
    expected = np.concatenate([middle - half, middle + half], 1).clip(0, [128, 96, 128, 96])
    dogs = found.boxes[found.labels == 1]
    order = [np.lexsort(rows.round(2).T) for rows in (expected, dogs)]
    np.testing.assert_allclose(dogs[order[1]], expected[order[0]], atol=0.02)
    logits = torch.tensor([0.0, 1.0, 0.0]) * 50
    np.testing.assert_allclose(found.scores[found.labels == 1], logits.softmax(0)[1], rtol=1e-5)


def test_base_and_novel_classes_trust_the_frozen_scores_differently(
    backbone: CLIPBackbone,
) -> None:
    method = detector(backbone)
    assert method.known.tolist() == [True, False]
    assert detector(backbone, ("tv", "CAT")).known.tolist() == [False, True]
    assert detector(backbone, ("tv", "dog"), classes=("television",)).known.tolist() == [
        True,
        False,
    ]
    head, frozen = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    p, q = head.softmax(1)[0].tolist(), frozen.softmax(1)[0].tolist()
    expected = [p[0] ** 0.9 * q[0] ** 0.1, p[1] ** 0.2 * q[1] ** 0.8]
    torch.testing.assert_close(method._fuse(head, frozen), torch.tensor([expected]))


def test_frozen_scores_are_those_of_the_dense_features(backbone: CLIPBackbone) -> None:
    method = detector(backbone, base=1.0, novel=1.0)
    set_by_hand(method, [0.0] * 4)
    sample = Sample(photo(64, 64))
    (found,) = method.predict([sample])
    _, dense = method.features([sample], (64, 64))
    boxes = to_patches(torch.from_numpy(found.boxes), (64, 64), (8, 8))
    rows = torch.eye(16)[:3]
    cosines = F.normalize(pool_boxes(dense[0], boxes), dim=-1) @ rows.T
    chances = (cosines * 0.75 * 10).softmax(1)
    expected = chances[torch.arange(len(boxes)), torch.from_numpy(found.labels)]
    np.testing.assert_allclose(found.scores, expected.numpy(), atol=1e-4)


def test_background_words_take_probability_and_are_not_reported(backbone: CLIPBackbone) -> None:
    sample = Sample(photo(64, 64))
    plain = detector(backbone, base=1.0, novel=1.0)
    texts = torch.cat([TEXTS[:1], torch.eye(16)[3:4], TEXTS[1:]])
    classifier = TextClassifier(texts, ("cat", "background", "dog"), None, 10.0, background=1)
    torch.manual_seed(0)
    method = FViT(
        backbone,
        classifier,
        plain.settings,
        detect=EVERYTHING,
        background=torch.eye(16)[2],
    )
    for made in (plain, method):
        set_by_hand(made, [0.0] * 4)
    assert method.class_names == NAMES and method.known.tolist() == [True, False]
    assert method.predict([sample])[0].scores.sum() < plain.predict([sample])[0].scores.sum()


def test_the_heads_own_detections_are_mmdetections(backbone: CLIPBackbone) -> None:
    """Without the frozen scores: what MMDetection's region head keeps of the same proposals."""
    torch.manual_seed(3)
    method = f_vit_student(
        backbone,
        ["cat", "dog", "nut"],
        settings=replace(SMALL, base=0.0, novel=0.0),
        templates="plain",
    )
    torch.nn.init.normal_(method.learned.scores.project.weight, std=1.0)
    torch.nn.init.normal_(method.learned.roi.bbox_head.fc_reg.weight, std=0.5)
    method.learned.scores.scale.data.fill_(5.0)
    sample = Sample(photo(64, 64))
    (ours,) = method.predict([sample])
    method.learned.eval()
    with torch.no_grad():
        levels = method.learned.levels(method.features([sample], (64, 64))[0])
        boxes, scores = method.learned.propose(levels)
        rules = {"type": "nms", "iou_threshold": AS_PUBLISHED.overlap}
        (theirs,) = method.learned.roi.predict_bbox(
            levels,
            [{"img_shape": (64, 64)}],
            [InstanceData(bboxes=boxes, scores=scores)],
            ConfigDict(score_thr=AS_PUBLISHED.least, nms=rules, max_per_img=100),
        )
    assert len(ours.boxes) == len(theirs) > 10 and len(set(ours.labels.tolist())) > 1
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-4)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    np.testing.assert_allclose(ours.boxes, theirs.bboxes, atol=1e-3)


def test_the_order_of_words_changes_nothing(backbone: CLIPBackbone) -> None:
    first = detector(backbone)
    turned = TextClassifier(TEXTS.flip(0), NAMES[::-1], None, 10.0)
    second = FViT(backbone, turned, first.settings, detect=EVERYTHING, background=torch.eye(16)[2])
    second.learned.load_state_dict(first.learned.state_dict())
    sample = Sample(photo(48, 64))
    (a,), (b,) = first.predict([sample]), second.predict([sample])
    np.testing.assert_allclose(np.sort(a.scores), np.sort(b.scores), rtol=1e-4)
    for label in (0, 1):
        ours, theirs = a.scores[a.labels == label], b.scores[b.labels == 1 - label]
        np.testing.assert_allclose(np.sort(ours), np.sort(theirs), rtol=1e-4)


def test_nothing_is_proposed(backbone: CLIPBackbone) -> None:
    method = detector(backbone)
    method.learned.rpn.test_cfg.min_bbox_size = 1e6
    sample = Sample(photo(48, 64))
    assert len(method.detect(sample)[1]) == 0
    (found,) = method.predict([sample])
    assert found.boxes.shape == (0, 4) and found.class_names == NAMES


def test_text_scores_by_hand() -> None:
    scores = TextScores(2, 3, texts=TEXTS, background=3 * torch.eye(16)[2], scale=4.0)
    with torch.no_grad():
        scores.project.weight.copy_(torch.eye(16)[:, :2])
        scores.project.bias.zero_()
    half = 4 * 0.5**0.5
    got = scores(torch.tensor([[5.0, 0.0], [2.0, 2.0]]))
    torch.testing.assert_close(got, torch.tensor([[4.0, 0, 0], [half, half, 0]]))
    assert set(scores.state_dict()) == {"project.weight", "project.bias", "background", "scale"}
    with pytest.raises(InputError, match="2 texts make 3 classes"):
        TextScores(2, 5, texts=TEXTS, background=TEXTS[0])


def labelled() -> Sample:
    boxes = np.array([[4, 4, 40, 40], [30, 20, 60, 60]], np.float32)
    return Sample(photo(64, 64), boxes=boxes, box_labels=np.array([0, 1]))


def test_one_picture_is_learned(backbone: CLIPBackbone) -> None:
    method = detector(backbone)
    optimizer = torch.optim.AdamW(method.parameters(), 3e-3)
    totals = []
    for _ in range(14):
        losses = method.loss([labelled()])
        total = sum(value for key, value in losses.items() if "loss" in key)
        optimizer.zero_grad()
        total.backward()  # type: ignore[union-attr]
        optimizer.step()
        totals.append(float(total))
    assert set(losses) == {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox", "acc"}
    assert np.mean(totals[-3:]) < 0.8 * np.mean(totals[:3])
    assert all(p.grad is None for p in backbone.parameters())
    assert all(p.grad is not None for p in method.parameters())
    assert method.learned.training  # predicting does not end the training
    method.predict([labelled()])
    assert method.learned.training


def test_boxes_are_scaled_to_the_square(backbone: CLIPBackbone) -> None:
    sample = Sample(photo(32, 128), boxes=np.array([[64, 8, 128, 16]], np.float32))
    boxes, _ = detector(backbone)._truth(replace(sample, box_labels=np.array([1])), (64, 64))
    assert boxes.tolist() == [[32, 16, 64, 32]]


def test_a_file_holds_the_learned_parts_for_any_words(
    backbone: CLIPBackbone, tmp_path: Path
) -> None:
    method = detector(backbone)
    path = tmp_path / "learned.safetensors"
    save_learned(path, method)
    make = find_method("f-vit", "detect").builder()
    again = make(backbone, method.classifier, settings=EVERYTHING, weights=path)
    sample = Sample(photo(48, 64))
    first, second = method.predict([sample])[0], again.predict([sample])[0]
    np.testing.assert_array_equal(first.boxes, second.boxes)
    np.testing.assert_array_equal(first.scores, second.scores)
    assert again.describe()["learned"] == "learned.safetensors"
    words = TextClassifier(torch.eye(16)[3:8], tuple("abcde"), None, 10.0)
    masked = replace(EVERYTHING, masks=True, limit=5)
    other = build(backbone, words, settings=masked, weights=path)
    (found,) = other.predict([sample])
    assert other.describe()["base_classes"] == 0 and found.class_names == tuple("abcde")
    assert found.masks is not None and found.masks.shape == (5, 48, 64)
    x0, y0, x1, y1 = found.boxes[0]
    outside = found.masks[0].copy()
    outside[int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)] = False
    assert found.masks[0].any() and not outside.any()
    with pytest.raises(InputError, match="trained on the model 'tiny'"):
        build(tiny_backbone(seed=1), words, weights=path)


def test_refusals(backbone: CLIPBackbone, tmp_path: Path) -> None:
    method = detector(backbone)
    bare = labelled()
    with pytest.raises(InputError, match="has no boxes with labels: F-ViT learns from boxes"):
        method.loss([replace(bare, boxes=None)])
    with pytest.raises(InputError, match="a box of class 2: expected 0 to 1"):
        method.loss([replace(bare, box_labels=np.array([0, 2]))])
    with pytest.raises(InputError, match=r"needs learned parts: .*train/f_vit_embedded\.py"):
        build(backbone, method.classifier)
    with pytest.raises(InputError, match="f-vit makes its own proposals"):
        build(backbone, method.classifier, proposer=OwnBoxes(), weights="any")
    with pytest.raises(InputError, match="f-vit sees no crops"):
        FViT(backbone, method.classifier, SMALL, detect=DetectSettings(crops=3))
    with pytest.raises(InputError, match="no such checkpoint"):
        build(backbone, method.classifier, weights=tmp_path / "gone.safetensors")
    settings: dict[str, tuple[object, str]] = {
        "layers": ((1.0,), "four layers, got 1"),
        "channels": (12, "multiple of 8, got 12"),
        "base": (1.5, "base must lie in"),
        "width": (0, "width must be 1 or more"),
    }
    for name, (value, message) in settings.items():
        with pytest.raises(InputError, match=message):
            FViTSettings(**{name: value})  # type: ignore[arg-type]


def test_without_mmdetection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dense.engine.f_vit_parts")
    monkeypatch.setitem(sys.modules, "mmdet.models.dense_heads", None)
    with pytest.raises(MissingDependencyError, match=r"F-ViT needs MMDetection: pip install"):
        importlib.import_module("dense.engine.f_vit_parts")


FAST: dict[str, object] = {
    "train_cfg.max_iters": 2,
    "default_hooks.checkpoint.interval": 2,
    "default_hooks.logger.interval": 1,
    "train_dataloader.batch_size": 1,
    "train_dataloader.num_workers": 0,
    "train_dataloader.augment.side": 64,
    "model.method.templates": "plain",
    **{f"model.method.settings.{k}": getattr(SMALL, k) for k in ("side", "channels", "width")},
    "model.method.settings.convs": 1,
    "model.method.settings.proposals": 30,
}


def train(name: str, root: Path, work: Path, **more: object) -> dict[str, object]:
    path = CONFIGS / "train" / f"{name}.py"
    return train_config(path, data_root=root, options={**FAST, **more}, work_dir=work)


def evaluate(name: str, root: Path, work: Path, weights: Path) -> dict:
    options = {
        "model.method.templates": "plain",
        "test_dataloader.num_workers": 0,
        "model.method.weights": str(weights),
    }
    path = CONFIGS / "detect" / f"{name}.py"
    return test_config(path, data_root=root, options=options, work_dir=work)


def test_a_folder_is_learned_measured_and_used(tiny: None, tmp_path: Path) -> None:
    root, work = make_detection(tmp_path / "data"), tmp_path / "work"
    report = train("f_vit_embedded", root, work)
    log = next(work.glob("*/vis_data/scalars.json")).read_text()
    rows = [json.loads(line) for line in log.splitlines()]
    assert len(rows) == 2 and all(math.isfinite(row["loss"]) for row in rows)
    state = state_dict_of(read_run_checkpoint(str(report["checkpoint"])))
    assert all(key.startswith("method.learned.") and "texts" not in key for key in state)
    weights = work / "learned.safetensors"
    with safe_open(weights, framework="pt") as file:
        notes = file.metadata()
    assert notes["method"] == "f-vit" and json.loads(notes["settings"])["classes"] == [
        "bolt",
        "nut",
    ]
    tested = evaluate("f_vit_embedded_folder", root, tmp_path / "test", weights)
    assert tested["protocol"]["base_classes"] == 2 and 0 <= tested["overall"]["ap50"] <= 100
    made = apps.make_detector(
        tiny_backbone(), ["nut", "screw; bolt"], method="f-vit", weights=weights
    )
    out = tmp_path / "out"
    found = apps.detect_images(
        made, [root / "images" / "b.png"], out, save_proposals=tmp_path / "proposals.json"
    )
    card = found["method"]
    assert isinstance(card, dict) and (card["base_classes"], card["classes"]) == (1, 2)
    assert (out / "b_boxes.png").is_file() and (tmp_path / "proposals.json").is_file()


def test_ov_coco_learns_base_classes_and_measures_all(tiny: None, tmp_path: Path) -> None:
    root = make_coco(tmp_path / "data")
    complete(root / "annotations" / "instances_val2017.json")
    (root / "train2017").symlink_to(root / "val2017")
    content = (root / "annotations" / "instances_val2017.json").read_text()
    (root / "annotations" / "instances_train2017.json").write_text(content)
    work = tmp_path / "work"
    train("f_vit_vitb16_ov_coco", root, work)
    with safe_open(work / "learned.safetensors", framework="pt") as file:
        classes = json.loads(file.metadata()["settings"])["classes"]
    assert classes == [readable_name(name) for name in OV_COCO_BASE]
    pytest.importorskip("pycocotools")
    tested = evaluate("f_vit_vitb16_ov_coco", root, tmp_path / "test", work / "learned.safetensors")
    protocol, overall = tested["protocol"], tested["overall"]
    assert (protocol["base_classes"], protocol["classes"]) == (48, 65)
    assert {"novel_ap50", "base_ap50", "ap50", "mmdet/coco/bbox_mAP_50"} <= set(overall)


def test_trained_detectors_in_the_app(backbone: CLIPBackbone, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs learned parts"):
        apps.make_detector(backbone, ["cat"], method="f-vit")
    with pytest.raises(InputError, match="leave segment-anything out"):
        apps.make_detector(backbone, ["cat"], method="f-vit", sam="a.pth", weights="b")
    with pytest.raises(InputError, match="regions has no learned parts"):
        apps.make_detector(backbone, ["cat"], weights="b.safetensors")
    student = f_vit_student(backbone, ["a_b"], settings=SMALL, templates="plain")
    assert student.settings.classes == ("a b",)
    assert float(student.learned.scores.background.norm().detach()) == pytest.approx(1, abs=1e-3)
