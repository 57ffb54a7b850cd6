"""Cutters: prompts, GrabCut on shapes whose edges are known, results redrawn, names and cards."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from dense.errors import InputError
from dense.refine import find_refiners
from dense.refine.cut import GrabCut, Mask, Prompt, mask_box, prompt_from_mask
from dense.refine.cutters import cutter_label, find_cutter
from dense.refine.masks import CutVote, overlap, refine_anomaly, refine_detections
from dense.structures import AnomalyResult, DetectionResult

DISC = (np.mgrid[:80, :100][0] - 40) ** 2 + (np.mgrid[:80, :100][1] - 50) ** 2 < 18**2


def picture() -> np.ndarray:
    """A green disc on a blue ground, both with some noise."""
    rng = np.random.default_rng(0)
    image = np.where(DISC[..., None], (40, 190, 60), (50, 60, 170))
    return (image + rng.integers(-12, 12, image.shape)).clip(0, 255).astype(np.uint8)


IMAGE = picture()
ROUGH = np.zeros((80, 100), bool)
ROUGH[26:54, 36:64] = True


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(box=np.array([30, 20, 70, 60], np.float32)),
        Prompt(mask=ROUGH),
        Prompt(np.array([[50, 40], [5, 5]], np.float32), np.array([1, 0])),
        prompt_from_mask(ROUGH),
    ],
)
def test_grabcut_finds_the_edge(prompt: Prompt) -> None:
    found = GrabCut().cut(IMAGE, prompt)
    assert overlap(found, DISC) > 0.95
    np.testing.assert_array_equal(found, GrabCut().cut(IMAGE, prompt))


def test_one_colour_has_no_edges() -> None:
    plain = np.full((80, 100, 3), 9, np.uint8)
    np.testing.assert_array_equal(GrabCut().cut(plain, Prompt(mask=ROUGH)), ROUGH)
    box = GrabCut().cut(plain, Prompt(box=np.array([10, 20, 30, 50], np.float32)))
    np.testing.assert_array_equal(mask_box(box), [10, 20, 30, 50])
    assert box.sum() == 20 * 30


def test_prompts_by_hand() -> None:
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    scores = np.zeros((6, 8))
    scores[3, 3], scores[5, 5] = 1, 9  # the higher one lies outside
    prompt = prompt_from_mask(mask, scores)
    assert prompt.points is not None
    np.testing.assert_array_equal(prompt.points, [[3, 3]])
    np.testing.assert_array_equal(prompt.box, [2, 1, 7, 4])
    centre = prompt_from_mask(mask)
    assert centre.points is not None
    assert centre.points[0, 1] == 2  # farthest from the border


def test_unusable_prompts() -> None:
    empty = np.zeros((80, 100), bool)
    for prompt, message in (
        (Prompt(), "needs points, a box or a mask"),
        (Prompt(mask=empty), "mask is empty"),
        (Prompt(mask=empty[:5]), "must be \\(80, 100\\)"),
        (Prompt(box=np.array([200, 5, 220, 9], np.float32)), "lies outside the picture"),
        (Prompt(box=np.array([9, 5, 3, 9], np.float32)), "is inverted"),
        (Prompt(np.array([[100, 5]], np.float32)), "points must lie inside"),
        (Prompt(np.array([[1, 5]], np.float32), np.array([1, 0])), "one label each"),
    ):
        with pytest.raises(InputError, match=message):
            GrabCut().cut(IMAGE, prompt)
    with pytest.raises(InputError, match="mask is empty"):
        prompt_from_mask(empty)


class Fixed:
    """Cuts the same mask always."""

    name = "fixed"

    def __init__(self, mask: Mask) -> None:
        self.mask, self.prompts = mask, list[Prompt]()

    def cut(self, image: np.ndarray, prompt: Prompt) -> Mask:
        self.prompts.append(prompt)
        return self.mask

    def describe(self) -> dict[str, object]:
        return {"cutter": self.name}


def test_classes_vote_inside_their_cut() -> None:
    probabilities = torch.full((2, 80, 100), 0.3)
    probabilities[0] = 0.7
    probabilities[:, ROUGH] = torch.tensor([[0.1], [0.9]])
    image = torch.from_numpy(IMAGE).permute(2, 0, 1).float() / 255
    refined = CutVote(GrabCut())(probabilities, image)
    assert overlap(refined.argmax(0).numpy() == 1, DISC) > 0.95
    assert overlap(ROUGH, DISC) < 0.85
    torch.testing.assert_close(refined.sum(0), torch.ones(80, 100), atol=1e-4, rtol=0)


def test_a_cut_of_something_else_is_not_used() -> None:
    probabilities = torch.full((2, 80, 100), 0.3)
    probabilities[0] = 0.7
    probabilities[:, ROUGH] = torch.tensor([[0.1], [0.9]])
    corner = np.zeros((80, 100), bool)
    corner[:4, :4] = True
    same = CutVote(Fixed(corner))(probabilities, torch.zeros(3, 80, 100))
    torch.testing.assert_close(same, probabilities)


def test_boxes_are_drawn_tightly() -> None:
    boxes = np.array([[30, 20, 72, 62], [0, 0, 20, 15]], np.float32)
    result = DetectionResult(boxes, np.ones(2, np.float32), np.zeros(2, np.int64), ("disc",))
    refined = refine_detections(GrabCut(), IMAGE, result)
    np.testing.assert_allclose(refined.boxes[0], [33, 23, 68, 58], atol=1.5)
    assert refined.masks is not None
    assert overlap(refined.masks[0], DISC) > 0.95
    # Where the cut is something else, the box stays.
    kept = refine_detections(Fixed(DISC), IMAGE, result)
    np.testing.assert_array_equal(kept.boxes[1], boxes[1])
    assert kept.masks is not None
    assert kept.masks[1].sum() == 20 * 15
    none = DetectionResult(boxes[:0], np.zeros(0, np.float32), np.zeros(0, np.int64), ("disc",))
    assert len(refine_detections(GrabCut(), IMAGE, none).boxes) == 0


def test_defect_masks_follow_edges_and_stay_near() -> None:
    scores = np.where(ROUGH, 2.0, 0.0).astype(np.float32)
    scores[40, 50] = 3
    result = AnomalyResult(scores, 3.0, ROUGH, True)
    refined = refine_anomaly(GrabCut(), IMAGE, result, reach=0.1)
    assert refined.mask is not None
    assert overlap(refined.mask, DISC) > 0.9
    assert (refined.score, refined.is_anomalous) == (3.0, True)
    everything = np.ones((80, 100), bool)
    near = refine_anomaly(Fixed(everything), IMAGE, result, reach=0.02)
    assert near.mask is not None
    assert mask_box(near.mask).tolist() == [34, 24, 66, 56]  # two pixels around the part
    missed = refine_anomaly(Fixed(~ROUGH), IMAGE, result)
    np.testing.assert_array_equal(missed.mask, ROUGH)
    plain = AnomalyResult(scores, 3.0)
    assert refine_anomaly(GrabCut(), IMAGE, plain) is plain
    nothing = AnomalyResult(scores, 3.0, np.zeros((80, 100), bool), False)
    assert refine_anomaly(GrabCut(), IMAGE, nothing) is nothing


def test_names_and_stand_ins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert find_cutter("grabcut").name == "grabcut"
    with caplog.at_level(logging.WARNING, "dense"):
        stand_in = find_cutter("sam")
    assert "no segment-anything checkpoint" in caplog.text
    assert stand_in.describe()["cutter"] == "grabcut (segment-anything has no checkpoint)"
    assert cutter_label("sam") == "grabcut (segment-anything has no checkpoint)"
    assert cutter_label("sam:/far/away/vit_b.pth") == "sam:vit_b.pth"
    assert cutter_label("pamr") == "pamr"
    with pytest.raises(InputError, match="unknown cutter 'grab'"):
        find_cutter("grab")
    with pytest.raises(InputError, match="unknown post-processing step 'samm'"):
        find_refiners(["samm"])
    with pytest.raises(InputError, match="no such"):
        find_refiners([f"sam:{tmp_path / 'gone.pth'}"])
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="is not a checkpoint of segment-anything"):
        find_cutter(f"sam:{tmp_path / 'other.pth'}")
    with pytest.raises(InputError, match="hub:OWNER/NAME/FILE"):
        find_cutter("sam:hub:owner/name")
