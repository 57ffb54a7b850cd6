"""Phrases with regions: a folder of one's own, and RefCOCO's layout."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from dense.datasets.refcoco import RefCOCO
from dense.datasets.referring import ReferringFolder, ReferringSample
from dense.errors import InputError
from tests.datasets.made import make_refcoco, make_referring
from tests.helpers import photo


def test_folder(tmp_path: Path) -> None:
    data = ReferringFolder(make_referring(tmp_path), masks=True)
    assert (len(data), data.phrases) == (2, 4)
    first, second = data[0], data[1]
    assert first.phrases == ("the square", "a tall one", "the left")
    assert first.targets.tolist() == [[4, 4, 24, 24], [30, 2, 50, 36], [4, 4, 24, 24]]
    assert first.boxes.tolist() == [[4, 4, 24, 24], [30, 2, 50, 36]]  # each once
    assert first.masks.shape == (2, 40, 60) and first.target_masks.shape == (3, 40, 60)
    expected = np.zeros((40, 60), bool)
    expected[4:24, 4:24] = True
    np.testing.assert_array_equal(first.masks[0], expected)
    assert second.masks is None and second.target_masks is None  # one entry has no mask
    assert ReferringFolder(tmp_path)[0].masks is None


def test_folder_with_proposals(tmp_path: Path) -> None:
    make_referring(tmp_path)
    listed = {"a.png": [[0, 0, 9, 9], [1, 1, 20, 20]], "b.png": [[0, 0, 30, 50]]}
    (tmp_path / "proposals.json").write_text(json.dumps(listed))
    sample = ReferringFolder(tmp_path, masks=True)[0]
    assert sample.boxes.tolist() == listed["a.png"] and sample.masks is None
    assert sample.target_masks is not None
    (tmp_path / "proposals.json").write_text(json.dumps({"a.png": [[0, 0, 9, 9]], "b.png": []}))
    with pytest.raises(InputError, match=r"the proposals name no box of b\.png \(1 pictures"):
        ReferringFolder(tmp_path)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"image": "a.png", "box": [0, 0, 9, 9]}, "expression 1 needs an image and a phrase"),
        ({"image": "a.png", "phrase": " ", "box": [0, 0, 9, 9]}, "needs an image and a phrase"),
        ({"image": "a.png", "phrase": "x", "box": [0, 0, 9]}, "needs a box"),
        ({"image": "a.png", "phrase": "x", "box": [0, 0, 9, "b"]}, "needs a box"),
        ({"image": "c.png", "phrase": "x", "box": [0, 0, 9, 9]}, "names c.png, but .* is missing"),
        ("x", "expression 1 is no object"),
    ],
)
def test_folder_refuses(tmp_path: Path, entry: object, message: str) -> None:
    make_referring(tmp_path)
    (tmp_path / "referring.json").write_text(json.dumps({"expressions": [entry]}))
    with pytest.raises(InputError, match=message):
        ReferringFolder(tmp_path)


def test_folder_refuses_bad_boxes_when_they_are_read(tmp_path: Path) -> None:
    make_referring(tmp_path)
    entry = {"image": "a.png", "phrase": "x", "box": [70, 0, 90, 9]}
    (tmp_path / "referring.json").write_text(json.dumps({"expressions": [entry]}))
    with pytest.raises(InputError, match=r"of the phrases of a\.png .* lies outside"):
        ReferringFolder(tmp_path)[0]
    (tmp_path / "referring.json").write_text("{}")
    with pytest.raises(InputError, match="lists no expressions"):
        ReferringFolder(tmp_path)


@pytest.mark.parametrize("packed", [True, False])
def test_refcoco(tmp_path: Path, packed: bool) -> None:
    root = make_refcoco(tmp_path, packed=packed)
    data = RefCOCO(root / "refcoco", root / "train2014", masks=True)
    assert (len(data), data.phrases) == (1, 3)
    sample = data[0]
    assert sample.phrases == ("left thing", "square", "right thing")
    assert sample.targets.tolist() == [[4, 4, 24, 24], [4, 4, 24, 24], [30, 2, 50, 36]]
    assert sample.boxes.tolist() == [[4, 4, 24, 24], [30, 2, 50, 36]]
    assert sample.masks.shape == (2, 40, 60) and sample.masks[0].sum() == 210  # 1 + … + 20
    other = RefCOCO(root / "refcocog", root / "train2014", split="train", by="umd")
    assert other[0].phrases == ("small thing",)


def test_refcoco_with_proposals(tmp_path: Path) -> None:
    root = make_refcoco(tmp_path)
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"a.png": [[0, 0, 30, 30]]}))
    data = RefCOCO(root / "refcoco", root / "train2014", proposals=boxes, masks=True)
    assert data[0].boxes.tolist() == [[0, 0, 30, 30]] and data[0].masks is None


class _Code:
    def __reduce__(self) -> tuple:
        return (print, ("ran",))


def test_refcoco_runs_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_refcoco(tmp_path)
    path = root / "refcoco" / "refs(unc).p"
    path.write_bytes(pickle.dumps([_Code()]))
    with pytest.raises(InputError, match=r"refused .*it asks for builtins\.print"):
        RefCOCO(root / "refcoco", root / "train2014")
    assert capsys.readouterr().out == ""
    for protocol in (0, 2):  # Python 2's
        path.write_bytes(pickle.dumps(np.zeros(2), protocol=protocol))
        with pytest.raises(InputError, match="refused"):
            RefCOCO(root / "refcoco", root / "train2014")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"rubbish", "corrupt pickle"),
        (pickle.dumps({"a": 1}), "must be a list of RefCOCO's entries"),
        (pickle.dumps([{"ann_id": 7}]), "an entry is missing or of another kind: 'split'"),
        (
            pickle.dumps([{"ann_id": 1, "image_id": 1, "split": "val", "sentences": []}]),
            "an entry is missing or of another kind: 1",
        ),
    ],
)
def test_refcoco_refuses(tmp_path: Path, content: bytes, message: str) -> None:
    root = make_refcoco(tmp_path)
    (root / "refcoco" / "refs(unc).p").write_bytes(content)
    with pytest.raises(InputError, match=message):
        RefCOCO(root / "refcoco", root / "train2014")


def test_refcoco_names_what_there_is(tmp_path: Path) -> None:
    root = make_refcoco(tmp_path)
    with pytest.raises(InputError, match="no phrase in the split 'testA': its splits are"):
        RefCOCO(root / "refcoco", root / "train2014", split="testA")
    with pytest.raises(InputError, match=r"there are refs\(unc\)\.p"):
        RefCOCO(root / "refcoco", root / "train2014", by="google")


def test_samples_are_checked() -> None:
    with pytest.raises(InputError, match="one row of targets a phrase, got 1 for 2"):
        ReferringSample(photo(8, 8), phrases=("a", "b"), targets=np.zeros((1, 4), np.float32))
