"""The demo scripts, run in this process on a tiny model."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
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
    assert main([picture, "--detect", "cat", "--out", str(out)]) == 0
    assert read_image(out).shape == (40, 56, 3)
    assert main([picture]) == 2
    assert main([str(tmp_path / "gone.png"), "--classes", "cat"]) == 2
    assert "no such image" in capsys.readouterr().err


def test_video_demo_writes_a_film_with_a_legend(tmp_path, capsys):
    source, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    with FilmWriter(source, rate=12) as film:
        for k in range(9):
            film.write(np.roll(photo(48, 64), k, axis=1))
    main = _script("video_demo").main
    words = ["--classes", "cat", "dog", "--every", "3", "--lag", "2", "--out", str(out)]
    assert main([str(source), *words]) == 0
    assert "wrote 3 frames" in capsys.readouterr().out
    reader = FrameReader(out)
    frames = [frame.image for frame in reader]
    assert len(frames) == 3 and reader.rate == pytest.approx(4)
    assert frames[0].shape[0] > 48 and frames[0].shape[1] == 240
    assert main([str(tmp_path / "gone.mp4"), *words]) == 2
    assert "no such video" in capsys.readouterr().err
    assert main([str(source), "--classes", "cat", "--lag", "-1", "--out", str(out)]) == 2
    assert "0 or more frames" in capsys.readouterr().err


def test_a_video_that_ends_early_or_has_broken_frames_is_smoothed_to_its_end(
    tmp_path, monkeypatch, caplog
):
    from dense.apps import make_segmentor, segment_video
    from dense.methods.segmentation.temporal import TemporalSegmentor

    source = tmp_path / "in.mp4"
    with FilmWriter(source, rate=10) as film:
        for k in range(9):
            film.write(np.roll(photo(48, 64), k, axis=1))
    reads, gaps = [], []
    real_next, real_predict = FrameReader._next, TemporalSegmentor.predict

    def broken(self, *, wanted):
        reads.append(1)
        image = real_next(self, wanted=wanted)
        return None if len(reads) in (3, 4) or len(reads) > 7 else image

    def predict(self, frame, *, missed=0):
        gaps.append(missed)
        return real_predict(self, frame, missed=missed)

    monkeypatch.setattr(FrameReader, "_next", broken)
    monkeypatch.setattr(TemporalSegmentor, "predict", predict)
    segmentor = make_segmentor(tiny_backbone(), ["cat", "dog"], short_side=32)
    with caplog.at_level(logging.WARNING, "dense"):
        report = segment_video(segmentor, source, tmp_path / "out.mp4", lag=2.0)
    assert (report["frames"], report["broken_frames"], report["lag_seconds"]) == (5, 2, 0.2)
    assert gaps == [0, 0, 2, 0, 0]
    assert "2 broken frames" in caplog.text and "ends early: 7 of 9" in caplog.text
    monkeypatch.undo()
    assert len(list(FrameReader(tmp_path / "out.mp4"))) == 5


def test_web_demo_draws_and_names_what_is_missing(monkeypatch, capsys):
    demo = _script("web_demo")
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert demo.main([]) == 2
    assert "needs the package gradio" in capsys.readouterr().err
    picture, shares = demo.try_words(tiny_backbone(), photo(40, 56), "cat; kitten\n\ntable", 0.0)
    assert picture.shape[0] > 40 and shares.count("%") in (1, 2)
    _, message = demo.try_words(tiny_backbone(), photo(40, 56), " ", 0.0)
    assert "class list is empty" in message
    _, message = demo.try_words(tiny_backbone(), None, "cat", 0.0)
    assert "choose a picture" in message


def test_notebook_is_small_and_runs(monkeypatch, tmp_path):
    path = ROOT / "demo" / "words_on_a_picture.ipynb"
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert path.stat().st_size < 10_000
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    monkeypatch.chdir(ROOT / "demo")
    space: dict[str, object] = {"display": lambda *_: None}
    for cell in cells:
        exec("".join(cell["source"]), space)
    assert space["result"].class_map.shape == space["image"].shape[:2]


def test_video_demo_draws_boxes(tmp_path, capsys):
    source, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    with FilmWriter(source, rate=12) as film:
        for k in range(4):
            film.write(np.roll(photo(48, 64), k, axis=1))
    main = _script("video_demo").main
    words = ["--detect", "--classes", "cat", "--every", "2", "--out", str(out)]
    assert main([str(source), *words]) == 0
    assert "wrote 2 frames" in capsys.readouterr().out
    assert [frame.image.shape for frame in FrameReader(out)] == [(48, 64, 3)] * 2
