"""Masks of regions: run lengths against pycocotools, polygons, panoptic folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dense.datasets import DetectionFolder
from dense.datasets.regions import PanopticFolder, read_segmentation
from dense.errors import InputError
from dense.regions import mask_boxes
from dense.rle import decode_rle, encode_rle
from tests.helpers import photo


def blobs(seed: int, size: tuple[int, int] = (37, 53)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.random((6, 7)) > 0.5
    return np.asarray(Image.fromarray(small).resize((size[1], size[0])))


@pytest.mark.parametrize("seed", range(4))
def test_packed_masks_are_pycocotools(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    mask = blobs(seed) if seed else np.ones((37, 53), bool)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = encode_rle(mask)
    assert ours["counts"] == theirs["counts"].decode()
    np.testing.assert_array_equal(decode_rle(ours, mask.shape, "a"), mask)


def test_run_lengths_by_hand() -> None:
    found = decode_rle({"size": [2, 3], "counts": [1, 2, 3]}, (2, 3), "a")
    assert found.tolist() == [[False, True, False], [True, False, False]]
    for mask in (np.zeros((3, 4), bool), np.eye(5, dtype=bool)):
        np.testing.assert_array_equal(decode_rle(encode_rle(mask), mask.shape, "a"), mask)


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        ({"size": [3, 2], "counts": [6]}, r"\(3, 2\) \(height, width\), but its picture is \(2, 3"),
        ({"size": [2, 3], "counts": [5]}, "do not fill"),
        ({"size": [2, 3], "counts": [-1, 7]}, "do not fill"),
        ({"size": [2, 3], "counts": "!!"}, "do not fill"),
        ({"counts": [6]}, "no run-length mask"),
    ],
)
def test_broken_run_lengths(rle: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode_rle(rle, (2, 3), "box 1")


def test_polygons() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    square = [5.0, 4.0, 30.0, 4.0, 30.0, 20.0, 5.0, 20.0]
    concave = [2.0, 30.0, 45.0, 22.5, 20.3, 33.0, 48.0, 39.0]
    ours = read_segmentation([square, concave], (40, 50), "a")
    assert ours[4:20, 5:30].all() and ours[:20].sum() == 16 * 25
    theirs = coco.decode(coco.merge(coco.frPyObjects([square, concave], 40, 50))).astype(bool)
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.9
    whole = read_segmentation([[-9.0, -9.0, 99.0, -9.0, 99.0, 99.0, -9.0, 99.0]], (4, 5), "a")
    assert whole.all()
    with pytest.raises(InputError, match="three or more points"):
        read_segmentation([[1, 2, 3, 4]], (4, 4), "a")
    with pytest.raises(InputError, match="has no mask"):
        read_segmentation([], (4, 4), "a")


def make_panoptic(root: Path) -> Path:
    """One picture: a thing (left), stuff (right), a crowd below that does not count."""
    (root / "images").mkdir(parents=True)
    (root / "panoptic").mkdir()
    Image.fromarray(photo(20, 30)).save(root / "images" / "a.png")
    ids = np.full((20, 30), 70000, np.int64)
    ids[:, 15:] = 300
    ids[15:] = 9
    colours = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    Image.fromarray(colours).save(root / "panoptic" / "a.png")
    content = {
        "images": [{"id": 5, "file_name": "a.png"}],
        "categories": [
            {"id": 90, "name": "sky-other", "isthing": 0},
            {"id": 3, "name": "car", "isthing": 1},
        ],
        "annotations": [
            {
                "image_id": 5,
                "file_name": "a.png",
                "segments_info": [
                    {"id": 70000, "category_id": 3},
                    {"id": 300, "category_id": 90},
                    {"id": 9, "category_id": 3, "iscrowd": 1},
                ],
            }
        ],
    }
    (root / "panoptic.json").write_text(json.dumps(content))
    return root


def test_panoptic_folder(tmp_path: Path) -> None:
    folder = PanopticFolder(make_panoptic(tmp_path))
    assert folder.names == ("car", "sky-other") and folder.things == (True, False)
    sample = folder[0]
    np.testing.assert_allclose(sample.boxes, [[0, 0, 15, 15], [15, 0, 30, 15]])
    assert sample.box_labels.tolist() == [0, 1] and sample.things.tolist() == [True, False]
    assert sample.masks[0].sum() == sample.masks[1].sum() == 225


def test_broken_panoptic_folders(tmp_path: Path) -> None:
    root = make_panoptic(tmp_path)
    Image.fromarray(photo(20, 29)).save(root / "panoptic" / "a.png")
    with pytest.raises(InputError, match="but its picture is"):
        PanopticFolder(root)[0]
    content = json.loads((root / "panoptic.json").read_text())
    content["annotations"][0]["segments_info"][0]["category_id"] = 77
    (root / "panoptic.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="unknown id: 77"):
        PanopticFolder(root)
    content["annotations"] = []
    (root / "panoptic.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="lists no annotations"):
        PanopticFolder(root)


def test_boxes_with_masks(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(photo(20, 30)).save(tmp_path / "images" / "a.png")
    mask = np.zeros((20, 30), bool)
    mask[2:10, 3:9] = True
    row = {"image_id": 1, "category_id": 7, "bbox": [3, 2, 6, 8]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 20, "width": 30}],
        "categories": [{"id": 7, "name": "cat"}],
        "annotations": [{**row, "id": 1, "segmentation": encode_rle(mask)}, {**row, "id": 2}],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    sample = DetectionFolder(tmp_path, masks=True)[0]
    np.testing.assert_array_equal(sample.masks, mask[None])
    np.testing.assert_allclose(mask_boxes(sample.masks), sample.boxes)
    content["annotations"][0]["segmentation"]["size"] = [10, 30]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"box 1 of a\.png is \(10, 30\)"):
        DetectionFolder(tmp_path, masks=True)[0]
