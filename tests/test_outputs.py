"""Files are written whole or not at all, under names that do not meet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dense.errors import InputError
from dense.images import read_mask
from dense.outputs import (
    check_file,
    check_writable,
    output_names,
    write_bytes,
    write_index_mask,
    write_json,
)


def test_json_of_arrays_paths_and_odd_numbers(tmp_path):
    path = write_json(
        tmp_path / "deep" / "r.json",
        {"a": np.float32(0.5), "b": np.arange(2), "c": float("nan"), "d": Path("x"), "猫": (1,)},
    )
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "a": 0.5,
        "b": [0, 1],
        "c": None,
        "d": "x",
        "猫": [1],
    }


@pytest.mark.parametrize(("classes", "undecided"), [(3, 255), (300, 65535)])
def test_index_mask_round_trip(tmp_path, classes, undecided):
    class_map = np.array([[0, 2], [classes - 1, undecided]])
    palette = np.zeros((256, 3), np.uint8)
    path = write_index_mask(tmp_path / "m.png", class_map, num_classes=classes, palette=palette)
    assert (read_mask(path) == class_map).all()
    assert Image.open(path).mode == ("P" if classes <= 255 else "I;16")


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/x.jpg", "a/y.jpg"], ["x", "y"]),
        (["a/x.jpg", "a/x.png"], ["x_jpg", "x_png"]),
        (["a/x.jpg", "b/x.jpg"], ["a_x_jpg", "b_x_jpg"]),
        (["c/a/x.jpg", "d/a/x.jpg"], ["a_x_jpg", "a_x_jpg_2"]),
        (["a/X.jpg", "a/x.png"], ["X_jpg", "x_png"]),
    ],
)
def test_output_names(paths, names):
    assert output_names([Path(path) for path in paths]) == names


def test_a_refused_write_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_bytes(tmp_path / "file" / "x", b"1")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_bytes(tmp_path / "folder", b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    with pytest.raises(InputError, match="choose another --out"):
        check_writable(tmp_path / "file")
    with pytest.raises(InputError, match=r"it is a folder; choose another --json"):
        check_file(tmp_path / "folder", "--json")
    with pytest.raises(InputError, match="choose another --json"):
        check_file(tmp_path / "file" / "x.json", "--json")
    check_file(tmp_path / "folder" / "x.json", "--json")
    assert not list((tmp_path / "folder").iterdir())
