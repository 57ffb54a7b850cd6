"""Made-up data sets in every layout that the folder classes read."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers import photo


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def segmentation_mask(height: int, width: int, ids: tuple[int, ...]) -> np.ndarray:
    """Vertical stripes of equal width, one for each id."""
    stripes = np.arange(width) * len(ids) // width
    return np.tile(np.array(ids, np.uint8)[stripes], (height, 1))


def make_segmentation(root: Path, number: int = 3, split: str = "") -> Path:
    """Pictures of different sizes; ids 0 (ignored), 3 "cat", 7 "wooden table" in stripes."""
    for i in range(number):
        size = (40 + 8 * i, 48)
        write(root / "images" / split / f"{i}.jpg", photo(*size, seed=i))
        write(root / "masks" / split / f"{i}.png", segmentation_mask(*size, (3, 7, 0)))
    classes = {"ignore": [0], "classes": {"0": "unlabelled", "7": "wooden table", "3": "cat"}}
    (root / "classes.json").write_text(json.dumps(classes))
    return root


def make_detection(root: Path) -> Path:
    """Two pictures; category ids 2 and 9; one crowd box."""
    content = {
        "images": [
            {"id": 5, "file_name": "b.png", "height": 40, "width": 60},
            {"id": 4, "file_name": "a.png", "height": 50, "width": 30},
        ],
        "categories": [{"id": 9, "name": "nut"}, {"id": 2, "name": "bolt"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 9, "bbox": [1, 2, 10, 20]},
            {"id": 2, "image_id": 5, "category_id": 2, "bbox": [30.5, 4, 5, 6]},
            {"id": 3, "image_id": 5, "category_id": 2, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        ],
    }
    write(root / "images" / "a.png", photo(50, 30))
    write(root / "images" / "b.png", photo(40, 60))
    (root / "instances.json").write_text(json.dumps(content))
    return root


def defect_mask(height: int, width: int) -> np.ndarray:
    """255 in the top left quarter."""
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 2] = 255
    return mask


def make_category(root: Path, train: int = 5, good: int = 2, bad: int = 3) -> Path:
    """One category in MVTec AD's layout with the defect type "scratch"."""
    for i in range(train):
        write(root / "train" / "good" / f"{i:03d}.png", photo(32, 32, seed=i))
    for i in range(good):
        write(root / "test" / "good" / f"{i:03d}.png", photo(32, 32, seed=20 + i))
    for i in range(bad):
        write(root / "test" / "scratch" / f"{i:03d}.png", photo(32, 32, seed=40 + i))
        write(root / "ground_truth" / "scratch" / f"{i:03d}_mask.png", defect_mask(32, 32))
    return root


def make_referring(root: Path) -> Path:
    """Two pictures, three phrases; the first two mean boxes with polygons."""
    write(root / "images" / "a.png", photo(40, 60))
    write(root / "images" / "b.png", photo(50, 30))
    square = [[4, 4, 24, 4, 24, 24, 4, 24]]
    tall = [[30, 2, 50, 2, 50, 36, 30, 36]]
    entries = [
        {"image": "a.png", "phrase": "the square", "box": [4, 4, 24, 24], "segmentation": square},
        {"image": "a.png", "phrase": "a tall one", "box": [30, 2, 50, 36], "segmentation": tall},
        {"image": "a.png", "phrase": "the left", "box": [4, 4, 24, 24], "segmentation": square},
        {"image": "b.png", "phrase": "all of it", "box": [0, 0, 30, 50]},
    ]
    (root / "referring.json").write_text(json.dumps({"expressions": entries}))
    return root


def make_refcoco(root: Path, *, packed: bool = True) -> Path:
    """`refcoco/` with a pickle (or JSON) of phrases beside COCO's pictures in `train2014/`."""
    boxes = {7: [4, 4, 20, 20], 8: [30, 2, 20, 34], 9: [0, 0, 9, 9]}
    content = {
        "images": [
            {"id": 1, "file_name": "a.png", "height": 40, "width": 60},
            {"id": 2, "file_name": "b.png", "height": 40, "width": 60},
        ],
        "annotations": [
            {
                "id": number,
                "image_id": 2 if number == 9 else 1,
                "category_id": 1,
                "bbox": box,
                "segmentation": [
                    [box[0], box[1], box[0] + box[2], box[1], box[0] + box[2], box[1] + box[3]]
                ],
                "iscrowd": 0,
            }
            for number, box in boxes.items()
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    refs = [
        {
            "ref_id": place,
            "ann_id": number,
            "image_id": image,
            "split": split,
            "file_name": "not_the_name_4.jpg",
            "sentences": [{"sent": text, "sent_id": 1, "raw": text} for text in texts],
        }
        for place, (number, image, split, texts) in enumerate(
            [
                (7, 1, "val", ["left thing", "square"]),
                (8, 1, "val", ["right thing"]),
                (9, 2, "train", ["small thing"]),
            ]
        )
    ]
    for name in ("a.png", "b.png"):
        write(root / "train2014" / name, photo(40, 60))
    for folder, by in (("refcoco", "unc"), ("refcoco+", "unc"), ("refcocog", "umd")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "instances.json").write_text(json.dumps(content))
        if packed:
            (root / folder / f"refs({by}).p").write_bytes(pickle.dumps(refs))
        else:
            (root / folder / f"refs({by}).json").write_text(json.dumps(refs))
    return root
