"""Masks in other tools' forms: against pycocotools, by hand, and there and back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dense.errors import InputError
from dense.masks import cut_out, polygons, segments, to_coco, to_geojson
from dense.rle import decode_rle, encode_rle
from dense.structures import SegmentationResult


def made(kind: str) -> np.ndarray:
    """(H, W) bool: a hard case of each kind."""
    mask = np.zeros((9, 13), bool)
    if kind == "full":
        mask[:] = True
    elif kind == "pixel":
        mask[4, 0] = True
    elif kind == "diagonal":
        mask[[1, 2, 3, 2], [1, 2, 3, 4]] = True
    elif kind == "holes":
        mask[1:8, 1:12] = True
        mask[2:4, 2:5] = mask[5, 6] = mask[6, 7] = mask[3, 9] = False
    elif kind == "island":
        mask[:] = True
        mask[1:8, 1:12] = False
        mask[3:6, 3:9] = True
        mask[4, 5] = False
    elif kind.startswith("noise"):
        mask = np.random.default_rng(int(kind[5:])).random((37, 23)) < 0.55
    return mask


KINDS = ["empty", "full", "pixel", "diagonal", "holes", "island", "noise0", "noise1", "noise2"]


def fill(shape: tuple[int, ...], parts: list[list[list[list[int]]]]) -> np.ndarray:
    """Even-odd rule at pixel centres: each upright edge flips all pixels to its right."""
    flips = np.zeros((shape[0], shape[1] + 1), int)
    for part in parts:
        for ring in part:
            for (x, y), (_, below) in pairwise(ring):
                flips[min(y, below) : max(y, below), x] += 1
    return flips.cumsum(1)[:, :-1] % 2 == 1


def area(ring: list[list[int]]) -> float:
    x, y = np.array(ring).T
    return abs(float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())) / 2


@pytest.mark.parametrize("kind", KINDS)
def test_polygons_there_and_back(kind: str) -> None:
    mask = made(kind)
    parts = polygons(mask)
    assert (fill(mask.shape, parts) == mask).all()
    inside = sum(area(part[0]) - sum(area(hole) for hole in part[1:]) for part in parts)
    assert inside == mask.sum()
    for part in parts:
        for ring in part:
            steps = np.diff(ring, axis=0)
            assert ring[0] == ring[-1] and (np.count_nonzero(steps, axis=1) == 1).all()


def test_polygons_by_hand() -> None:
    mask = np.zeros((5, 6), bool)
    mask[1:4, 1:5] = True
    mask[2, 2] = False
    (part,) = polygons(mask)
    assert sorted(part[0][:-1]) == [[1, 1], [1, 4], [5, 1], [5, 4]]
    assert sorted(part[1][:-1]) == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_an_island_in_a_hole_is_a_part_of_its_own() -> None:
    assert sorted(len(part) for part in polygons(made("island"))) == [2, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_run_lengths_equal_pycocotools(kind: str) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    mask = made(kind)
    ours = encode_rle(mask)
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert ours == {"size": list(theirs["size"]), "counts": theirs["counts"].decode()}
    assert (decode_rle(ours, mask.shape, "a") == mask).all()


def test_long_runs_and_plain_lists() -> None:
    mask = np.zeros((700, 900), bool)
    mask[5:600, 100:850] = True
    assert (decode_rle(encode_rle(mask), mask.shape, "a") == mask).all()
    plain = decode_rle({"size": [2, 3], "counts": [1, 2, 3]}, (2, 3), "a")
    assert plain.tolist() == [[False, True, False], [True, False, False]]


def test_run_lengths_of_another_size() -> None:
    with pytest.raises(InputError, match="do not fill its picture of 12 pixels"):
        decode_rle({"size": [3, 4], "counts": [1, 2, 3]}, (3, 4), "a")


def test_files_of_a_result() -> None:
    class_map = np.array([[0, 1, 1, 255], [0, 1, 2, 255]])
    result = SegmentationResult(class_map, ("wall", "cat", "dog", "sky"))
    found = segments(result, hidden=(0,))
    assert [(s.index, s.name) for s in found] == [(1, "cat"), (2, "dog")]
    cat, dog = to_coco(found)
    assert (cat["category_id"], cat["area"], cat["bbox"]) == (1, 3, [1, 0, 2, 2])
    assert dog["bbox"] == [2, 1, 1, 1]
    feature = to_geojson(found)["features"][1]  # type: ignore[index]
    assert feature["properties"] == {"index": 2, "class": "dog", "area": 1}
    (ring,) = feature["geometry"]["coordinates"][0]
    assert sorted(ring[:-1]) == [[2, 1], [2, 2], [3, 1], [3, 2]]


def test_cut_out() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    rgba = cut_out(image, np.array([[True, False], [False, True]]))
    assert (rgba[..., :3] == image).all()
    assert rgba[..., 3].tolist() == [[255, 0], [0, 255]]
