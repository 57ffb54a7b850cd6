"""The demo scripts, run in this process on a tiny model."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from dense.apps import files
from dense.images import read_image
from dense.video import FilmWriter, FrameReader
from tests.helpers import photo, tiny_backbone

ROOT = Path(__file__).parents[1]


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "demo" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    model = tiny_backbone()
    monkeypatch.setattr(files, "load", lambda name, **options: model)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(photo(40, 56)).save(path)
    return str(path)


def test_image_demo_segments_and_inspects(picture, tmp_path, capsys):
    main, out = _script("image_demo").main, tmp_path / "out.png"
    assert main([picture, "--classes", "cat", "dog", "--out", str(out)]) == 0
    assert read_image(out).shape[0] > 40
    support = tmp_path / "good"
    support.mkdir()
    Image.fromarray(photo(40, 56, seed=1)).save(support / "a.png")
    words = [picture, "--product", "nut", "--support", str(support), "--out", str(out)]
    assert main(words) == 0
    assert read_image(out).shape[1] > 2 * 56
    assert main([picture]) == 2
    assert main([str(tmp_path / "gone.png"), "--classes", "cat"]) == 2
    assert "no such image" in capsys.readouterr().err


def test_video_demo_writes_a_film_with_a_legend(tmp_path, capsys):
    source, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    with FilmWriter(source, rate=12) as film:
        for k in range(9):
            film.write(np.roll(photo(48, 64), k, axis=1))
    main = _script("video_demo").main
    words = ["--classes", "cat", "dog", "--every", "3", "--out", str(out)]
    assert main([str(source), *words]) == 0
    assert "wrote 3 frames" in capsys.readouterr().out
    reader = FrameReader(out)
    frames = [frame.image for frame in reader]
    assert len(frames) == 3 and reader.rate == pytest.approx(4)
    assert frames[0].shape[0] > 48 and frames[0].shape[1] == 240
    assert main([str(tmp_path / "gone.mp4"), *words]) == 2
    assert "no such video" in capsys.readouterr().err
