"""`dense segment`: what it writes, and how it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dense.images import read_image, read_mask
from dense.rle import decode_rle
from tests.helpers import photo


def test_writes_overlay_mask_and_results(dense, picture, tmp_path):
    out, extra = tmp_path / "out", tmp_path / "more" / "results.json"
    ran = dense(
        "segment", picture, "--classes", "cat", "wooden table", "--out", out, "--json", extra
    )
    assert (ran.code, ran.err) == (0, "")
    results = json.loads((out / "results.json").read_text())
    assert results == json.loads(extra.read_text())
    record = results["images"][0]
    assert (record["height"], record["width"]) == (40, 56)
    mask = read_mask(out / record["mask"], (40, 56))
    for entry in record["classes"]:
        assert (mask == entry["index"]).mean() == pytest.approx(entry["share"], abs=1e-6)
    assert sum(entry["share"] for entry in record["classes"]) == pytest.approx(1, abs=1e-5)
    overlay = read_image(out / record["overlay"])
    assert overlay.shape[0] > 40 and overlay.shape[1] == 240  # a legend that fits below
    assert "photo.png" in ran.out
    assert sorted(path.name for path in out.iterdir()) == [
        "photo_mask.png",
        "photo_overlay.png",
        "results.json",
    ]


def test_mask_has_the_class_colours_as_palette(dense, picture, tmp_path):
    dense("segment", picture, "--classes", "cat", "dog", "--out", tmp_path / "o")
    mask = Image.open(tmp_path / "o" / "photo_mask.png")
    assert mask.mode == "P"
    assert mask.getpalette()[:6] == [0xE6, 0x9F, 0x00, 0x56, 0xB4, 0xE9]


def test_folder_and_glob_and_equal_stems(dense, folder, tmp_path):
    Image.fromarray(photo(20, 20)).save(folder / "0.jpg")
    ran = dense("segment", folder, "--classes", "cat", "--out", tmp_path / "a")
    assert ran.code == 0
    assert {p.name for p in (tmp_path / "a").glob("*_mask.png")} == {
        "0_jpg_mask.png",
        "0_png_mask.png",
        "1_mask.png",
        "2_mask.png",
    }
    ran = dense("segment", f"{folder}/*.bmp", "--classes", "cat", "--out", tmp_path / "b")
    assert ran.code == 0 and (tmp_path / "b" / "2_mask.png").is_file()


def test_classes_from_a_file_with_synonyms_comments_and_other_scripts(dense, picture, tmp_path):
    words = tmp_path / "classes.txt"
    words.write_text("# animals\ncat; kitten\n\nсобака\n猫\n", encoding="utf-8")
    ran = dense("segment", picture, "--classes-file", words, "--out", tmp_path / "o")
    assert (ran.code, ran.err) == (0, "")
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert results["class_names"] == ["cat", "собака", "猫"]


def test_background_and_threshold(dense, picture, tmp_path):
    ran = dense(
        "segment", picture, "--classes", "cat", "--background", "wall", "sky",
        "--threshold", 1.0, "--out", tmp_path,
    )  # fmt: skip
    assert ran.code == 0
    assert (read_mask(tmp_path / "photo_mask.png") == 0).all()  # all background
    dense("segment", picture, "--classes", "cat", "dog", "--threshold", 1.0, "--out", tmp_path)
    assert (read_mask(tmp_path / "photo_mask.png") == 255).all()  # all undecided


def test_method_protocol_and_refinement_are_on_the_card(dense, picture, tmp_path):
    ran = dense(
        "segment", picture, "--classes", "cat", "dog; puppy", "--method", "sclip",
        "--protocol", "tcl", "--refine", "pamr", "vote", "--threshold", "otsu", "--out", tmp_path,
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    card = json.loads((tmp_path / "results.json").read_text())["method"]
    assert (card["method"], card["attention"]) == ("sclip", "qq+kk")
    assert card["protocol"] == "tcl, changed" and card["refine"] == ["pamr", "vote"]
    assert (card["crop"], card["stride"], card["short_side"]) == (448, 224, 448)
    assert (card["threshold"], card["logit_scale"], card["templates"]) == (
        "otsu",
        100.0,
        "imagenet",
    )
    assert card["queries"] == 3 and len(card["vocabulary"]) == 12
    assert f"vocabulary {card['vocabulary']}" in ran.out.replace("\n", " ")


def test_default_is_the_checkpoints_advice(dense, picture, tmp_path):
    assert dense("segment", picture, "--classes", "cat", "--out", tmp_path).code == 0
    card = json.loads((tmp_path / "results.json").read_text())["method"]
    assert (card["method"], card["threshold"], card["refine"]) == ("recommended", 0.0, [])


def test_exports_confidence_and_abstention(dense, picture, tmp_path):
    words = ["segment", picture, "--classes", "cat", "dog", "sky", "--confidence"]
    assert dense(*words, "--export", "rgba", "rle", "polygons", "--out", tmp_path / "a").code == 0
    record = json.loads((tmp_path / "a" / "results.json").read_text())["images"][0]
    mask = read_mask(tmp_path / "a" / record["mask"])
    rle = json.loads((tmp_path / "a" / record["rle"]).read_text())
    assert (rle["image"]["file_name"], rle["image"]["height"]) == ("photo.png", 40)
    rebuilt = np.full((40, 56), -1)
    for entry, name in zip(rle["annotations"], record["rgba"], strict=True):
        part = decode_rle(entry["segmentation"], tuple(entry["segmentation"]["size"]), "a")
        rebuilt[part] = entry["category_id"]
        alpha = np.asarray(Image.open(tmp_path / "a" / name))[..., 3]
        assert ((alpha == 255) == part).all()
    assert (rebuilt == mask).all()
    features = json.loads((tmp_path / "a" / record["polygons"]).read_text())["features"]
    areas = {f["properties"]["index"]: f["properties"]["area"] for f in features}
    assert areas == {k: int((mask == k).sum()) for k in np.unique(mask)}
    levels = np.asarray(Image.open(tmp_path / "a" / record["confidence"])).astype(float) / 65535
    assert 1 / 3 - 1e-4 <= levels.min() <= levels.max() <= 1

    bound = float(np.median(levels))
    ran = dense(*words, "--abstain", bound, "--out", tmp_path / "b")
    assert "undecided" in ran.out
    results = json.loads((tmp_path / "b" / "results.json").read_text())
    kept = read_mask(tmp_path / "b" / "photo_mask.png")
    sure = levels >= bound
    assert ((kept == np.where(sure, mask, 255)) | (abs(levels - bound) < 1e-4)).all()
    assert results["method"]["abstain"] == bound
    assert results["images"][0]["undecided"] == pytest.approx((kept == 255).mean(), abs=1e-5)


def test_a_folder_runs_in_batches_and_keeps_its_order(dense, folder, tmp_path):
    dense("segment", folder, "--classes", "cat", "dog", "--out", tmp_path / "all")
    for path in sorted(folder.iterdir()):
        dense("segment", path, "--classes", "cat", "dog", "--out", tmp_path / "one")
        alone, among = (
            read_mask(tmp_path / place / f"{path.stem}_mask.png") for place in ("one", "all")
        )
        assert (alone == among).mean() > 0.999


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        ("cat, kitten\ndog, puppy\nsky\n", "2 of 3 class entries hold commas"),
        ("cat\tkitten\ndog\n", "1 of 2 class entries hold tabs"),
        ("cat|kitten\ndog, wet\nfox|vixen", "2 of 3 class entries hold bars"),
        ("cat; kitten\ndog, wet\n", None),
        ("cat\ndog\n", None),
    ],
)
def test_class_files_with_another_separator_are_named(dense, picture, tmp_path, lines, counts):
    (tmp_path / "c.txt").write_text(lines)
    ran = dense("segment", picture, "--classes-file", tmp_path / "c.txt", "--out", tmp_path / "o")
    assert ran.code == 0
    if counts is None:
        assert ran.err == ""
    else:
        assert counts in ran.err and "none a semicolon: 'cat" in ran.err
        assert len(ran.error_lines) == 1


def test_a_vocabulary_of_background_alone(dense, picture, tmp_path):
    ran = dense("segment", picture, "--background", "wall", "--out", tmp_path / "o")
    _fails(ran, "the class list is empty")
    (tmp_path / "c.txt").write_text("# nothing\n\n")
    _fails(dense("segment", picture, "--classes-file", tmp_path / "c.txt"), "class list is empty")


def test_many_classes_need_16_bits(dense, picture, tmp_path):
    words = tmp_path / "c.txt"
    words.write_text("\n".join(f"thing {k}" for k in range(300)))
    ran = dense("segment", picture, "--classes-file", words, "--out", tmp_path / "o")
    assert ran.code == 0
    assert Image.open(tmp_path / "o" / "photo_mask.png").mode == "I;16"


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("CMYK", "jpg"), ("1", "png"), ("P", "png")]
)
def test_other_colour_modes_are_handled(dense, tmp_path, mode, suffix):
    path = tmp_path / f"odd.{suffix}"
    Image.fromarray(photo(24, 40)).convert(mode).save(path)
    assert dense("segment", path, "--classes", "cat", "--out", tmp_path / "o").code == 0


def test_sixteen_bits_one_pixel_and_extreme_shapes_are_handled(dense, tmp_path):
    Image.fromarray(photo(24, 40)[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(photo(2, 2)[:1, :1]).save(tmp_path / "one.png")
    Image.fromarray(photo(4, 600)).save(tmp_path / "wide.png")
    for name, size in (("deep", (24, 40)), ("one", (1, 1)), ("wide", (4, 600))):
        ran = dense("segment", tmp_path / f"{name}.png", "--classes", "a", "b", "--out", tmp_path)
        assert (ran.code, ran.err) == (0, "")
        assert read_mask(tmp_path / f"{name}_mask.png").shape == size


def test_exif_rotation_is_applied(dense, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo(24, 40)).save(tmp_path / "turned.jpg", exif=exif)
    dense("segment", tmp_path / "turned.jpg", "--classes", "cat", "--out", tmp_path / "o")
    assert read_mask(tmp_path / "o" / "turned_mask.png").shape == (40, 24)


def test_a_broken_picture_in_a_folder_is_skipped_and_counted(dense, folder, tmp_path):
    (folder / "bad.png").write_bytes(b"nonsense")
    ran = dense("segment", folder, "--classes", "cat", "--out", tmp_path / "o")
    assert ran.code == 0
    assert ran.error_lines[0].startswith("dense: warning: skipped:") and "bad.png" in ran.err
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert len(results["images"]) == 3 and len(results["skipped"]) == 1


def _fails(ran, *words):
    assert ran.code == 2, ran
    assert len(ran.error_lines) == 1, ran.err
    assert "Traceback" not in ran.err
    for word in words:
        assert word in ran.err


def test_a_folder_of_broken_pictures_fails(dense, tmp_path):
    for place in range(2):
        (tmp_path / f"{place}.png").write_bytes(b"nonsense")
    ran = dense("segment", tmp_path, "--classes", "cat", "--out", tmp_path / "o")
    assert ran.code == 2
    assert ran.error_lines[-1].startswith("dense: error: none of the 2 images could be read")
    assert not (tmp_path / "o" / "results.json").exists()


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "zero bytes"), (b"nonsense", "not a known image format"), (None, "no such file")],
)
def test_unreadable_pictures(dense, tmp_path, content, word):
    path = tmp_path / "bad.png"
    if content is not None:
        path.write_bytes(content)
    _fails(dense("segment", path, "--classes", "cat", "--out", tmp_path / "o"), "bad.png", word)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_truncated_picture(dense, tmp_path, suffix):
    whole, part = tmp_path / f"whole.{suffix}", tmp_path / f"part.{suffix}"
    Image.fromarray(photo(64, 64)).save(whole)
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    _fails(dense("segment", part, "--classes", "cat", "--out", tmp_path / "o"), "part")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "class list is empty"),
        (["--classes", "cat", "Cat"], "named twice: cat"),
        (["--classes", "cat", "  "], "blank"),
        (["--classes", "cat", "--threshold", "1.5"], "--threshold: must lie in [0, 1]"),
        (["--classes", "cat", "--abstain", "1.5"], "--abstain: must lie in [0, 1]"),
        (["--classes", "cat", "--export", "rla"], "unknown export 'rla'"),
        (["--classes", "cat", "--opacity", "-1"], "--opacity: must lie in [0, 1]"),
        (["--classes", "cat", "--short-side", "2"], "--short-side: must lie in"),
        (
            ["--classes", "cat", "--threshold", "half"],
            "--threshold: must lie in [0, 1], got 'half'",
        ),
        (["--classes", "cat", "--opacity", "nan"], "--opacity: must lie in [0, 1]"),
        (["--classes", "cat", "dog", "--background", "Dog"], "as a class and as background"),
        (["--classes", "cat", "--weights", "w.pt"], "has no learned parts"),
        (["--classes", "cat", "--method", "sclip", "--weights", "w.pt"], "has no learned parts"),
        (["--classes", "cat", "--method", "clip-dinoiser"], "--weights FILE"),
        (["--classes", "cat", "--attention", "valeu"], "value"),
        (["--classes", "cat", "--method", "sclpi"], "sclip"),
        (["--classes", "cat", "--method", "gem", "--attention", "qq"], "not both"),
        (["--classes", "cat", "--protocol", "tlc"], "tcl"),
        (["--classes", "cat", "--refine", "pmar"], "pamr"),
        (["--classes", "cat", "--model", "ViT-B-61"], "ViT-B-16"),
        (["--classes", "cat", "--model", "ViT-B-16", "--pretrained", "opnai"], "openai"),
        (["--classes", "cat", "--model", "missing/model.safetensors"], "no such checkpoint"),
        (["--classes-file", "missing.txt"], "no such file: missing.txt"),
        (["--classes", "cat", "--precision", "fp23"], "fp32"),
        (["--clases", "cat"], "unrecognized arguments"),
    ],
)
def test_wrong_options(dense, picture, tmp_path, words, text):
    _fails(dense("segment", picture, *words, "--out", tmp_path / "o"), text)


def test_classes_file_that_is_no_text(dense, picture, tmp_path):
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\x00cat")
    _fails(dense("segment", picture, "--classes-file", tmp_path / "c.txt"), "UTF-8")


def test_empty_folder_and_missing_folder(dense, tmp_path):
    (tmp_path / "empty").mkdir()
    _fails(dense("segment", tmp_path / "empty", "--classes", "cat"), "no images in")
    _fails(dense("segment", tmp_path / "gone", "--classes", "cat"), "no such file or directory")
    _fails(dense("segment", f"{tmp_path}/*.xyz", "--classes", "cat"), "no images in")


def test_unwritable_output(dense, picture, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = dense("segment", picture, "--classes", "cat", "--out", tmp_path / "file" / "deeper")
    _fails(ran, "cannot write into")
    ran = dense(
        "segment", picture, "--classes", "cat", "--out", tmp_path / "o",
        "--json", tmp_path / "file" / "results.json",
    )  # fmt: skip
    _fails(ran, "cannot write")


def test_hostile_and_corrupt_checkpoints_are_refused(dense, picture, tmp_path):
    import pickle

    class Payload:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "owned",))

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Payload()))
    (tmp_path / "bad.safetensors").write_bytes(b"\x10" * 100)
    for name in ("evil.pt", "bad.safetensors"):
        ran = dense("segment", picture, "--classes", "cat", "--model", tmp_path / name)
        _fails(ran, name)
    assert not (tmp_path / "owned").exists()


def test_interruption_ends_with_130(dense, picture, tmp_path, monkeypatch):
    from dense import apps

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(apps, "segment_images", interrupted)
    ran = dense("segment", picture, "--classes", "cat", "--out", tmp_path)
    assert (ran.code, ran.err) == (130, "dense: interrupted\n")
