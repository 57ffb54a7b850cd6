"""Captioned folders in three layouts, and what is not one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dense.datasets.captions import (
    CaptionDataset,
    CaptionedSample,
    captioned_folder,
    class_names_of,
    read_captions,
)
from dense.errors import InputError
from tests.helpers import photo


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo(20, 30, seed)).save(path)
    return path


def write_lines(root: Path, *lines: object) -> Path:
    root.mkdir(exist_ok=True)
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (root / "captions.jsonl").write_text(text + "\n")
    return root


def test_jsonl(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png", 1)
    picture(tmp_path / "b.png", 2)
    write_lines(
        tmp_path,
        {"file": "images/a.png", "texts": ["a red apple ", "fruit"], "group": "ignored"},
        "",
        {"file": "b.png", "texts": ["screw"], "kind": "class", "source": "s", "split": "val"},
    )
    data = captioned_folder(tmp_path)
    assert len(data) == 2
    assert data[0].texts == ("a red apple", "fruit")
    assert (data[0].kind, data[1].kind) == ("caption", "class")
    np.testing.assert_array_equal(data[0].image, photo(20, 30, 1))
    assert data.metainfo == {"classes": ("screw",)}
    assert len(captioned_folder(tmp_path, split="train")) == 1
    assert captioned_folder(tmp_path, without=["s"]).records[0].path.name == "a.png"
    with pytest.raises(InputError, match="no captioned pictures are left of 2"):
        captioned_folder(tmp_path, split="val", without=["s"])
    with pytest.raises(InputError, match="unknown split"):
        captioned_folder(tmp_path, split="test")


def test_text_beside_pictures(tmp_path: Path) -> None:
    picture(tmp_path / "deep" / "a.jpg")
    picture(tmp_path / "b.png")
    (tmp_path / "deep" / "a.txt").write_text("a cat\n\n on a mat \n")
    data = captioned_folder(tmp_path)
    assert [record.texts for record in data.records] == [("a cat", "on a mat")]
    (tmp_path / "b.txt").write_text("\n")
    with pytest.raises(InputError, match="holds no caption"):
        captioned_folder(tmp_path)


def test_class_folders(tmp_path: Path) -> None:
    for place in ("metal_nut/a.png", "metal_nut/b.png", "cat/c.png"):
        picture(tmp_path / place)
    data = captioned_folder(tmp_path)
    assert [record.texts[0] for record in data.records] == ["cat", "metal nut", "metal nut"]
    assert class_names_of(data.records) == ("cat", "metal nut")


def test_no_layout(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"expected captions\.jsonl, or a \.txt"):
        captioned_folder(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        captioned_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 is not JSON"),
        ([1], "names no file"),
        ({"texts": ["x"]}, "names no file"),
        ({"file": "a.png", "texts": "x"}, "must be a list of words"),
        ({"file": "a.png", "texts": [" "]}, "must be a list of words"),
        ({"file": "a.png", "texts": []}, "has no texts"),
        ({"file": "a.png", "texts": ["x"], "kind": "clas"}, "unknown kind"),
        ({"file": "a.png", "texts": ["x"], "split": "test"}, "unknown split"),
        ({"file": "../a.png", "texts": ["x"]}, "path below the folder"),
        ({"file": "/a.png", "texts": ["x"]}, "path below the folder"),
        ({"file": "gone.png", "texts": ["x"]}, "missing"),
    ],
)
def test_unusable_lines(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        captioned_folder(write_lines(tmp_path / "d", line))


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_captions(tmp_path / "captions.jsonl")
    (tmp_path / "captions.jsonl").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        read_captions(tmp_path / "captions.jsonl")
    (tmp_path / "captions.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_captions(tmp_path / "captions.jsonl")


def test_samples_need_words() -> None:
    with pytest.raises(InputError, match="at least one text"):
        CaptionedSample(photo(8, 8))
    with pytest.raises(InputError, match="left of 0"):
        CaptionDataset([])
